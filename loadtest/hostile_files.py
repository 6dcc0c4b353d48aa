"""Columnar bodies that are small on the way and would be large in the memory, for who wants to send them."""

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from preprocessing.encode import FIELDS
from preprocessing.fields import Category

ROWS = 4096
LONG = "x" * 1_000_000
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/x-parquet"
EXAMPLE = {field.name: field.kind.example for field in FIELDS}
WORD = next(field.name for field in FIELDS if isinstance(field.kind, Category))
NUMBER = next(field.name for field in FIELDS if not isinstance(field.kind, Category))


def table(rows: int = ROWS, **columns: Any) -> Any:
    """Good applications, some of whose columns are others."""
    good = pa.Table.from_pylist([EXAMPLE] * rows)
    for name, column in columns.items():
        good = good.set_column(good.schema.names.index(name), name, column)
    return good


def arrow(sent: Any, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, sent.schema, options=pyarrow.ipc.IpcWriteOptions(compression=compression)) as to:
        to.write_table(sent)
    return sink.getvalue()


def parquet(sent: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(sent, sink, **options)
    return sink.getvalue()


def _dictionary(others: int = 3) -> Any:
    words = pa.array([LONG, *map(str, range(others))])
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, np.int32)), words)


def _runs() -> Any:
    return pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([LONG]))


def _views() -> Any:
    validity, views, *data = pa.array([LONG], pa.string_view()).buffers()
    return pa.Array.from_buffers(pa.string_view(), ROWS, [validity, pa.py_buffer(bytes(views)[:16] * ROWS), *data])


def _of_nothing(rows: int) -> Any:
    return pa.table({name: pa.nulls(rows) for name in EXAMPLE})


def _billion_rows() -> bytes:
    """As the footer of a file says that was written with fewer: its own numbers, exchanged in place."""
    said, wanted = _zigzag(12_345), _zigzag(1_000_012_345)
    file = parquet(_of_nothing(12_345))
    footer = int.from_bytes(file[-8:-4], "little")
    body, told = file[: -8 - footer], file[-8 - footer : -8].replace(said, wanted)
    return body + told + len(told).to_bytes(4, "little") + file[-4:]


def _zigzag(number: int) -> bytes:
    number, written = number << 1, b""
    while number > 127:
        number, written = number >> 7, written + bytes([number & 127 | 128])
    return written + bytes([number])


# name → media type, and how the body is made
BOMBS: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "a word in every row": (ARROW, lambda: arrow(table(**{WORD: _dictionary()}), "zstd")),
    "a word among many": (ARROW, lambda: arrow(table(**{WORD: _dictionary(ROWS + 1)}), "zstd")),
    "a word for every number": (ARROW, lambda: arrow(table(**{NUMBER: _dictionary()}), "zstd")),
    "a run": (ARROW, lambda: arrow(table(**{WORD: _runs()}), "zstd")),
    "a run for a number": (ARROW, lambda: arrow(table(**{NUMBER: _runs()}), "zstd")),
    "views": (ARROW, lambda: arrow(table(**{WORD: _views()}), "zstd")),
    "views for a number": (ARROW, lambda: arrow(table(**{NUMBER: _views()}), "zstd")),
    "compressed zeros": (ARROW, lambda: arrow(table(**{WORD: pa.array(["x" * 20_000] * ROWS)}), "zstd")),
    "many rows of nothing": (ARROW, lambda: arrow(_of_nothing(1_000_000_000))),
    "a word in a Parquet dictionary": (PARQUET, lambda: parquet(table(**{WORD: _dictionary()}), compression="zstd")),
    "a large Parquet page": (
        PARQUET,
        lambda: parquet(
            table(**{WORD: pa.array(["x" * 1000] * 20_000)}, rows=20_000),
            use_dictionary=False,
            compression="zstd",
            data_page_size=2**30,
        ),
    ),
    "words by their beginnings": (
        PARQUET,
        lambda: parquet(
            table(**{WORD: pa.array(["x" * 20_000] * ROWS)}),
            use_dictionary=False,
            column_encoding={WORD: "DELTA_BYTE_ARRAY"},
            compression="zstd",
        ),
    ),
    "lists of nothing": (
        PARQUET,
        lambda: parquet(table(1, **{NUMBER: pa.array([[None] * 5_000_000], pa.list_(pa.float64()))})),
    ),
    "a billion Parquet rows": (PARQUET, _billion_rows),
}
