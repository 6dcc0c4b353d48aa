"""A training table as its owner exports it → in the names and words of the schema, as channels would be understood.

A column may come under any name that its field has, a word in any spelling, a number with separators, currency or unit.
What means nothing stays as it is, so that the schema's own rules refuse it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from model.cells import ABSENT, tidy, worth
from preprocessing.channels.names import field_called, word_called, yes_and_no
from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field, Number
from preprocessing.schema import LEFT_OUT

_OWN = {field.name for field in FIELDS}
_ALSO = {other: field.name for field in FIELDS for other in field.kind.also}


def fields_names(names: Sequence[str], label: str) -> list[str]:
    """Each column's name, or its field's where it has another of that field's names."""
    return [name if name == label or name in LEFT_OUT or name in _OWN else _meant(name, names) for name in names]


def _meant(name: str, names: Sequence[str]) -> str:
    found = field_called(name)
    meant = _ALSO.get(name) or (found.name if found else name)
    return name if meant in names else meant


def in_the_schemas_words(table: Any, is_text: bool) -> Any:
    """Without the columns that the schema leaves out. `is_text`: numbers stay text, as all else in a CSV is."""
    table = table.drop_columns([name for name in table.column_names if name in LEFT_OUT])
    for place, field in [(table.schema.get_field_index(field.name), field) for field in FIELDS]:
        if place >= 0:
            kind = field.kind
            column = table.column(place)
            column = _words(column, field, kind) if isinstance(kind, Category) else _numbers(column, kind, is_text)
            table = table.set_column(place, field.name, column)
    return table


def _numbers(column: Any, kind: Number, is_text: bool) -> Any:
    if not _is_text(column.type):
        return column
    try:
        cast = pc.cast(column, pa.float64())
        return column if is_text else cast
    except pa.ArrowInvalid:
        numbers = worth(_distinct(column), kind.unit, kind.whole)
        found = _said(column, {text: None if value is None else repr(value) for text, value in numbers.items()})
    try:
        return found if is_text else pc.cast(found, pa.float64())
    except pa.ArrowInvalid:
        return column


def _words(column: Any, field: Field, kind: Category) -> Any:
    if pa.types.is_boolean(column.type) and (says := yes_and_no(kind)):
        return pc.if_else(column, says[True], says[False])
    of = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(of):
        return column
    own = {tidy(word): word for word in kind.values}
    odd = [text for text in _distinct(column) if text not in kind.values]
    said = {text: own.get(tidy(text)) or _word(text, field) for text in odd}
    return _said(column.cast(pa.string()), said) if odd else column


def _word(text: str, field: Field) -> str | None:
    return word_called(field.name, text) or (None if tidy(text) in ABSENT else text)


def _is_text(type_: Any) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _distinct(column: Any) -> list[str]:
    texts: list[str] = pc.unique(column).cast(pa.string()).drop_null().to_pylist()
    return texts


def _said(column: Any, said: Mapping[str, str | None]) -> Any:
    """The column with each text of `said` replaced by what it says."""
    place = pc.index_in(column, value_set=pa.array(list(said), column.type))
    found = pc.take(pa.array(list(said.values()), column.type), place)
    return pc.if_else(pc.is_valid(place), found, column)
