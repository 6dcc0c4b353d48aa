"""Labelled applications from CSV or Parquet, judged by the schema before anything is trained on them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.cells import verdicts
from model.errors import TrainingDataError
from model.groups import Grouping, grouped, is_audited
from model.source import FEWEST_OF_A_CLASS, is_parquet, read, rows_named
from model.spelled import fields_names, in_the_schemas_words
from preprocessing.columns import check_header, encode_table, encode_text
from preprocessing.encode import FIELDS, MODEL_PLACES, Batch, Codes, Matrix
from preprocessing.errors import InvalidBatch
from preprocessing.schema import LEFT_OUT

COLUMNS_NAMED = 20  # of a table without the label; an error counts the rest


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


def read_labelled(
    path: Path,
    label: str,
    bad: str,
    decisions: Decisions | None = None,
    most_rows: int | None = None,
    skip_unlabelled: bool = False,
) -> Labelled:
    """Reads `path`; the column `label` holds the verdict, `bad` is the verdict that counts as risk. `decisions` are
    added to its rows, of which `most_rows` are drawn if there are more.

    A column may also have its field's other names, and a cell the spellings of an export (`spelled.py`). Raises
    TrainingDataError, with row numbers (the first row of data is row 1), for a column that the schema does not
    know, an application that breaks the schema, a missing label (unless `skip_unlabelled`), other than two verdicts, or
    too few rows. A row that repeats an earlier one is left out, so that it cannot sit on both sides of a split, and
    named in `warnings`.
    """
    warnings = []
    table, numbers, rows = read(path, most_rows)
    if len(numbers) < rows:
        warnings.append(f"{len(numbers):,} of the {rows:,} rows are used, drawn at random")
    table = table.rename_columns(fields_names(table.column_names, label))
    _check_header(path, table.column_names, label)
    said = table[label].cast(pa.string()).to_pylist()
    meant = verdicts({text for text in said if text is not None})
    unlabelled = np.array([text not in meant for text in said], dtype=bool)
    if unlabelled.any():
        if not skip_unlabelled:
            reason = f"column {label!r} (the label) is missing; --skip-unlabelled leaves such rows out"
            raise TrainingDataError(f"{rows_named(numbers[unlabelled].tolist())}: {reason}")
        warnings.append(
            f"{rows_named(numbers[unlabelled].tolist())}: column {label!r} (the label) is missing; left out"
        )
        table, numbers = table.filter(pa.array(~unlabelled)), numbers[~unlabelled]
    labels = np.array([meant[text] for text in said if text in meant], dtype=object)
    bad, known = meant.get(bad, bad), sorted(set(labels))
    if len(known) != 2 or bad not in known:
        raise TrainingDataError(
            f"column {label!r} must hold two verdicts, one of them {bad!r}; it holds {len(known)}: "
            f"{', '.join(repr(verdict) for verdict in known[:5])}. Set LABEL and BAD to the right ones"
        )
    is_text = not is_parquet(path)
    applications = in_the_schemas_words(table.drop_columns([label]), is_text)
    batch = encode_text(applications) if is_text else encode_table(applications)
    _check_rows(batch, numbers)
    first = _first_occurrences(table)
    if len(first) < table.num_rows:
        repeated = np.setdiff1d(np.arange(table.num_rows), first)
        warnings.append(f"{rows_named(numbers[repeated].tolist())}: repeats an earlier row; left out")
    assert batch.codes is not None, "columns come with their codes"
    codes, bad_rows = batch.codes[:, first], np.asarray(labels == bad)[first]
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
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    matrix = np.ascontiguousarray(codes[MODEL_PLACES].T, dtype=np.float32)
    return Labelled(matrix, bad_rows, groups, warnings, digest, {} if decisions is None else decisions.facts)


def _check_header(path: Path, names: list[str], label: str) -> None:
    if label not in names:
        more = f" and {len(names) - COLUMNS_NAMED} more" if len(names) > COLUMNS_NAMED else ""
        listed = ", ".join(names[:COLUMNS_NAMED]) + more
        raise TrainingDataError(f"{path} has no column {label!r} for the label; set LABEL to one of {listed}")
    if names.count(label) > 1:
        raise TrainingDataError(f"column {label!r} (the label) comes more than once")
    try:
        check_header([name for name in names if name != label and name not in LEFT_OUT])
    except InvalidBatch as error:
        problem = error.detail[0]
        if problem.rule == "required":
            raise TrainingDataError(f"{problem.message} ({problem.field!r})") from None
        place = f"column {names.index(problem.field) + 1} ({problem.field!r})"
        raise TrainingDataError(f"{place}: {problem.message}; the fields are in preprocessing/schema.py") from None


def _check_rows(batch: Batch, numbers: npt.NDArray[np.int64]) -> None:
    if batch.refused:
        refused = sorted(batch.refused)
        rows = numbers[refused].tolist()
        problems = "; ".join(f"{problem.field}: {problem.message}" for problem in batch.refused[refused[0]].detail)
        raise TrainingDataError(f"{rows_named(rows)} cannot be trained on; row {rows[0]}: {problems}")


def _first_occurrences(table: Any) -> npt.NDArray[np.int64]:
    rows = list(zip(*map(_cells, table.columns), strict=True))
    return np.array(sorted({row: number for number, row in reversed(list(enumerate(rows)))}.values()), dtype=np.int64)


def _cells(column: Any) -> list[Any]:
    cells = column.to_pylist()
    return list(map(repr, cells)) if pa.types.is_nested(column.type) else cells  # lists cannot be looked up


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
