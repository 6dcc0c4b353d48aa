"""Decode and encode in one for large JSON bodies: bytes → the matrix, with few Python objects a row.

msgspec parses rows into records of the schema's types several times as fast as pydantic validates them; the rules are
then checked over whole columns. Whatever is unusual (no JSON, another type, an unknown field, a key that comes twice)
is left to the record path (`decode.py`), which judges and words it, and so is each row that breaks a rule: how fast a
body is read never shows in its answer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from pydantic_core import from_json

from preprocessing.decode import decode_batch, decode_lines, reason_for_refusal
from preprocessing.encode import FIELDS, Batch, encode
from preprocessing.errors import BatchTooLarge
from preprocessing.fields import Category, Field
from preprocessing.rules import Codes, Invalid, breaks_rule, gather


class _Words(dict[Any, float]):
    """A category's codes; a word that is none of them is infinite."""

    def __missing__(self, word: object) -> float:
        return np.inf


# What a field holds that was not sent. As JSON has neither, it cannot be mistaken for something sent.
_NO_NUMBER, _NO_WORD, _NO_WORDS_CODE = float("nan"), msgspec.UNSET, -1.0
_WORDS: dict[str, _Words] = {
    field.name: _Words([*field.kind.codes.items(), (_NO_WORD, _NO_WORDS_CODE)])
    for field in FIELDS
    if isinstance(field.kind, Category)
}
_Record = msgspec.defstruct(
    "_Record",
    [
        (field.name, str | None, _NO_WORD) if field.name in _WORDS else (field.name, float | None, _NO_NUMBER)
        for field in FIELDS
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_BODY: Any = msgspec.json.Decoder(
    msgspec.defstruct("_Body", [("applications", list[_Record])], forbid_unknown_fields=True)  # type: ignore[valid-type]
)
_COLON = ord(":")


class _Column(NamedTuple):
    """(rows,) codes with NaN for missing, where they are wrong, and how many were not sent."""

    codes: Codes
    wrong: Invalid
    absent: int


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
    sent = zip(*map(msgspec.structs.astuple, records), strict=True)
    columns = [_column(field, values) for field, values in zip(FIELDS, sent, strict=True)]
    # As many colons as fields sent: every key came once. More: a key came twice, or a word contains a colon.
    keys = 1 + len(FIELDS) * len(records) - sum(column.absent for column in columns)
    if np.count_nonzero(np.frombuffer(body, np.uint8) == _COLON) != keys:
        return None
    matrix, rows = gather(len(records), ((field, c.codes, c.wrong) for field, c in zip(FIELDS, columns, strict=True)))
    if not rows.size:
        return Batch(matrix, {})
    elements = from_json(body)["applications"]
    return Batch(matrix, {row: reason_for_refusal(elements[row]) for row in rows.tolist()})


def _column(field: Field, values: tuple[Any, ...]) -> _Column:
    if isinstance(field.kind, Category):
        codes = np.fromiter(map(_WORDS[field.name].__getitem__, values), np.float64, len(values))
        not_sent = codes == _NO_WORDS_CODE
        absent = int(np.count_nonzero(not_sent))
        return _Column(np.where(not_sent, np.nan, codes) if absent else codes, np.isinf(codes), absent)
    numbers = np.fromiter(values, np.float64, len(values))  # null becomes NaN, too
    absent = values.count(_NO_NUMBER) if np.isnan(numbers).any() else 0
    return _Column(numbers, breaks_rule(numbers, field.kind), absent)
