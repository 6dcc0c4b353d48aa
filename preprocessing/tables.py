"""First step for columnar bodies: CSV, Arrow and Parquet → batches of at most `BLOCK_ROWS` rows, read as a stream.

A file that cannot be read raises MalformedBody, without a word of its content; wrong columns raise InvalidBatch. A row
that is wrong by itself keeps its place and costs nobody else anything.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from preprocessing.columns import check_header, encode_table, encode_text
from preprocessing.encode import FIELDS, Batch
from preprocessing.errors import InvalidApplication, MalformedBody, Problem

BLOCK_ROWS = 4096  # of a dozen float32 fields stay in a core's second-level cache
_CSV_BLOCK_BYTES = 2**20
_LONGEST_CSV_HEADER = 2**16
_LARGEST_ROW = 4096  # bytes unpacked: no application comes near it, and a file made to fill the memory is far above


def read_csv(source: BinaryIO) -> Iterator[Batch]:
    """Comma-separated UTF-8 text; a first row with a field's name in it is the header, else schema order is meant."""
    first_line = source.read(_LONGEST_CSV_HEADER)
    source.seek(0)
    with _no_arrow_errors("CSV"):
        names = next(csv.reader(io.StringIO(first_line.decode("utf-8", "replace"))), [])
        known = [field.name for field in FIELDS]
        has_header = not set(known).isdisjoint(names)
        if has_header:
            check_header(names)
        elif len(names) != len(known):
            raise MalformedBody(f"a CSV without a header needs {len(known)} columns in schema order, not {len(names)}")
        wrong_width: dict[int, InvalidApplication] = {}

        def skip(row: Any) -> str:
            message = f"the row has {row.actual_columns} cells instead of {row.expected_columns}"
            wrong_width[row.number] = InvalidApplication([Problem("", "columns", message)])
            return "skip"

        reader = pyarrow.csv.open_csv(
            source,
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_CSV_BLOCK_BYTES, column_names=None if has_header else known
            ),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(known, pa.string()), strings_can_be_null=True, null_values=["", "NA"]
            ),
        )
        number = 2 if has_header else 1  # of the next row, as the handler counts them
        for block in reader:
            for start in range(0, block.num_rows, BLOCK_ROWS):
                batch = encode_text(block.slice(start, BLOCK_ROWS))
                batch = _with_places_kept(batch, number, wrong_width)
                number += len(batch.matrix)
                yield batch
        if wrong_width:
            yield _with_places_kept(
                encode_text(pa.table({name: pa.array([], pa.string()) for name in known})), number, wrong_width
            )


def read_arrow(source: BinaryIO) -> Iterator[Batch]:
    """An Arrow IPC stream; columns by name, words as text or dictionaries."""
    with _no_arrow_errors("Arrow stream"):
        reader = pyarrow.ipc.open_stream(_native(source))
        check_header(reader.schema.names)
        for block in reader:
            block.validate(full=True)  # offsets from the network are not to be trusted
            for start in range(0, block.num_rows, BLOCK_ROWS):
                yield encode_table(block.slice(start, BLOCK_ROWS))


def rows_of_parquet(source: BinaryIO) -> int:
    """The rows that a Parquet file declares, for a limit to be held before anything is unpacked."""
    with _no_arrow_errors("Parquet file"):
        rows: int = pyarrow.parquet.ParquetFile(_native(source)).metadata.num_rows
        return rows


def read_parquet(source: BinaryIO) -> Iterator[Batch]:
    """A Parquet file, row group by row group."""
    with _no_arrow_errors("Parquet file"):
        file = pyarrow.parquet.ParquetFile(_native(source))
        check_header(file.schema_arrow.names)
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        if any(group.total_byte_size > _LARGEST_ROW * max(group.num_rows, 1) + _CSV_BLOCK_BYTES for group in groups):
            raise MalformedBody("the Parquet file would unpack to far more than its rows can hold")
        for block in file.iter_batches(batch_size=BLOCK_ROWS, use_threads=False):
            yield encode_table(block)


def _with_places_kept(batch: Batch, number: int, wrong_width: dict[int, InvalidApplication]) -> Batch:
    """The batch with the rows that the CSV reader skipped put back where they stood, refused."""
    rows = len(batch.matrix)
    places: list[int] = []
    skipped: dict[int, InvalidApplication] = {}
    for skipped_number in sorted(wrong_width):
        place = skipped_number - number
        if place > rows + len(places):
            break
        places.append(place)
        skipped[place] = wrong_width.pop(skipped_number)
    if not places:
        return batch
    kept = np.setdiff1d(np.arange(rows + len(places)), places)
    matrix = np.full((rows + len(places), batch.matrix.shape[1]), np.nan, dtype=np.float32)
    matrix[kept] = batch.matrix
    return Batch(matrix, {**{int(kept[row]): refused for row, refused in batch.refused.items()}, **skipped})


def _native(source: BinaryIO) -> Any:
    """Bytes in memory as Arrow reads them itself, without a call into Python for each piece."""
    return pa.BufferReader(source.getbuffer()) if isinstance(source, io.BytesIO) else source


@contextmanager
def _no_arrow_errors(kind: str) -> Iterator[None]:
    """Arrow's messages quote the data, so none of them leaves here."""
    try:
        yield
    except (pa.ArrowException, OSError, csv.Error, UnicodeDecodeError, MemoryError):
        raise MalformedBody(f"the body is not a valid {kind}") from None
