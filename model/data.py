"""Labelled applications from CSV or Parquet, judged by the schema before anything is trained on them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from pydantic_core import to_json

from model.errors import TrainingDataError
from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS, Matrix, encode_columns, invalid_rows
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Number

ROWS_NAMED = 5  # an error names this many rows and counts the rest
FEWEST_OF_A_CLASS = 50  # fewer than this in a class cannot be split three ways and judged


@dataclass(frozen=True, slots=True)
class Labelled:
    """`columns` as for `encode_columns`, `bad` (rows,) bool, `warnings` for a person, `sha256` of the file."""

    columns: Mapping[str, npt.NDArray[Any]]
    bad: npt.NDArray[np.bool_]
    warnings: Sequence[str]
    sha256: str

    def matrix(self) -> Matrix:
        return encode_columns(self.columns)


def read_labelled(path: Path, label: str, bad: str) -> Labelled:
    """Reads `path`; the column `label` holds the verdict, `bad` is the verdict that counts as risk.

    Raises TrainingDataError, with row numbers (the first row of data is row 1), for a column that the schema does not
    know, an application that breaks the schema, a missing label, other than two verdicts, or too few rows. A row that
    repeats an earlier one is left out, so that it cannot sit on both sides of a split, and named in `warnings`.
    """
    table = _read(path)
    _check_header(table.column_names, label)
    verdicts = np.array(table[label].cast(pa.string()).to_pylist(), dtype=object)
    _refuse(_row_numbers([verdict in (None, "") for verdict in verdicts]), f"column {label!r} (the label) is missing")
    known = sorted(set(verdicts))
    if len(known) != 2 or bad not in known:
        raise TrainingDataError(
            f"column {label!r} must hold two verdicts, one of them {bad!r}; it holds {len(known)}: "
            f"{', '.join(repr(verdict) for verdict in known[:5])}. Set LABEL and BAD to the right ones"
        )
    columns = {field.name: _column(table, field.name, isinstance(field.kind, Number)) for field in FIELDS}
    _check_rows(columns)
    first = _first_occurrences(table)
    warnings = []
    if len(first) < table.num_rows:
        repeated = sorted(set(range(table.num_rows)) - set(first.tolist()))
        warnings.append(f"{_rows_named([row + 1 for row in repeated])}: repeats an earlier row; left out")
    bad_rows = np.asarray(verdicts == bad)[first]
    if min(bad_rows.sum(), (~bad_rows).sum()) < FEWEST_OF_A_CLASS:
        raise TrainingDataError(
            f"{int(bad_rows.sum())} bad and {int((~bad_rows).sum())} other applications are too few to train on: "
            f"each needs {FEWEST_OF_A_CLASS}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Labelled({name: column[first] for name, column in columns.items()}, bad_rows, warnings, digest)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise TrainingDataError(f"{path} does not exist; name a CSV or Parquet file with DATA=")
    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        # As text first: a number that is none must cost its row a clear error, not the file
        header = pyarrow.csv.open_csv(path).schema.names
        as_text = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=["", "NA"]
        )
        return pyarrow.csv.read_csv(
            path, convert_options=as_text, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        )
    except pa.ArrowInvalid as error:
        raise TrainingDataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _check_header(names: Sequence[str], label: str) -> None:
    if label not in names:
        raise TrainingDataError(f"there is no column {label!r} for the label; set LABEL to one of {', '.join(names)}")
    known = {field.name for field in FIELDS}
    for number, name in enumerate(names, start=1):
        if name != label and name not in known:
            raise TrainingDataError(f"column {number} ({name!r}) is not a field of preprocessing/schema.py")
        if list(names).count(name) > 1:
            raise TrainingDataError(f"column {number} ({name!r}) comes more than once")
    if absent := [field.name for field in FIELDS if field.required and field.name not in names]:
        raise TrainingDataError(f"column {absent[0]!r} is missing and the schema requires it")


def _column(table: Any, name: str, number: bool) -> npt.NDArray[Any]:
    """A number → float64 with NaN for missing and inf for what is no number at all; a word → object with None."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan) if number else np.full(table.num_rows, None, dtype=object)
    column = table[name]
    if not number:
        return np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    try:
        numbers = pc.cast(column, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.array([_number(value) for value in column.to_pylist()], dtype=np.float64)
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float("nan") if value is None else float(str(value))
    except ValueError:
        return float("inf")  # never valid, so the row is refused


def _check_rows(columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """The vectorised rules find the rows, the record path says what is wrong with the first of them."""
    wrong = invalid_rows(columns)
    if not wrong.any():
        return
    rows = _row_numbers(wrong)
    row = rows[0] - 1
    [verdict] = decode_application(_as_body(columns, row))
    if not isinstance(verdict, InvalidApplication):
        raise AssertionError("the columns' rules refuse a row that the records' rules accept: this is a bug")
    problems = "; ".join(f"{problem.field}: {problem.message}" for problem in verdict.detail)
    raise TrainingDataError(f"{_rows_named(rows)} cannot be trained on; row {rows[0]}: {problems}")


def _as_body(columns: Mapping[str, npt.NDArray[Any]], row: int) -> bytes:
    values = {name: column[row] for name, column in columns.items()}
    missing = {name for name, value in values.items() if value is None or value != value}
    return to_json({n: v for n, v in values.items() if n not in missing}, inf_nan_mode="constants")


def _first_occurrences(table: Any) -> npt.NDArray[np.int64]:
    rows = list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
    return np.array(sorted({row: number for number, row in reversed(list(enumerate(rows)))}.values()), dtype=np.int64)


def _row_numbers(wrong: Sequence[bool] | npt.NDArray[np.bool_]) -> list[int]:
    return [number for number, is_wrong in enumerate(wrong, start=1) if is_wrong]


def _rows_named(rows: list[int]) -> str:
    named = ", ".join(str(row) for row in rows[:ROWS_NAMED])
    rest = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{rest}"


def _refuse(rows: list[int], reason: str) -> None:
    if rows:
        raise TrainingDataError(f"{_rows_named(rows)}: {reason}")
