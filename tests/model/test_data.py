import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from model.data import Labelled, read_labelled
from model.errors import TrainingDataError
from model.train import BUNDLED
from preprocessing.encode import encode
from preprocessing.schema import BAD, LABEL, Application

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def bundled() -> Rows:
    with BUNDLED.open() as source:
        return list(csv.DictReader(source))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Rows], Path]:
    def write(rows: Rows) -> Path:
        path = tmp_path / "applications.csv"
        with path.open("w", newline="") as target:
            writer = csv.DictWriter(target, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def refusal(path: Path, label: str = LABEL, bad: str = BAD) -> str:
    with pytest.raises(TrainingDataError) as caught:
        read_labelled(path, label, bad)
    assert "\n" not in caught.value.message
    return caught.value.message


def changed(rows: Rows, changes: dict[int, dict[str, str]]) -> Rows:
    """Copies with changes by row number; the first row of data is row 1."""
    return [{**row, **changes.get(number, {})} for number, row in enumerate(rows, start=1)]


def test_the_bundled_table_is_read_whole_but_for_rows_that_repeat_another(labelled: Labelled) -> None:
    assert labelled.bad.size == 4452
    assert labelled.bad.sum() == 1253
    assert labelled.warnings == ["rows 1023, 2930: repeats an earlier row; left out"]


def test_columns_read_from_the_file_make_the_matrix_of_the_same_rows_as_records(
    bundled: Rows, written: Callable[[Rows], Path]
) -> None:
    rows = bundled[:500]
    records = []
    for row in rows:
        values: dict[str, Any] = {name: value for name, value in row.items() if name != LABEL and value != ""}
        for name, value in values.items():
            try:
                values[name] = float(value)
            except ValueError:
                continue
        records.append(Application.model_validate(values))
    np.testing.assert_array_equal(read_labelled(written(rows), LABEL, BAD).matrix, encode(records).matrix)


def test_parquet_gives_what_csv_gives(tmp_path: Path, labelled: Labelled) -> None:
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    table = pyarrow.csv.read_csv(BUNDLED, convert_options=options)
    table = table.set_column(2, "home", table["home"].dictionary_encode())  # as pandas writes its categories
    path = tmp_path / "applications.parquet"
    pyarrow.parquet.write_table(table, path)
    again = read_labelled(path, LABEL, BAD)
    np.testing.assert_array_equal(again.matrix, labelled.matrix)
    np.testing.assert_array_equal(again.bad, labelled.bad)


def test_a_column_of_lists_is_left_out_like_any_other(
    tmp_path: Path, labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("model.data", "model.spelled"):
        monkeypatch.setattr(f"{module}.LEFT_OUT", ("tags",))
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    table = pyarrow.csv.read_csv(BUNDLED, convert_options=options)
    path = tmp_path / "applications.parquet"
    pyarrow.parquet.write_table(table.append_column("tags", pa.array([["a"]] * table.num_rows)), path)
    np.testing.assert_array_equal(read_labelled(path, LABEL, BAD).matrix, labelled.matrix)


def test_labels_may_be_numbers_or_booleans(tmp_path: Path, labelled: Labelled) -> None:
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    table = pyarrow.csv.read_csv(BUNDLED, convert_options=options)
    verdicts = pa.array([value == BAD for value in table[LABEL].to_pylist()])
    path = tmp_path / "applications.parquet"
    pyarrow.parquet.write_table(table.set_column(0, LABEL, verdicts), path)
    np.testing.assert_array_equal(read_labelled(path, LABEL, "true").bad, labelled.bad)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {7: {"age": "seventeen"}},
            "row 7 cannot be trained on; row 7: age: Age must be a whole number from 18 to 110",
        ),
        ({7: {"age": "17"}}, "row 7 cannot be trained on; row 7: age: Age must be"),
        ({7: {"age": "30.5"}}, "row 7: age"),
        ({7: {"age": ""}}, "row 7: age: Age is required"),
        ({7: {"home": "castle"}}, "row 7: home: Housing must be one of owner"),
        ({3: {"age": "1"}, 8: {"records": "perhaps"}}, "rows 3, 8 cannot be trained on; row 3: age"),
        ({n: {"age": "1"} for n in range(10, 30)}, "rows 10, 11, 12, 13, 14 and 15 more cannot"),
        ({4: {LABEL: ""}, 6: {LABEL: ""}}, "rows 4, 6: column 'status' (the label) is missing"),
        ({5: {LABEL: "unclear"}}, "must hold two verdicts, one of them 'bad'; it holds 3"),
    ],
)
def test_what_is_wrong_with_the_rows_is_said_with_their_numbers(
    bundled: Rows, written: Callable[[Rows], Path], changes: dict[int, dict[str, str]], expected: str
) -> None:
    assert expected in refusal(written(changed(bundled[:400], changes)))


def test_a_value_is_never_repeated(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    message = refusal(written(changed(bundled[:400], {7: {"age": "1717", "home": "castle"}})))
    assert "1717" not in message
    assert "castle" not in message


def test_a_column_that_the_schema_does_not_know_is_named(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    rows = [{**row, "shoe_size": "44"} for row in bundled[:400]]
    assert refusal(written(rows)) == (
        "column 15 ('shoe_size'): no field has this name; the fields are in preprocessing/schema.py"
    )


def test_a_required_column_that_is_absent_is_named(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    rows = [{name: value for name, value in row.items() if name != "age"} for row in bundled[:400]]
    assert refusal(written(rows)) == "the column for Age is missing ('age')"


def test_an_optional_column_may_be_absent(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    rows = [{name: value for name, value in row.items() if name != "marital"} for row in bundled[:400]]
    assert len(read_labelled(written(rows), LABEL, BAD).matrix) == 400


def test_a_column_that_comes_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    header = BUNDLED.read_text().splitlines()
    path.write_text("\n".join([header[0] + ",age", *(line + ",30" for line in header[1:])]))
    assert (
        refusal(path) == "column 5 ('age'): this column comes more than once; the fields are in preprocessing/schema.py"
    )


def test_a_single_class_is_refused(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    good = [row for row in bundled if row[LABEL] != BAD]
    assert "must hold two verdicts, one of them 'bad'; it holds 1: 'good'" in refusal(written(good))


def test_too_few_of_a_class_are_refused(bundled: Rows, written: Callable[[Rows], Path]) -> None:
    assert "are too few to train on: each needs 50" in refusal(written(bundled[:100]))


def test_a_label_column_that_is_not_there_is_refused_with_the_columns_there_are() -> None:
    assert refusal(BUNDLED, label="verdict").startswith(
        f"{BUNDLED} has no column 'verdict' for the label; set LABEL to one of"
    )


def test_a_verdict_that_never_occurs_is_refused_with_those_that_do() -> None:
    assert "it holds 2: 'bad', 'good'. Set LABEL and BAD" in refusal(BUNDLED, bad="terrible")


@pytest.mark.parametrize("row", [2, 1_000_000])
def test_a_row_of_another_width_is_named_and_not_repeated(tmp_path: Path, row: int) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "1,secret\n" * (row - 1) + "secret,1,2\n")
    assert refusal(tmp_path / "t.csv").endswith(f"cannot be read: row {row}: Expected 2 columns, got 3")


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"a,b\n1,2,3\n", b"PAR1 but not really"])
@pytest.mark.parametrize("name", ["applications.csv", "applications.parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path)


def test_a_file_that_is_not_there_is_refused_with_the_way_to_name_one(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv").endswith("name a CSV or Parquet file with DATA=")
