"""One application in JSON, read in half of the time: requests of one client differ in their values alone.

What stands around the values of a request is remembered once `read` has been through all of it. The values of the next
one that has the same around them are put into the JSON of an application, which is decoded as by /predict. Whatever is
unusual, and whatever is refused, is left to `read`: how a request is read never shows in its answer.
"""

import re
from typing import NamedTuple

from preprocessing.decode import decode_application
from preprocessing.encode import Row
from preprocessing.errors import RisklineError
from preprocessing.schema import Application
from serving.v2_tensors import Asked, read

MOST_KNOWN = 256  # and then all are forgotten: a caller could send others for ever
LONGEST_KNOWN = 8192  # bytes
_DATA = re.compile(rb'"data":\s*\[([^]]+)\]')
_ID = re.compile(rb'"id"\s*:\s*"([ !#-\[\]-~]*)"')


class _Known(NamedTuple):
    application: bytes  # its JSON, to be filled in
    asked: Asked


class Known:
    """What is known of the requests of a worker."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, ...], _Known] = {}

    def read(self, body: bytes, json_bytes: int | None) -> tuple[Asked, Row | None]:
        """As `read` does, and the application where there is only one."""
        if json_bytes is not None or len(body) > LONGEST_KNOWN or b"\\" in body:
            return _read(body, json_bytes)
        id_ = None
        rest = body
        if b'"id"' in body and (found := _ID.search(body)):
            id_ = found[1].decode()
            rest = body[: found.start(1)] + body[found.end(1) :]
        parts = _DATA.split(rest)
        around, values = tuple(parts[::2]), tuple(parts[1::2])
        if (known := self._known.get(around)) is None:
            asked, row = _read(body, json_bytes)
            if asked.id == id_:
                self._remember(around, values, body, asked, row)
            return asked, row
        row = _row(known.application, values)
        if not isinstance(row, Application):
            return _read(body, json_bytes)
        return known.asked if id_ is None else known.asked._replace(id=id_), row

    def _remember(
        self, around: tuple[bytes, ...], values: tuple[bytes, ...], body: bytes, asked: Asked, row: Row | None
    ) -> None:
        """Remembers what is around the values of a plain request, where it is beyond doubt which is whose: each input
        has one key of that name, nothing else has, and all of them were found."""
        names = list(asked.columns)
        if (
            not isinstance(row, Application)
            or not asked.is_plain
            or not len(values) == len(names) == body.count(b'"data"')
            or body.count(b'"id"') != (asked.id is not None)
        ):
            return
        application = b"{%s}" % b",".join([f'"{name}":%b'.encode() for name in names])
        if _row(application, values) != row:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[around] = _Known(application, asked._replace(columns={}))


def _row(application: bytes, values: tuple[bytes, ...]) -> Row | None:
    """The application with these values; None where one of them is more than a value."""
    text = application % values
    if text.count(b":") != len(values):
        return None
    try:
        [row] = decode_application(text)
    except RisklineError:
        return None
    return row


def _read(body: bytes, json_bytes: int | None) -> tuple[Asked, Row | None]:
    asked = read(body, json_bytes)
    return asked, asked.row() if asked.rows == 1 else None
