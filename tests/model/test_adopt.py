"""The program: what it writes, what it refuses, and that it never replaces a file unasked."""

import ast
import csv
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from loadtest.adopt_tables import TABLES, Made, made, write
from model import adopt, adopt_names
from model.portable_graph import OUTPUTS
from model.source import read
from preprocessing.fields import Category, Field, Number, fields_of

ROOT = Path(__file__).parents[2]
ROWS = 800


def adopted(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["model.adopt", *arguments])
    adopt.main()


def refusal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        adopted(monkeypatch, *arguments)
    assert isinstance(ended.value.code, str)
    return ended.value.code


def table(path: Path, header: str, cells: list[list[str]]) -> str:
    path.write_text("\n".join([header, *(",".join(row) for row in zip(*cells, strict=True))]) + "\n")
    return str(path)


def lint(folder: Path) -> str:
    """What ruff has to say of the files there, by the project's own rules."""
    said = ""
    for command in (["format", "--check", "--quiet", "--diff"], ["check", "--quiet"]):
        options = ["--config", str(ROOT / "pyproject.toml"), str(folder)]
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, *options]
        said += subprocess.run(ruff, capture_output=True, text=True, check=False).stdout
    return said


def fields(schema: Path) -> dict[str, Field]:
    module = ModuleType("adopted")
    exec(compile(schema.read_text(), schema, "exec"), vars(module))  # noqa: S102 - we have written it
    return {field.name: field for field in fields_of(module.Application)}


@pytest.fixture(params=TABLES)
def five(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Made, Path]:
    one = made(request.param, ROWS)
    write(one, tmp_path / "table.csv")
    return one, tmp_path / "table.csv"


def test_what_is_written_is_formatted_and_declares_fields_that_take_their_examples(
    five: tuple[Made, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, path = five
    adopted(monkeypatch, str(path), "--label", one.label, "--bad", one.bad, "--out", str(tmp_path / "out"))
    said = capsys.readouterr().out
    assert [line.split(".")[0].strip() for line in said.splitlines()[-11:-1]] == [str(n) for n in range(1, 11)]
    for command in (["format", "--check"], ["check"]):
        config = ["--config", str(ROOT / "pyproject.toml"), str(tmp_path / "out")]
        done = subprocess.run(
            [Path(sys.executable).with_name("ruff"), *command, *config], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
    for field in fields(tmp_path / "out" / "schema.py").values():
        kind = field.kind
        assert kind.example in kind.values if isinstance(kind, Category) else kind.low <= kind.example <= kind.high
    ast.parse((tmp_path / "out" / "features.py").read_text())


def test_nothing_is_replaced_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made("shops", ROWS)
    write(one, tmp_path / "table.csv")
    arguments = [str(tmp_path / "table.csv"), "--label", one.label, "--bad", one.bad]
    before = (ROOT / "preprocessing" / "schema.py").read_text()
    said = refusal(monkeypatch, *arguments)
    assert "preprocessing/schema.py and preprocessing/features.py would be replaced: say so with FORCE=1" in said
    assert (ROOT / "preprocessing" / "schema.py").read_text() == before
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "schema.py").write_text("mine")
    assert "schema.py would be replaced" in refusal(monkeypatch, *arguments, "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / "schema.py").read_text() == "mine"
    assert not (tmp_path / "out" / "features.py").exists()
    adopted(monkeypatch, *arguments, "--out", str(tmp_path / "out"), "--force")
    assert (tmp_path / "out" / "schema.py").read_text().startswith('"""The application')


def test_adopting_never_looks_at_the_schema_that_is_there() -> None:
    script = "import sys, model.adopt; print('preprocessing.schema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def x(rows: int = ROWS) -> list[str]:
    return [f"{number:.3f}" for number in np.random.default_rng(1).normal(0, 1, rows)]


@pytest.mark.parametrize(
    ("verdicts", "bad", "written"),
    [
        (["0", "1", "0"], "1", "1"),
        (["0.0", "1.0", "0.0"], "1", "1.0"),
        (["good", "Bad", "good"], "bad", "Bad"),
        (["yes", "no", "NaN", "no", "1", "0", "TRUE", "", "null"], "yes", "1"),
        (["Y", "N", "N"], "yes", "Y"),
    ],
)
def test_verdicts_come_in_any_spelling_and_rows_without_one_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdicts: list[str], bad: str, written: str
) -> None:
    labels = [verdicts[row % len(verdicts)] for row in range(ROWS)]
    path = table(tmp_path / "t.csv", "x,y", [x(), labels])
    adopted(monkeypatch, path, "--label", "y", "--bad", bad, "--out", str(tmp_path / "out"))
    assert f'BAD = "{written}"' in (tmp_path / "out" / "schema.py").read_text()


@pytest.mark.parametrize(
    ("labels", "arguments", "expected"),
    [
        (["a", "b"], (), "name the column with the verdict with LABEL= (or --label); these hold two verdicts: y"),
        (["a", "b"], ("--label", "z"), "there is no column 'z' for the verdict with LABEL="),
        (["a", "b"], ("--label", "y"), "say which verdict counts as risk with BAD= (or --bad): 'a' or 'b'"),
        (["a", "b"], ("--label", "y", "--bad", "c"), "'c' is no verdict of column 'y'"),
        (["a", "b", "open"], ("--label", "y", "--bad", "a"), "must hold two verdicts; it holds 3: 'a', 'b', 'open'"),
        (["a"], ("--label", "y", "--bad", "a"), "must hold two verdicts; it holds 1"),
        (["a"] * 20 + ["b"], ("--label", "y", "--bad", "b"), "38 bad and 762 other applications are too few"),
    ],
)
def test_a_label_that_cannot_be_one_is_refused_with_what_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: list[str], arguments: tuple[str, ...], expected: str
) -> None:
    path = table(tmp_path / "t.csv", "x,y", [x(), [labels[row % len(labels)] for row in range(ROWS)]])
    assert expected in refusal(monkeypatch, path, *arguments)


def test_two_columns_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "t.csv", "x,x,y", [x(), x(), ["a", "b"] * (ROWS // 2)])
    assert "column 'x' comes more than once" in refusal(monkeypatch, path, "--label", "y", "--bad", "a")


def test_five_hundred_columns_under_odd_names_become_fields_with_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [
        "class",
        "Income",
        "income",
        "INCOME ",
        "2nd house",
        "Ärger & Spaß",
        "收入",
        "copy",
        "model_dump",
        "str",
        "_x",
    ]
    headers = [*odd, '"it\'s ""so"" é"', "n" * 90, *(f"column {number}" for number in range(487))]
    labels = [["a", "b"][row % 2] for row in range(ROWS)]
    path = table(tmp_path / "t.csv", ",".join([*headers, "y"]), [*[x() for _ in headers], labels])
    adopted(monkeypatch, path, "--label", "y", "--bad", "a", "--out", str(tmp_path / "out"))
    found = fields(tmp_path / "out" / "schema.py")
    assert len(found) == 500
    assert all(name.isidentifier() and len(name) <= adopt_names.LONGEST_NAME for name in found)
    assert found["income"].kind.also == ()
    assert found["income_2"].kind.also == ("Income",)
    assert "class_" in found
    assert {other for field in found.values() for other in field.kind.also} >= {"收入", "2nd house", 'it\'s "so" é'}


def test_no_field_is_called_as_an_answer_is_so_that_every_model_travels() -> None:
    assert set(OUTPUTS) == adopt_names.ANSWERS
    assert adopt_names.names_of(["tier", "Probability"]) == {"tier": "tier_", "Probability": "probability_"}


def test_what_is_written_elsewhere_is_named_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [str(row + 1) for row in range(ROWS)]
    path = table(tmp_path / "my table.csv", ",x,y", [rows, x(), [("a", "b")[row % 2] for row in range(ROWS)]])
    out = tmp_path / "out"
    adopted(monkeypatch, path, "--label", "y", "--bad", "a", "--out", str(out))
    said = capsys.readouterr().out
    assert "  (without a name): seems to name an applicant or a row\n" in said
    assert f"decide, in {out / 'schema.py'} and features.py:" in said
    assert f"Then move both to preprocessing and train: python -m model.train --data '{path}'" in said


def test_odd_headers_and_words_are_written_as_ruff_would_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = [
        "Ärger",
        "收入",
        "доход",
        "x\u2013y",
        'it\'s "so" é',
        'say "hi"',
        "don't",
        "n" * 150,
        "tab\there",
        "back\\slash",
    ]
    odd = ["o'k", 'q"q', "a\\b", "both'\"", "\u2013" * 3, "w" * 59]
    cells: list[list[str]] = [*[x() for _ in headers], [odd[row % 6] for row in range(ROWS)]]
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*headers, "kind", "y"])
        writer.writerows([*row, "ab"[place % 4 == 0]] for place, row in enumerate(zip(*cells, strict=True)))
    adopted(monkeypatch, str(tmp_path / "t.csv"), "--label", "y", "--bad", "b", "--out", str(tmp_path / "out"))
    assert lint(tmp_path / "out") == ""
    found = fields(tmp_path / "out" / "schema.py")
    kind = found["kind"].kind
    assert isinstance(kind, Category)
    assert set(kind.values) == set(odd)
    assert {other for field in found.values() for other in field.kind.also} >= {"n" * 150, 'it\'s "so" é'}


def test_what_the_law_may_protect_is_kept_from_the_model_and_ages_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(2)
    ages = [str(age) for age in random.integers(18, 80, ROWS)]
    cells = [ages, ages, [("f", "m")[n % 2] for n in range(ROWS)], [("A", "B", "C")[n % 3] for n in range(ROWS)]]
    labels = [["a", "b"][n % 5 == 0] for n in range(ROWS)]
    path = table(tmp_path / "t.csv", "Age,age of machine,Gender,Region,y", [*cells, labels])
    adopted(monkeypatch, path, "--label", "y", "--bad", "b", "--out", str(tmp_path / "out"))
    found = {field.kind.label: field.kind for field in fields(tmp_path / "out" / "schema.py").values()}
    assert found["Gender"].protected
    assert [label for label, kind in found.items() if isinstance(kind, Number) and kind.groups] == ["Age"]
    assert "decide: may it tell an applicant's origin?" in (tmp_path / "out" / "schema.py").read_text()
    assert "kept from the model: Gender; compared by age: Age" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x,y\n", bytes(range(256)) * 10, b"x,y\n1,a\n1,2,b\n", "x,y\n1,a\n".encode("utf-16"), b"PAR1xx",
        b"y\n" + b"a\nb\n" * 200,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_what_is_no_table_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    said = refusal(monkeypatch, str(tmp_path / name), "--label", "y", "--bad", "b", "--out", str(tmp_path / "out"))
    assert said.startswith("riskline: ")
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\x03\x04" + bytes(200), "cannot be read: it is a workbook or an archive; export CSV or Parquet from it"),
        (b"\x1f\x8b" + bytes(200), "cannot be read: it is compressed; unpack it first"),
        (b"x,y\n\x81,a\n", "cannot be read: its text is neither UTF-8 nor UTF-16 nor Windows-1252; save it as UTF-8"),
        (None, "is a folder; name a CSV or Parquet file with CSV="),
    ],
)
def test_what_is_often_taken_for_a_table_is_called_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "t.xlsx").write_bytes(content)
    path = tmp_path if content is None else tmp_path / "t.xlsx"
    assert refusal(monkeypatch, str(path), "--label", "y", "--bad", "b") == f"riskline: {path} {expected}"


def test_parquet_may_have_any_name(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "part-0")
    assert read(tmp_path / "part-0").table.to_pylist() == [{"x": 1}, {"x": 2}]


def test_every_type_of_parquet_becomes_a_field_or_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of(*values: object) -> list[object]:
        return [values[row % len(values)] for row in range(ROWS)]

    columns = {
        "decimal": pa.array(of(Decimal("1.25"), Decimal("7.50"), None)),
        "small": pa.array(of(1, 2, 200), pa.uint8()),
        "single": pa.array(of(1.5, 2.5, None), pa.float32()),
        "large": pa.array(of("u", "v"), pa.large_string()),
        "view": pa.array(of("u", "v")).cast(pa.string_view()),
        "dictionary": pa.array(of("u", "v", None)).dictionary_encode(),
        "numbered": pa.array(of(1, 2, 3)).dictionary_encode(),
        "truth": pa.array(of(True, False, None)),
        "": pa.array(of(1, 5, 9)),
        "moment": pa.array(of(datetime(2024, 1, 1))),
        "span": pa.array(of(timedelta(days=3), timedelta(days=5))),
        "struct": pa.array(of({"a": 1}, {"a": 2})),
        "list": pa.array(of([1], [2, 3])),
        "bytes": pa.array(of(b"a", b"\xff")),
        "nothing": pa.nulls(ROWS),
        "not a number": pa.array(of(float("nan"))),
        "y": pa.array(of(0.0, 1.0, float("nan"), 0.0, 0.0)),
    }
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    adopted(monkeypatch, str(tmp_path / "t.parquet"), "--label", "y", "--bad", "1", "--out", str(tmp_path / "out"))
    found = fields(tmp_path / "out" / "schema.py")
    assert list(found) == [*list(columns)[:8], "column_9"]
    said = capsys.readouterr().out
    assert all(f"  {name}: " in said for name in list(columns)[9:-1])


def test_a_long_table_is_drawn_from_evenly_and_the_same_rows_each_time(tmp_path: Path) -> None:
    path = Path(table(tmp_path / "t.csv", "row", [[str(number) for number in range(1, 200_001)]]))
    some = read(path, 1_000)
    assert (some.rows, some.table.num_rows) == (200_000, 1_000)
    assert some.table["row"].to_pylist() == [str(number) for number in some.numbers]
    assert 90_000 < some.numbers.mean() < 110_000
    assert np.array_equal(read(path, 1_000).numbers, some.numbers)


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8-sig"), (";", "cp1252"), ("\t", "utf-16"), ("|", "utf-8")]
)
def test_delimiter_and_encoding_are_the_files_own(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'Größe{delimiter}Ort\n1{delimiter}"Köln{delimiter} Ost"\n', encoding=encoding)
    assert read(path).table.to_pylist() == [{"Größe": "1", "Ort": f"Köln{delimiter} Ost"}]
