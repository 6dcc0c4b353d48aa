"""Decode and encode in one for large JSON bodies: bytes → the matrix, with few Python objects a row.

msgspec parses rows into records of the schema's types several times as fast as pydantic validates them; the rules are
then checked over whole columns. Whatever is unusual (no JSON, another type, an unknown field, a key that comes twice)
is left to the record path (`decode.py`), which judges and words it, and so is each row that breaks a rule: how fast a
body is read never shows in its answer.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from pydantic_core import from_json

from preprocessing.decode import decode_batch, decode_lines, reason_for_refusal
from preprocessing.encode import FIELDS, Batch, encode
from preprocessing.errors import BatchTooLarge
from preprocessing.fields import Category
from preprocessing.rules import WRONG, judge


class _Words(dict[Any, float]):
    """A category's codes."""

    def __missing__(self, word: object) -> float:
        return WRONG


# JSON has no infinity, so it cannot be mistaken for a number that was sent
_NOT_SENT = -np.inf
_WORDS: dict[str, _Words] = {
    field.name: _Words([*field.kind.codes.items(), (msgspec.UNSET, _NOT_SENT)])
    for field in FIELDS
    if isinstance(field.kind, Category)
}
_Record = msgspec.defstruct(
    "_Record",
    [
        (field.name, str | None, msgspec.UNSET) if field.name in _WORDS else (field.name, float | None, _NOT_SENT)
        for field in FIELDS
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_BODY: Any = msgspec.json.Decoder(
    msgspec.defstruct("_Body", [("applications", list[_Record])], forbid_unknown_fields=True)  # type: ignore[valid-type]
)
_COLON = ord(":")


def read_batch(body: bytes, most_rows: int | None = None) -> Batch:
    """`{"applications": [...]}` → the batch that is scored; the errors are those of `decode_batch`."""
    batch = _read(body, most_rows)
    return batch if batch is not None else encode(decode_batch(body, most_rows))


def read_lines(lines: Sequence[bytes]) -> Batch:
    """JSON Lines, one application a line → the batch that is scored; a line that is no JSON costs only itself."""
    if all(line.startswith(b"{") for line in lines):
        # As one array. When every row of it is valid, and so holds no brace of its own, as many rows as lines means
        # that each line was one row.
        batch = _read(b'{"applications":[' + b",".join(lines) + b"]}", None)
        if batch is not None and len(batch.matrix) == len(lines) and not batch.refused:
            return batch
    return encode(decode_lines(lines))


def _read(body: bytes, most_rows: int | None) -> Batch | None:
    """The batch; None where it takes the record path to judge the body."""
    try:
        records = _BODY.decode(body).applications
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not records:
        return None
    if most_rows is not None and len(records) > most_rows:
        raise BatchTooLarge.of(len(records), most_rows, "RISKLINE_MAX_ROWS")
    codes = np.empty((len(FIELDS), len(records)))
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    for row, field, values in zip(codes, FIELDS, columns, strict=True):
        words = _WORDS.get(field.name)
        # null becomes NaN either way
        row[:] = np.fromiter(map(words.__getitem__, values) if words else values, np.float64, len(values))
    not_sent = codes == _NOT_SENT
    # As many colons as fields sent: every key came once. More: a key came twice, or a word contains a colon.
    keys = 1 + codes.size - np.count_nonzero(not_sent)
    if np.count_nonzero(np.frombuffer(body, np.uint8) == _COLON) != keys:
        return None
    codes[not_sent] = np.nan
    matrix, refused = judge(codes)
    if not refused.size:
        return Batch(matrix, {}, codes)
    elements = from_json(body)["applications"]
    return Batch(matrix, {row: reason_for_refusal(elements[row]) for row in refused.tolist()}, codes)
