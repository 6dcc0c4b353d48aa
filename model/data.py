"""Labelled applications from CSV or Parquet, judged by the schema before anything is trained on them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from model.errors import TrainingDataError
from model.groups import Grouping, grouped, is_audited
from preprocessing.columns import check_header, encode_table, encode_text
from preprocessing.encode import FIELDS, MODEL_PLACES, Batch, Codes, Matrix
from preprocessing.errors import InvalidBatch

ROWS_NAMED = 5  # an error names this many rows and counts the rest
FEWEST_OF_A_CLASS = 50  # fewer than this in a class cannot be split three ways and judged


class Decisions(NamedTuple):
    """Applications that the service has decided, (fields, rows) in codes, with what became of them.

    `facts` says for the manifest how many there are of each tier and where the labels come from.
    """

    codes: Codes
    bad: npt.NDArray[np.bool_]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Labelled:
    """`matrix` (rows, fields) float32, `bad` (rows,) bool, `warnings` for a person, `sha256` of the file.

    `groups` has a grouping of the rows for each field that the fairness report looks at: protected ones, which the
    matrix leaves out, and those that the schema gives groups to.
    """

    matrix: Matrix
    bad: npt.NDArray[np.bool_]
    groups: Sequence[Grouping]
    warnings: Sequence[str]
    sha256: str
    decisions: Mapping[str, Any] = field(default_factory=dict)  # of the rows that were the service's own decisions

    def of(self, rows: npt.NDArray[np.int64]) -> "Labelled":
        """Some of the rows."""
        groups = [grouping.of(rows) for grouping in self.groups]
        return replace(self, matrix=self.matrix[rows], bad=self.bad[rows], groups=groups)


def read_labelled(path: Path, label: str, bad: str, decisions: Decisions | None = None) -> Labelled:
    """Reads `path`; the column `label` holds the verdict, `bad` is the verdict that counts as risk. `decisions` are
    added to its rows.

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
    applications = table.drop_columns([label])
    batch = encode_text(applications) if path.suffix != ".parquet" else encode_table(applications)
    _check_rows(batch)
    first = _first_occurrences(table)
    warnings = []
    if len(first) < table.num_rows:
        repeated = sorted(set(range(table.num_rows)) - set(first.tolist()))
        warnings.append(f"{_rows_named([row + 1 for row in repeated])}: repeats an earlier row; left out")
    assert batch.codes is not None, "columns come with their codes"
    codes, bad_rows = batch.codes[:, first], np.asarray(verdicts == bad)[first]
    if decisions is not None:
        added = _not_among(decisions, codes, bad_rows)
        if left_out := decisions.bad.size - added.size:
            warnings.append(f"{left_out} of the decisions repeat other rows; left out")
        codes = np.hstack([codes, decisions.codes[:, added]])
        bad_rows = np.append(bad_rows, decisions.bad[added])
    if min(bad_rows.sum(), (~bad_rows).sum()) < FEWEST_OF_A_CLASS:
        raise TrainingDataError(
            f"{int(bad_rows.sum())} bad and {int((~bad_rows).sum())} other applications are too few to train on: "
            f"each needs {FEWEST_OF_A_CLASS}"
        )
    groups = [grouped(one, column) for one, column in zip(FIELDS, codes, strict=True) if is_audited(one)]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    matrix = np.ascontiguousarray(codes[MODEL_PLACES].T, dtype=np.float32)
    return Labelled(matrix, bad_rows, groups, warnings, digest, {} if decisions is None else decisions.facts)


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


def _check_header(names: list[str], label: str) -> None:
    if label not in names:
        raise TrainingDataError(f"there is no column {label!r} for the label; set LABEL to one of {', '.join(names)}")
    if names.count(label) > 1:
        raise TrainingDataError(f"column {label!r} (the label) comes more than once")
    try:
        check_header([name for name in names if name != label])
    except InvalidBatch as error:
        problem = error.detail[0]
        if problem.rule == "required":
            raise TrainingDataError(f"{problem.message} ({problem.field!r})") from None
        place = f"column {names.index(problem.field) + 1} ({problem.field!r})"
        raise TrainingDataError(f"{place}: {problem.message}; the fields are in preprocessing/schema.py") from None


def _check_rows(batch: Batch) -> None:
    if batch.refused:
        rows = [row + 1 for row in sorted(batch.refused)]
        problems = "; ".join(f"{problem.field}: {problem.message}" for problem in batch.refused[rows[0] - 1].detail)
        raise TrainingDataError(f"{_rows_named(rows)} cannot be trained on; row {rows[0]}: {problems}")


def _first_occurrences(table: Any) -> npt.NDArray[np.int64]:
    rows = list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
    return np.array(sorted({row: number for number, row in reversed(list(enumerate(rows)))}.values()), dtype=np.int64)


def _not_among(decisions: Decisions, codes: Codes, bad: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The decisions that repeat neither a row with these codes and labels, nor an earlier decision."""
    seen = {(*column, label) for column, label in zip(_plain(codes), bad.tolist(), strict=True)}
    added = []
    for row, key in enumerate(zip(_plain(decisions.codes), decisions.bad.tolist(), strict=True)):
        if (once := (*key[0], key[1])) not in seen:
            seen.add(once)
            added.append(row)
    return np.array(added, dtype=np.int64)


def _plain(codes: Codes) -> list[list[float | None]]:
    """A list a row, None for missing: NaN equals nothing."""
    return [[None if code != code else code for code in row] for row in codes.T.tolist()]


def _row_numbers(wrong: Sequence[bool] | npt.NDArray[np.bool_]) -> list[int]:
    return [number for number, is_wrong in enumerate(wrong, start=1) if is_wrong]


def _rows_named(rows: list[int]) -> str:
    named = ", ".join(str(row) for row in rows[:ROWS_NAMED])
    rest = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{rest}"


def _refuse(rows: list[int], reason: str) -> None:
    if rows:
        raise TrainingDataError(f"{_rows_named(rows)}: {reason}")
