"""The same first two steps for many applications at once: Arrow columns → the matrix, without a Python object a row.

The vectorised rules are derived from the schema that the record path validates with. They only find the rows that break
a rule; what is wrong with such a row is said by the record path itself, so both always agree.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic_core import to_json

from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS, Batch, Codes
from preprocessing.errors import (
    LONGEST_NAME_REPEATED,
    MOST_PROBLEMS_TOLD,
    InvalidApplication,
    InvalidBatch,
    Problem,
)
from preprocessing.fields import Category, Field, Number
from preprocessing.rules import WRONG, judge
from preprocessing.words import with_short_words

_NUMBERS = {field.name for field in FIELDS if isinstance(field.kind, Number)}
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# Hadoop's older tools write words without saying that they are text
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_OF_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_FIXED = (*_OF_NUMBERS, pa.types.is_boolean, pa.types.is_null)
_WORDS = {field.name: pa.array(list(field.kind.values)) for field in FIELDS if isinstance(field.kind, Category)}
_LISTS = {field.name: list(field.kind.values) for field in FIELDS if isinstance(field.kind, Category)}
# What stands for a missing value in columns of numbers, where no category has it as a word
NOT_A_NUMBER = sorted({"NaN", "nan", "NAN"}.difference(*_LISTS.values()))


def check_header(names: Sequence[str], kept: Sequence[str] = ()) -> None:
    """Raises InvalidBatch for a column that no field has, one that comes twice, or a required one that is absent.

    The columns `kept` need be no fields, but they must be there.
    """
    known = {field.name for field in FIELDS} | set(kept)
    counts = Counter(names)
    problems = [
        Problem(name[:LONGEST_NAME_REPEATED], "unknown", "no field has this name")
        for name in counts
        if name not in known
    ]
    problems += [Problem(name, "duplicate", "this column comes more than once") for name in counts if counts[name] > 1]
    problems += [
        Problem(field.name, "required", f"the column for {field.kind.label} is missing")
        for field in FIELDS
        if field.required and field.name not in names
    ]
    problems += [Problem(name, "required", "there is no such column to keep") for name in kept if name not in names]
    if problems:
        raise InvalidBatch("the columns are not those of an application", problems[:MOST_PROBLEMS_TOLD])


def encode_table(table: pa.RecordBatch | pa.Table, text: pa.RecordBatch | pa.Table | None = None) -> Batch:
    """Columns under their fields' names → the batch. A null, or NaN in a column of numbers, is a missing value.

    `text` is the same table as it was sent, where that was text: a refused row is judged by it.
    """
    for field in FIELDS:
        if field.name in table.schema.names:
            column = _of_known_type(table.column(field.name), field)
            if column is not table.column(field.name):
                table = table.set_column(table.schema.get_field_index(field.name), field.name, column)
    codes = np.empty((len(FIELDS), table.num_rows))
    for row, field in zip(codes, FIELDS, strict=True):
        row[:] = _codes(table.column(field.name), field) if field.name in table.schema.names else np.nan
    matrix, rows = judge(codes)
    if not rows.size:
        return Batch(matrix, {}, codes)
    records = _records(table, rows) if text is None else _records_of_text(text, rows)
    return Batch(matrix, dict(zip(rows.tolist(), map(_refusal, records), strict=True)), codes)


def _of_known_type(column: Any, field: Field) -> Any:
    """The column in a type that both paths know.

    What is no such thing at all becomes a value of a wrong type wherever it says something, so that nothing exotic is
    ever turned into Python objects.
    """
    with suppress(pa.ArrowException):
        column = with_short_words(column)
        if pa.types.is_run_end_encoded(column.type) and _is_of(column.type.value_type, *_FIXED):
            column = pc.run_end_decode(column)
        elif pa.types.is_dictionary(column.type) and field.name in _NUMBERS and _is_of(column.type.value_type, *_FIXED):
            column = column.cast(column.type.value_type)
    type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if _is_of(type_, *_TEXT, *_FIXED):
        return column
    said = column.is_valid()
    if isinstance(said, pa.ChunkedArray):
        said = said.combine_chunks()
    return pc.if_else(said, "?" if field.name in _NUMBERS else 0, None)


def _is_of(type_: Any, *kinds: Callable[[Any], bool]) -> bool:
    return any(is_of(type_) for is_of in kinds)


def _codes(column: Any, field: Field) -> Codes:
    """(rows,) codes, NaN for missing."""
    if isinstance(field.kind, Category):
        return _word_codes(column, _WORDS[field.name])
    return _numbers(column)


def _word_codes(column: Any, words: Any) -> Codes:
    if pa.types.is_dictionary(column.type):
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if len(column.dictionary) <= len(column):
            return _dictionary_codes(column, words)
        column = column.cast(column.type.value_type)  # a slice of a table with many words: most of them are not in it
    if not _is_of(column.type, *_TEXT):
        return _wrong_where_present(column)
    index = pc.index_in(column, value_set=words.cast(column.type))
    codes: Codes = pc.fill_null(index.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    unknown = np.isnan(codes)
    return np.where(unknown, _wrong_where_present(column), codes) if unknown.any() else codes


def _dictionary_codes(column: Any, words: Any) -> Codes:
    """Each word is looked up once, not once a row."""
    codes = _word_codes(column.dictionary, words)
    index = pc.fill_null(column.indices.cast(pa.int64()), len(codes)).to_numpy(zero_copy_only=False)
    found: Codes = np.append(codes, np.nan)[index]
    return found


def _numbers(column: Any) -> Codes:
    if not _is_of(column.type, *_OF_NUMBERS):
        return _wrong_where_present(column)
    values: Codes = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
    return values


def _wrong_where_present(column: Any) -> Codes:
    return np.where(column.is_valid().to_numpy(zero_copy_only=False), WRONG, np.nan)


def _refusal(record: Mapping[str, object]) -> InvalidApplication:
    [verdict] = decode_application(to_json(record, inf_nan_mode="constants", fallback=str))
    assert isinstance(verdict, InvalidApplication), "the columns' rules refuse what the records' accept: this is a bug"
    return verdict


def _records(table: Any, rows: npt.NDArray[np.intp]) -> Iterator[dict[str, object]]:
    chosen = table.take(pa.array(rows))
    for values in zip(*map(plain, chosen.columns), strict=True):
        row = zip(chosen.schema.names, values, strict=True)
        yield {name: _as_json(value) for name, value in row if value is not None and value == value}


def _records_of_text(table: Any, rows: npt.NDArray[np.intp]) -> Iterator[dict[str, object]]:
    """Rows of text as the JSON that their writer meant: a number where a field of numbers holds one."""
    for record in _records(table, rows):
        yield {
            name: float(cell) if name in _NUMBERS and re.fullmatch(_NUMBER, cell, re.ASCII) else cell
            for name, cell in record.items()
            if isinstance(cell, str)
        }


def plain(column: Any) -> list[Any]:
    """The column as a list of Python objects; times become text, as Python's own know no nanoseconds."""
    values: list[Any] = (column.cast(pa.string()) if pa.types.is_temporal(column.type) else column).to_pylist()
    return values


def _as_json(value: object) -> object:
    """What JSON has no word for as the type that the columns' rules took it for."""
    if isinstance(value, Decimal):
        return float(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def encode_values(columns: Mapping[str, Sequence[float | str | None]]) -> Batch:
    """Words and floats under their fields' names → the batch. None is a missing value."""
    arrays = {
        name: pa.array(values, pa.float64() if name in _NUMBERS else pa.string()) for name, values in columns.items()
    }
    return encode_table(pa.record_batch(arrays))


def encode_text(table: pa.RecordBatch | pa.Table) -> Batch:
    """Columns of text, as CSV is read → the batch. An empty cell is a missing value."""
    parsed = table
    for position, name in enumerate(table.schema.names):
        if name in _NUMBERS:
            parsed = parsed.set_column(position, name, _parsed(table.column(position)))
    return encode_table(parsed, text=table)


def with_words(table: pa.RecordBatch) -> pa.RecordBatch:
    """Columns of text with the words of categories in place of their codes, as a client writes who knows only numbers.

    A cell that is a word of its field is that word, whatever it looks like.
    """
    for position, name in enumerate(table.schema.names):
        if words := _LISTS.get(name):
            cells = table.column(position).dictionary_encode()
            found = [_word_of(cell, words) for cell in cells.dictionary.to_pylist()]
            decoded = pa.DictionaryArray.from_arrays(cells.indices, pa.array(found, pa.string())).cast(pa.string())
            table = table.set_column(position, name, decoded)
    return table


def _word_of(cell: str, words: Sequence[str]) -> str:
    if cell in words or not re.fullmatch(_NUMBER, cell, re.ASCII):
        return cell
    code = float(cell)
    return words[int(code)] if code.is_integer() and 0 <= code < len(words) else cell


def _parsed(column: Any) -> Any:
    """Text → numbers; what is no number becomes infinite, which no field allows."""
    try:
        numbers = pc.cast(column, pa.float64())
        return pc.if_else(pc.is_nan(numbers), np.inf, numbers)  # "nan" is a word, an empty cell is a missing value
    except pa.ArrowInvalid:
        number = pc.match_substring_regex(column, _NUMBER)
        return pc.if_else(number, pc.cast(pc.if_else(number, column, None), pa.float64()), np.inf)
