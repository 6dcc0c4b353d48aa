"""Text that is written once and stands in many rows: a dictionary's words, runs, views.

Such a word may be as long as the body, and fills the memory once it is written out row by row. So what is longer than
any word of the schema is cut before: it stays a wrong word.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.encode import FIELDS
from preprocessing.fields import Category

_WORDS = [word for field in FIELDS if isinstance(field.kind, Category) for word in field.kind.values if word]
LONGEST = max([len(word.encode()) for word in _WORDS], default=0)  # bytes
_NO_WORD = (1, 1, 0, 0)  # a view of one control character
_TEXT = (pa.types.is_string, pa.types.is_large_string)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary)
_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def with_short_words(column: Any) -> Any:
    """The column with its words cut; views become text, and runs of text a dictionary. Others are left alone."""
    type_ = column.type
    of = type_.value_type if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_) else type_
    if type_ in _VIEWS:
        return _cut_views(_in_one(column))
    if of is type_ or not (of in _VIEWS or any(is_of(of) for is_of in (*_TEXT, *_BYTES))):
        return column
    column = _in_one(column)
    return _cut_dictionary(
        *_runs(column) if pa.types.is_run_end_encoded(type_) else (column.indices, column.dictionary)
    )


def _in_one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _runs(column: Any) -> tuple[Any, Any]:
    """Runs as the places of their words, and the words."""
    places = pa.RunEndEncodedArray.from_arrays(column.run_ends, np.arange(len(column.values), dtype=np.int32))
    return pc.run_end_decode(places.slice(column.offset, len(column))), column.values


def _cut_dictionary(places: Any, words: Any) -> Any:
    if len(words) > len(places):  # a slice of a table with many words: most of them are not in it
        used = pc.unique(places).drop_null()
        places, words = pc.index_in(places, value_set=used), words.take(used)
    words = _cut(words)
    if words.null_count:
        places = pc.if_else(words.is_valid().take(places), places, None)
    return pa.DictionaryArray.from_arrays(places, words)


def _cut(words: Any) -> Any:
    if words.type in _VIEWS:
        return _cut_views(words)
    if any(is_bytes(words.type) for is_bytes in _BYTES):
        return pc.binary_slice(words, 0, LONGEST + 1)
    return pc.utf8_slice_codeunits(words, 0, LONGEST + 1)


def _cut_views(column: Any) -> Any:
    validity, views, *data = column.buffers()
    cut = np.frombuffer(views, np.int32, 4 * (column.offset + len(column))).reshape(-1, 4).copy()
    cut[cut[:, 0] > LONGEST] = _NO_WORD
    buffers = [validity, pa.py_buffer(cut), *data]
    short = pa.Array.from_buffers(column.type, len(column), buffers, offset=column.offset)
    return short.cast(_VIEWS[column.type])
