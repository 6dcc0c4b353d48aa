"""A clerk's sheet, typed from paper: CSV as Excel and others save it, with a header and one row.

    Time in the current job;Housing;Price of the goods          seniority,home,price
    9;rent;846,50                                               9,rent,846.50

Without a header it is one row with a cell for every field, in the schema's order. Cells are separated by commas,
semicolons or tabs; Excel takes semicolons where decimals have a comma, so there a comma is one. The text is UTF-8, or
UTF-16 with its mark ("Unicode text" of Excel), else Windows' (cp1252), which is what Excel's plain "CSV" is.
"""

import codecs
import csv
import io
import re
from itertools import islice

from preprocessing.channels.collected import Collected, Payload, Sent, collected, no_application
from preprocessing.channels.names import field_called
from preprocessing.channels.numbers import DECIMAL_POINT
from preprocessing.channels.values import Reading
from preprocessing.encode import FIELDS

FORM = "sheet"
MOST_CELLS = 1000  # of a row
_SAYS_SEPARATOR = re.compile(r'"?sep=."?\r?\n', re.IGNORECASE)  # a line for Excel, which comes out in the cells
_NAMES = {field.name: field.kind.label for field in FIELDS}
# separator → the language that numbers are read in, "" for the sender's; in the order in which they are tried
_LANGUAGES = {";": "de", "\t": "", ",": "en"}
_NOT_ONE = "this must be a sheet of one application: a header and a row, or a row with {count} cells"
_MANY = "a request takes one application, and this sheet has more; /predict_batch takes many"
_UNEVEN = "the row has {cells} cells, but the header has {names}"


def read(payload: Payload, least: float) -> Collected:
    """A sheet as an application."""
    text = _decoded(payload.body)
    found = None
    for separator in _LANGUAGES:
        rows = _rows(text, separator)
        if not rows or len(rows[0]) > MOST_CELLS:
            continue
        known = sum(field_called(cell) is not None for cell in rows[0])
        if (known or len(rows[0]) == len(FIELDS)) and (found is None or known > found[0]):
            found = known, separator, rows
    if found is None:
        return no_application(FORM, payload.body, _NOT_ONE.format(count=len(FIELDS)))
    known, separator, rows = found
    if len(rows) > (2 if known else 1):
        return no_application(FORM, payload.body, _MANY)
    if len(rows) < 2 and known:
        return no_application(FORM, payload.body, _NOT_ONE.format(count=len(FIELDS)))
    header = rows[0] if known else [field.name for field in FIELDS]
    row = rows[-1]
    if len(row) != len(header):
        return no_application(FORM, payload.body, _UNEVEN.format(cells=len(row), names=len(header)))
    sent = [Sent(key, cell) for key, cell in zip(header, row, strict=True) if key or cell]
    reading = Reading(_language(separator, payload.language))
    return collected(FORM, payload.body, sent, reading, names=_NAMES, least=least)


def _decoded(body: bytes) -> str:
    try:
        text = body.decode("utf-16" if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("cp1252", "replace")
    return text[said.end() :] if (said := _SAYS_SEPARATOR.match(text)) else text


def _rows(text: str, separator: str) -> list[list[str]]:
    """The first three rows in which there is something; none where it is no such text."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        return list(islice((row for row in lines if any(map(str.strip, row))), 3))
    except csv.Error:  # a cell that does not end
        return []


def _language(separator: str, senders: str) -> str:
    """Which language's numbers a sheet has; the Swiss, say, have semicolons and a decimal point."""
    language = _LANGUAGES[separator]
    return senders if not language or (separator == ";" and _has_point(senders)) else language


def _has_point(language: str) -> bool:
    return language.replace("_", "-").casefold() in DECIMAL_POINT
