"""Training reads what its owner exports: other names of fields, other spellings of words, numbers with separators."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from model.cells import language_of, verdicts
from model.data import Labelled, read_labelled
from model.errors import TrainingDataError
from model.train import BUNDLED
from preprocessing.channels.names import camel
from preprocessing.encode import FIELDS
from preprocessing.fields import Category
from preprocessing.schema import BAD, LABEL

ROWS = 400


@pytest.fixture(scope="module")
def expected() -> list[dict[str, str]]:
    with BUNDLED.open() as source:
        return list(csv.DictReader(source))[:ROWS]


def respelled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows under their fields' labels or other names, with words shouted and numbers as sheets show them."""
    headers = {field.name: (field.kind.also or (field.kind.label,))[0] for field in FIELDS}
    words = {field.name for field in FIELDS if isinstance(field.kind, Category)}

    def cell(name: str, text: str) -> str:
        if not text or name == LABEL:
            return text
        return f" {text.upper()} " if name in words else f"{float(text):,.2f}"

    return [{headers.get(name, name): cell(name, text) for name, text in row.items()} for row in rows]


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(
            pa.Table.from_pylist([{k: v or None for k, v in row.items()} for row in rows]), path
        )
        return path
    with path.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_other_names_and_spellings_make_the_same_matrix(
    tmp_path: Path, labelled: Labelled, expected: list[dict[str, str]], name: str
) -> None:
    again = read_labelled(written(tmp_path / name, respelled(expected)), LABEL, BAD)
    np.testing.assert_array_equal(again.matrix, labelled.matrix[:ROWS])
    np.testing.assert_array_equal(again.bad, labelled.bad[:ROWS])


def test_camel_case_is_another_spelling_too(tmp_path: Path, labelled: Labelled, expected: list[dict[str, str]]) -> None:
    rows = [{camel(name): text for name, text in row.items()} for row in expected]
    np.testing.assert_array_equal(
        read_labelled(written(tmp_path / "t.csv", rows), LABEL, BAD).matrix, labelled.matrix[:ROWS]
    )


def test_a_number_that_two_rows_write_in_two_ways_is_refused(tmp_path: Path, expected: list[dict[str, str]]) -> None:
    number = next(
        field for field in FIELDS if field.kind.also and not isinstance(field.kind, Category) and field.required
    )
    rows = [dict(row) for row in expected]
    rows[3][number.name], rows[5][number.name], rows[8][number.name] = "1,5.0", "1,234", "1.5,0"
    with pytest.raises(TrainingDataError, match="cannot be trained on"):
        read_labelled(written(tmp_path / "t.csv", rows), LABEL, BAD)


def test_rows_without_a_verdict_are_left_out_where_that_is_wished(
    tmp_path: Path, expected: list[dict[str, str]]
) -> None:
    rows = [row | {LABEL: ""} if place in (3, 9) else row for place, row in enumerate(expected)]
    path = written(tmp_path / "t.csv", rows)
    with pytest.raises(TrainingDataError, match="--skip-unlabelled leaves such rows out"):
        read_labelled(path, LABEL, BAD)
    left = read_labelled(path, LABEL, BAD, skip_unlabelled=True)
    assert left.bad.size == ROWS - 2
    assert left.warnings == [f"rows 4, 10: column {LABEL!r} (the label) is missing; left out"]


def test_errors_in_a_sample_name_the_rows_of_the_file(tmp_path: Path, expected: list[dict[str, str]]) -> None:
    required = next(field for field in FIELDS if field.required)
    rows = [row | {required.name: ""} if place == 199 else row for place, row in enumerate(expected)]
    path = written(tmp_path / "t.csv", rows)
    with pytest.raises(TrainingDataError, match="row 200 cannot be trained on"):
        read_labelled(path, LABEL, BAD, most_rows=ROWS - 1)
    assert read_labelled(BUNDLED, LABEL, BAD, most_rows=1000).bad.size == 1000


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1,200.5"], "en"), (["1.200,5"], "de"), (["12,5", "1.200"], "de"), (["1,200", "80"], "en"),
        (["1.200", "80"], ""), (["1,5", "1.5"], ""), (["1,200,300"], "en"), (["0,250"], "de"), (["80"], ""),
    ],
)  # fmt: skip
def test_a_column_tells_how_its_numbers_are_written(texts: list[str], expected: str) -> None:
    assert language_of(texts) == expected


def test_verdicts_in_several_spellings_are_two() -> None:
    assert verdicts(["good", "bad"]) == {"good": "good", "bad": "bad"}
    assert len(set(verdicts(["Good", "good ", "bad", "BAD"]).values())) == 2
    assert len(set(verdicts(["yes", "1", "TRUE", "no", "0", "N", "NaN", ""]).values())) == 2
    assert len(set(verdicts(["good", "bad", "open"]).values())) == 3
