"""A table as its owner exports it: CSV with any delimiter, or Parquet; all of its rows, or some drawn at random.

Knows no schema. A CSV comes as text, because a number that is none must cost its row a clear error, not the file.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from model.errors import TrainingDataError

FEWEST_OF_A_CLASS = 50  # applications; fewer than this cannot be split three ways and judged
ROWS_NAMED = 5  # an error names this many rows and counts the rest
_DELIMITERS = ",;\t|"
_LONGEST_HEADER = 2**20  # bytes
_BLOCK_BYTES = 2**23
_BLOCK_ROWS = 2**16
# Arrow would repeat the row, and counts the header
_A_ROW = re.compile(r"CSV parse error: (?:Row #(\d+): )?(Expected \d+ columns, got \d+): .*")
_OF_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
_SEED = 20  # the same rows are drawn at every run
_OTHER_ENCODING = "cp1252"  # of spreadsheets in Western Europe; any bytes but five are text in it
_PARQUET = b"PAR1"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# how a file begins that is often taken for a table
_NO_TABLES = {
    b"PK\x03\x04": "it is a workbook or an archive; export CSV or Parquet from it",
    b"\x1f\x8b": "it is compressed; unpack it first",
}


class Source(NamedTuple):
    """`numbers` has each row's number in the file, from 1; `rows` is how many the file has."""

    table: Any
    numbers: npt.NDArray[np.int64]
    rows: int


def read(path: Path, most_rows: int | None = None) -> Source:
    """The table in `path`; of a longer one `most_rows` rows in their order, read as a stream, in bounded memory.

    Raises TrainingDataError for a file that is none.
    """
    with _no_other_errors(path):
        return _drawn(_blocks(path), most_rows)


def columns_of(path: Path) -> list[str]:
    """The names of the table's columns."""
    with _no_other_errors(path):
        names: list[str] = _blocks(path).schema.names
    return names


@contextmanager
def _no_other_errors(path: Path) -> Iterator[None]:
    require_file(path, "DATA=")
    try:
        yield
    except UnicodeError:
        said = "its text is neither UTF-8 nor UTF-16 nor Windows-1252; save it as UTF-8"
        raise TrainingDataError(f"{path} cannot be read: {said}") from None
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0]
        if row := _A_ROW.fullmatch(said):
            said = f"row {int(row[1]) - 1}: {row[2]}" if row[1] else row[2]
        raise TrainingDataError(f"{path} cannot be read: {said}") from None


def require_file(path: Path, option: str) -> None:
    """TrainingDataError for a path that is no file, or one that cannot be a table; `option` is what has named it."""
    if not path.is_file():
        said = "is a folder" if path.is_dir() else "does not exist"
        raise TrainingDataError(f"{path} {said}; name a CSV or Parquet file with {option}")
    for beginning, said in _NO_TABLES.items():
        if _begins_with(path, beginning):
            raise TrainingDataError(f"{path} cannot be read: {said}")


def is_parquet(path: Path) -> bool:
    """Whether it is Parquet, whatever its name ends in."""
    return path.suffix == ".parquet" or _begins_with(path, _PARQUET)


def _begins_with(path: Path, *beginnings: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(max(map(len, beginnings))).startswith(beginnings)
    except OSError as error:
        raise TrainingDataError(f"{path} cannot be read: {error.strerror}") from None


def rows_named(rows: Sequence[int]) -> str:
    """Row numbers to begin a sentence with."""
    named = ", ".join(str(row) for row in rows[:ROWS_NAMED])
    rest = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{rest}"


def _blocks(path: Path) -> Any:
    """An iterator of record batches with a schema."""
    if is_parquet(path):
        file = pyarrow.parquet.ParquetFile(path)
        batches = file.iter_batches(_BLOCK_ROWS, use_threads=False)
        return pa.RecordBatchReader.from_batches(file.schema_arrow, batches)
    encoding = _encoding(path)
    options = {
        "read_options": pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=encoding, use_threads=False),
        "parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=_delimiter(path, encoding)),
    }
    header = pyarrow.csv.open_csv(path, **options).schema.names
    as_text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=["", "NA"]
    )
    return pyarrow.csv.open_csv(path, convert_options=as_text, **options)


def _encoding(path: Path) -> str:
    if _begins_with(path, *_UTF16):
        return "utf-16"
    with path.open(encoding="utf-8") as file:
        try:
            while file.read(_BLOCK_BYTES):
                pass
        except UnicodeDecodeError:
            return _OTHER_ENCODING
    return "utf8"


def _delimiter(path: Path, encoding: str) -> str:
    """The one of the usual delimiters that the first line has most of."""
    with path.open(encoding=encoding, errors="replace") as file:
        header = file.readline(_LONGEST_HEADER)
    return max(_DELIMITERS, key=header.count)


def _drawn(blocks: Any, most_rows: int | None) -> Source:
    """Each row draws a number, and those with the smallest ones stay: what stays never depends on the blocks."""
    random = np.random.default_rng(_SEED)
    most = most_rows or np.iinfo(np.int64).max
    kept: list[Any] = []
    drawn, numbers = np.empty(0), np.empty(0, dtype=np.int64)
    limit, rows = np.inf, 0
    for block in _read(blocks):
        draws = random.random(block.num_rows)
        chosen = np.flatnonzero(draws < limit)
        kept.append(block if chosen.size == block.num_rows else block.take(pa.array(chosen)))
        drawn, numbers = np.append(drawn, draws[chosen]), np.append(numbers, rows + 1 + chosen)
        rows += block.num_rows
        if drawn.size > 2 * most:
            kept, drawn, numbers = _smallest(kept, drawn, numbers, most)
            limit = drawn.max()
    if drawn.size > most:
        kept, drawn, numbers = _smallest(kept, drawn, numbers, most)
    return Source(pa.Table.from_batches(kept, _without_views(blocks.schema)).unify_dictionaries(), numbers, rows)


def _read(blocks: Any) -> Iterator[Any]:
    schema = _without_views(blocks.schema)
    for block in blocks:
        yield block if block.schema.equals(schema) else block.cast(schema)


def _without_views(schema: Any) -> Any:
    """Arrow cannot yet choose rows of views."""
    types = [_OF_VIEWS.get(field.type, field.type) for field in schema]
    return pa.schema([field.with_type(type_) for field, type_ in zip(schema, types, strict=True)])


def _smallest(
    kept: list[Any], drawn: npt.NDArray[np.float64], numbers: npt.NDArray[np.int64], most: int
) -> tuple[list[Any], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    stay = np.sort(np.argpartition(drawn, most - 1)[:most])
    table = pa.Table.from_batches(kept).take(pa.array(stay))
    return table.to_batches(), drawn[stay], numbers[stay]
