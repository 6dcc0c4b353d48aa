"""First step for columnar bodies and files: CSV, Arrow and Parquet → batches of a few thousand rows, read as a stream.

A file that cannot be read raises MalformedBody, without a word of its content; wrong columns raise InvalidBatch. A row
that is wrong by itself keeps its place and costs nobody else anything.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from preprocessing.columns import NOT_A_NUMBER, check_header, encode_table, encode_text, with_words
from preprocessing.encode import FIELDS, Batch
from preprocessing.errors import BatchTooLarge, InvalidApplication, InvalidBatch, MalformedBody, Problem
from preprocessing.fields import Category
from preprocessing.lines import LineByLine, Utf8
from preprocessing.unpacked import check_messages, check_pages, chunks_of

BLOCK_ROWS = 4096  # of a dozen float32 fields stay in a core's second-level cache
_CSV_BLOCK_BYTES = 2**20
_LONGEST_CSV_HEADER = 2**16
_READ_AT_ONCE = 2**21  # bytes of a Parquet column, so that a large row group takes no more memory than a small one
_FIELDS = frozenset(field.name for field in FIELDS)
_WORDS = frozenset(field.name for field in FIELDS if isinstance(field.kind, Category))


class Block(NamedTuple):
    """Some rows as a batch, and beside it an Arrow record batch of their columns that are kept as they came."""

    batch: Batch
    kept: Any


class Table(NamedTuple):
    """A file being read. `kept` is the Arrow schema of the kept columns, `rows` None where the file does not tell."""

    kept: Any
    rows: int | None
    blocks: Iterator[Block]


def read_csv(source: BinaryIO, by_line: bool = False) -> Iterator[Batch]:
    """Comma-separated UTF-8 text; a first row with a field's name in it is the header, else schema order is meant.

    Without a header a category may also come as its code, and a missing value as NaN. `by_line`: every line but the
    header is a row, whatever is in it, an empty one too; without that, empty lines are passed over and a cell in quotes
    may have lines of its own.
    """
    for block in open_csv(source, by_line=by_line).blocks:
        yield block.batch


def open_csv(source: BinaryIO, keep: Sequence[str] = (), block_rows: int = BLOCK_ROWS, by_line: bool = False) -> Table:
    """The same with columns to keep, which come as text."""
    names = _first_row(source, by_line)
    has_header = not _FIELDS.isdisjoint(names)
    if has_header:
        check_header(names, keep)
    elif keep:
        raise MalformedBody("a CSV without a header has no column that could be kept by its name")
    elif len(names) != len(FIELDS) and not by_line:
        raise MalformedBody(
            f"the first line names no field, and a CSV without a header needs {len(FIELDS)} columns in schema order, "
            f"separated by commas, not {len(names)}"
        )
    else:
        names = [field.name for field in FIELDS]
    kept = pa.schema([(name, pa.string()) for name in keep])
    return Table(kept, None, _csv_blocks(source, names, has_header, keep, block_rows, by_line))


def has_csv_header(source: BinaryIO) -> bool:
    """Whether the CSV's first line names fields."""
    return not _FIELDS.isdisjoint(_first_row(source, by_line=True))


def _first_row(source: BinaryIO, by_line: bool) -> list[str]:
    source.seek(0)
    first_line = source.read(_LONGEST_CSV_HEADER)
    source.seek(0)
    rows = csv.reader(io.StringIO(first_line.decode("utf-8-sig", "replace")))
    with _no_arrow_errors("CSV"):
        try:
            return next(rows, [])
        except csv.Error:
            if by_line:  # a damaged line is no header, and has its error in its place
                return []
            raise


def _csv_blocks(
    source: BinaryIO, names: Sequence[str], has_header: bool, keep: Sequence[str], block_rows: int, by_line: bool
) -> Iterator[Block]:
    wrong_width: dict[int, InvalidApplication] = {}

    def skip(row: Any) -> str:
        message = f"the row has {row.actual_columns} cells instead of {row.expected_columns}"
        wrong_width[row.number] = InvalidApplication([Problem("", "columns", message)])
        return "skip"

    with _no_arrow_errors("CSV"):
        reader = pyarrow.csv.open_csv(
            LineByLine(source) if by_line else Utf8(source),
            pyarrow.csv.ReadOptions(
                use_threads=False, block_size=_CSV_BLOCK_BYTES, column_names=None if has_header else names
            ),
            pyarrow.csv.ParseOptions(newlines_in_values=not by_line, invalid_row_handler=skip),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=["", "NA", *([] if has_header else NOT_A_NUMBER)],
            ),
        )
        number = 2 if has_header else 1  # of the next row, as the handler counts them
        for rows in reader:
            rows = rows if has_header else with_words(rows)
            for start in range(0, rows.num_rows, block_rows):
                block = _with_places_kept(_block(rows.slice(start, block_rows), keep, text=True), number, wrong_width)
                number += len(block.batch.matrix)
                yield block
        if wrong_width:
            none = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in names]))
            yield _with_places_kept(_block(none, keep, text=True), number, wrong_width)


def read_arrow(source: BinaryIO, most_rows: int | None = None) -> Iterator[Batch]:
    """An Arrow IPC stream; columns by name, words as text or dictionaries. BatchTooLarge before any row is read."""
    with _no_arrow_errors("Arrow stream"):
        reader = pyarrow.ipc.open_stream(_native(source))
        check_header(reader.schema.names)
        source.seek(0)
        rows = check_messages(pyarrow.ipc.MessageReader.open_stream(_native(source)))
        if most_rows is not None and rows > most_rows:
            raise BatchTooLarge.of(rows, most_rows, "RISKLINE_MAX_BULK_ROWS")
        source.seek(0)
        reader = pyarrow.ipc.open_stream(_native(source))
        for block in reader:
            block.validate(full=True)  # offsets from the network are not to be trusted
            for start in range(0, block.num_rows, BLOCK_ROWS):
                yield encode_table(block.slice(start, BLOCK_ROWS))


def read_parquet(source: BinaryIO, most_rows: int | None = None) -> Iterator[Batch]:
    """A Parquet file, row group by row group; BatchTooLarge before any is unpacked if it declares above `most_rows`."""
    table = open_parquet(source)
    if most_rows is not None and table.rows is not None and table.rows > most_rows:
        raise BatchTooLarge.of(table.rows, most_rows, "RISKLINE_MAX_BULK_ROWS")
    check_pages(source, chunks_of(source, _FIELDS))
    for block in table.blocks:
        yield block.batch


def open_parquet(source: BinaryIO, keep: Sequence[str] = (), block_rows: int = BLOCK_ROWS) -> Table:
    """The same with columns to keep, which come in their own types."""
    with _no_arrow_errors("Parquet file"):
        source = _native(source)
        footer = pyarrow.parquet.ParquetFile(source).metadata
        file = pyarrow.parquet.ParquetFile(
            source,
            metadata=footer,
            read_dictionary=_words_in(footer, keep),
            buffer_size=_READ_AT_ONCE,
            pre_buffer=False,  # it would hold the whole file in the end
        )
        check_header(file.schema_arrow.names, keep)
        _refuse_other_types(footer)
        chunks_of(source, _FIELDS)
        kept = pa.schema([file.schema_arrow.field(name) for name in keep])
        return Table(kept, footer.num_rows, _parquet_blocks(file, keep, block_rows))


def _parquet_blocks(file: Any, keep: Sequence[str], block_rows: int) -> Iterator[Block]:
    with _no_arrow_errors("Parquet file"):
        for rows in file.iter_batches(batch_size=block_rows, use_threads=False):
            rows.validate(full=True)  # an index into the words is not to be trusted either
            yield _block(rows, keep)


def _words_in(footer: Any, keep: Sequence[str]) -> list[str]:
    """The columns of words that are not kept: read as a dictionary, a word is text once and not once a row."""
    words = _WORDS.difference(keep)
    columns = map(footer.schema.column, range(footer.num_columns))
    return [column.path for column in columns if column.path in words and column.physical_type == "BYTE_ARRAY"]


def _refuse_other_types(footer: Any) -> None:
    """One long word of a dictionary, repeated in every row, fills the memory out of a few bytes; so does a list."""
    columns = [footer.schema.column(place) for place in range(footer.num_columns)]
    lists = {name: "lists" for column in columns if column.max_repetition_level and (name := _name(column.path))}
    text = {c.path: "text" for c in columns if c.path in _FIELDS - _WORDS and c.physical_type == "BYTE_ARRAY"}
    if lists or text:
        raise InvalidBatch(
            "the columns are not those of an application",
            [
                Problem(name, "type", f"this column must hold {'text' if name in _WORDS else 'numbers'}, not {what}")
                for name, what in (text | lists).items()
            ],
        )


def _name(path: str) -> str:
    """The field that a Parquet column belongs to; empty where it is none's."""
    name = path.split(".")[0]
    return name if name in _FIELDS else ""


def _block(rows: Any, keep: Sequence[str], text: bool = False) -> Block:
    fields = rows.select([name for name in rows.schema.names if name in _FIELDS])
    return Block(encode_text(fields) if text else encode_table(fields), rows.select(list(keep)))


def _with_places_kept(block: Block, number: int, wrong_width: dict[int, InvalidApplication]) -> Block:
    """The block with the rows that the CSV reader skipped put back where they stood, refused."""
    rows = len(block.batch.matrix)
    places: list[int] = []
    skipped: dict[int, InvalidApplication] = {}
    for skipped_number in sorted(wrong_width):
        place = skipped_number - number
        if place > rows + len(places):
            break
        places.append(place)
        skipped[place] = wrong_width.pop(skipped_number)
    if not places:
        return block
    stood = np.setdiff1d(np.arange(rows + len(places)), places)
    assert block.batch.codes is not None, "columns are read with their codes"
    matrix = np.full((rows + len(places), block.batch.matrix.shape[1]), np.nan, dtype=np.float32)
    matrix[stood] = block.batch.matrix
    codes = np.full((len(FIELDS), rows + len(places)), np.nan)
    codes[:, stood] = block.batch.codes
    refused = {**{int(stood[row]): error for row, error in block.batch.refused.items()}, **skipped}
    before = np.full(len(matrix), -1)
    before[stood] = np.arange(rows)
    return Block(Batch(matrix, refused, codes), block.kept.take(pa.array(before, mask=before < 0)))


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
