"""`python -m model.score`: every row gets what the scorer gives it, whatever happens to the program on the way."""

import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from model import score
from model.artifact import Artifact
from model.data import Labelled
from model.storage import write_folder
from model.train import Options, train
from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS, encode
from preprocessing.errors import RisklineError
from serving import offline, tables
from serving.scorer import Scorer, Scores
from serving.tables import SCHEMA
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL

Row = dict[str, Any]
ROOT = Path(__file__).parents[2]
WITHIN_S = 120
REFUSED: Row = {**EXAMPLE, NUMBER.name: -1234567.0}


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """What was wrong, in one line and nothing else."""
        assert (self.code, self.out, self.err.count("\n")) == (1, "", 1), self
        assert self.err.startswith("riskline: ")
        return self.err


Run = Callable[..., Ended]


@pytest.fixture
def run(model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process with the tests' model and two threads."""
    monkeypatch.setenv("RISKLINE_MODEL", str(model_folder))

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["score", "--threads", "2", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            score.main()
        code, (out, err) = ended.value.code, capsys.readouterr()
        return Ended(1, out, f"{err}{code}\n") if isinstance(code, str) else Ended(int(code or 0), out, err)

    return run


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "model.score", *map(str, arguments)]


def mixed(rows: int, seed: int = 1) -> list[Row]:
    """Applications of which some have warnings and some are refused."""
    chance = random.Random(seed)
    kinds: list[Row] = [EXAMPLE, {**EXAMPLE, OPTIONAL.name: None}, REFUSED, {**EXAMPLE, CATEGORY.name: "no such word"}]
    return chance.choices(kinds, (6, 2, 1, 1), k=rows)


def table(rows: list[Row]) -> pa.Table:
    types = {field.name: pa.string() if field.kind in words() else pa.float64() for field in FIELDS}
    return pa.table({name: pa.array([row[name] for row in rows], type_) for name, type_ in types.items()})


def words() -> list[Any]:
    return [field.kind for field in FIELDS if isinstance(EXAMPLE[field.name], str)]


def write(path: Path, rows: list[Row], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table(rows), path, **options)
    return path


def read(path: Path) -> list[Row]:
    rows: list[Row] = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    return rows


def without_ids(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "decision_id"} for row in rows]


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(artifact: Artifact, rows: list[Row]) -> list[Row]:
    """By way of records, one application after the other."""
    records = [json.dumps({name: value for name, value in row.items() if value is not None}).encode() for row in rows]
    scores = Scorer(artifact).score(encode([row for record in records for row in decode_application(record)]))
    return [answer(scores, index) for index in range(len(rows))]


def answer(scores: Scores, index: int) -> Row:
    row = scores.row(index)
    nothing = dict.fromkeys(name for name in SCHEMA.names if name != "decision_id")
    if isinstance(row, RisklineError):
        return {**nothing, "error": row.code, "detail": " ".join(f"{p.field}:{p.rule}" for p in row.detail)}
    return {
        **nothing,
        "probability": row.probability,
        "tier": row.tier,
        "points": row.points,
        "model_version": row.model_version,
        "policy_version": row.policy_version,
        "warnings": " ".join(f"{w.field}:{w.code}" for w in row.warnings) or None,
    }


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "BLOCK_ROWS", 100)
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 250)


@pytest.mark.usefixtures("small_blocks")
def test_row_i_of_the_scores_is_row_i_of_the_applications(run: Run, artifact: Artifact, tmp_path: Path) -> None:
    rows = mixed(2345)
    ended = run(write(tmp_path / "in.parquet", rows, row_group_size=777), tmp_path / "out.parquet")
    scored = read(tmp_path / "out.parquet")
    assert ended.code == 2
    assert without_ids(scored) == expected(artifact, rows)
    assert list(scored[0]) == SCHEMA.names
    assert pyarrow.parquet.read_metadata(tmp_path / "out.parquet").num_row_groups == 8
    ids = [row["decision_id"] for row in scored]
    assert [one is None for one in ids] == [row["error"] is not None for row in scored]
    assert len(set(ids)) == 1 + sum(one is not None for one in ids)


@pytest.mark.usefixtures("small_blocks")
def test_refused_rows_are_listed_aside_with_what_is_kept_and_without_the_value(run: Run, tmp_path: Path) -> None:
    rows = mixed(1000)
    applications = table(rows).append_column("loan id", pa.array([f"L{number}" for number in range(len(rows))]))
    pyarrow.parquet.write_table(applications, tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--keep", "loan id").code == 2
    aside = lines(tmp_path / "out.refused.jsonl")
    scored = read(tmp_path / "out.parquet")
    assert [line["row"] - 1 for line in aside] == [row for row, one in enumerate(scored) if one["error"]]
    for line in aside:
        one = scored[line["row"] - 1]
        assert line["kept"] == {"loan id": one["loan id"]} == {"loan id": f"L{line['row'] - 1}"}
        assert line["error"] == one["error"]
        assert " ".join(f"{p['field']}:{p['rule']}" for p in line["detail"]) == one["detail"]
        assert line["detail"][0]["message"]
    assert "1234567" not in (tmp_path / "out.refused.jsonl").read_text()


def test_all_scored_is_code_0_one_line_and_no_list_of_refused_rows(run: Run, tmp_path: Path) -> None:
    good = write(tmp_path / "in.parquet", [EXAMPLE] * 50)
    (tmp_path / "out.refused.jsonl").write_text("of an earlier run")
    ended = run(good, tmp_path / "out.parquet")
    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    assert "50 rows, 0 refused; " in ended.out
    assert "rows/s" in ended.out
    assert str(tmp_path / "out.parquet") in ended.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_columns_are_kept_as_they_are(run: Run, tmp_path: Path) -> None:
    kept = {
        "number": pa.array([1, None, 3]),
        "word": pa.array(["a", "ä", None]).dictionary_encode(),
        "bytes": pa.array([b"\xff", b"", b"x"]),
        "when": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
        "lasted": pa.array([1, 2, 3], pa.duration("ns")),
        "day": pa.array([datetime.date(2026, 1, 2)] * 3),
        "share": pa.array([0.25, float("inf"), None]),
        "nested": pa.array([[{"x": 1}], [], None]),
        NUMBER.name: pa.array([EXAMPLE[NUMBER.name], REFUSED[NUMBER.name], REFUSED[NUMBER.name]], pa.float64()),
        CATEGORY.name: pa.array([EXAMPLE[CATEGORY.name]] * 3),
    }
    applications = table([EXAMPLE, REFUSED, REFUSED])
    others = [name for name in applications.column_names if name not in kept]
    pyarrow.parquet.write_table(pa.table({**kept, **applications.select(others).to_pydict()}), tmp_path / "in.parquet")
    assert run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--keep", *kept, "number").code == 2
    scored = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert scored.column_names == [*kept, *SCHEMA.names]
    assert scored.select(list(kept)).equals(pa.table(kept))
    assert scored["probability"].is_valid().to_pylist() == [True, False, False]
    second, third = lines(tmp_path / "out.refused.jsonl")
    assert (second["row"], third["row"]) == (2, 3)
    assert second["kept"] == {
        "number": None, "word": "ä", "bytes": "", "when": "1970-01-01 00:00:00.000000002Z", "lasted": "2",
        "day": "2026-01-02", "share": "Infinity", "nested": [], NUMBER.name: REFUSED[NUMBER.name],
        CATEGORY.name: EXAMPLE[CATEGORY.name],
    }  # fmt: skip


@pytest.mark.usefixtures("small_blocks")
def test_a_csv_is_scored_as_the_same_rows_in_parquet_are(run: Run, artifact: Artifact, tmp_path: Path) -> None:
    rows = mixed(500)
    applications = table(rows).append_column("id", pa.array(range(500)))
    pyarrow.csv.write_csv(applications, tmp_path / "in.csv", pyarrow.csv.WriteOptions(quoting_style="needed"))
    text = (tmp_path / "in.csv").read_text().splitlines()
    text[300] = "1,2"
    (tmp_path / "in.csv").write_text("\n".join(text) + "\n")
    assert run(tmp_path / "in.csv", tmp_path / "out.parquet", "--keep", "id").code == 2
    scored = read(tmp_path / "out.parquet")
    assert [row.pop("id") for row in scored] == [None if row == 299 else str(row) for row in range(500)]
    wanted = expected(artifact, rows)
    wanted[299] = {**dict.fromkeys(wanted[0]), "error": "invalid_application", "detail": ":columns"}
    assert without_ids(scored) == wanted


@pytest.mark.parametrize("groups", [0, 1])
def test_no_rows_are_no_scores_with_all_columns(run: Run, tmp_path: Path, groups: int) -> None:
    applications = table([]).append_column("id", pa.array([], pa.int32()))
    with pyarrow.parquet.ParquetWriter(tmp_path / "in.parquet", applications.schema) as writer:
        if groups:
            writer.write_table(applications)
    ended = run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--keep", "id")
    assert (ended.code, ended.out.startswith("0 rows")) == (0, True)
    assert pyarrow.parquet.read_schema(tmp_path / "out.parquet").names == ["id", *SCHEMA.names]


def test_a_url_names_a_file_as_a_path_does(run: Run, artifact: Artifact, tmp_path: Path) -> None:
    source = write(tmp_path / "with space" / "in.parquet", [EXAMPLE] * 3)
    target = tmp_path / "new folder" / "out.parquet"
    assert "%20" in source.as_uri()
    assert run(source.as_uri(), target.as_uri()).code == 0
    assert without_ids(read(target)) == expected(artifact, [EXAMPLE] * 3)


# A folder, and what is left to do in it


PARTS = ("a.parquet", "b.parquet", "sub/year=2026/a.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(PARTS):
        write(tmp_path / "in" / name, mixed(100 + seed, seed))
    for name in ("_temporary/a.parquet", ".a.parquet", "_SUCCESS", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("not for us")
    return tmp_path / "in"


def identities(folder: Path) -> Mapping[str, tuple[int, int]]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def redone(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> list[str]:
    return sorted(name for name in after if name.endswith(".parquet") and after[name] != before.get(name))


def test_a_folder_becomes_a_folder_with_a_file_for_each(run: Run, artifact: Artifact, folder: Path) -> None:
    out = folder.parent / "out"
    ended = run(folder, out)
    assert (ended.code, ended.out.split(",")[0]) == (2, "303 rows")
    assert sorted(identities(out)) == sorted([*PARTS, *(name.replace(".parquet", ".refused.jsonl") for name in PARTS)])
    for seed, name in enumerate(PARTS):
        assert without_ids(read(out / name)) == expected(artifact, mixed(100 + seed, seed))


def test_finished_files_are_left_as_they_are_and_counted(run: Run, folder: Path) -> None:
    out = folder.parent / "out"
    first = run(folder, out)
    before = identities(out)
    again = run(folder, out)
    assert identities(out) == before
    assert again.code == 2
    assert "303 rows (303 of them earlier)" in again.out
    assert again.out.split("; ")[1] == first.out.split("; ")[1]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder / "in" / PARTS[1], mixed(100, 9)),
        lambda folder: os.utime(folder / "in" / PARTS[1]),
        lambda folder: (folder / "out" / PARTS[1]).unlink(),
        lambda folder: damage(folder / "out" / PARTS[1]),
        lambda folder: write(folder / "out" / PARTS[1], mixed(101, 1)),
        lambda folder: (folder / "out" / PARTS[1].replace(".parquet", ".refused.jsonl")).unlink(),
    ],
    ids=["other input", "touched input", "no scores", "damaged scores", "somebody's file", "no list of refused rows"],
)
def test_what_has_changed_is_done_again_and_nothing_else(run: Run, folder: Path, change: Callable[[Path], Any]) -> None:
    out = folder.parent / "out"
    run(folder, out)
    before = identities(out)
    change(folder.parent)
    run(folder, out)
    assert redone(before, identities(out)) == [PARTS[1]]
    assert len(read(out / PARTS[1])) == len(read(folder / PARTS[1]))
    assert len(identities(out)) == 2 * len(PARTS)


def test_what_killed_runs_have_left_is_removed_and_nothing_else(run: Run, folder: Path) -> None:
    out = folder.parent / "out"
    left = ["sub/year=2026/.a.parquet.0123abcd.partial", ".b.refused.jsonl.0123abcd.partial"]
    others = [".c.parquet.0123abcd.partial", ".a.parquet.partial", "notes.txt"]
    for name in (*left, *others):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    assert run(folder, out).code == 2
    assert len(identities(out)) == 2 * len(PARTS) + len(others)
    assert set(others) < set(identities(out))
    (folder.parent / ".one.parquet.0123abcd.partial").touch()
    assert run(folder / PARTS[0], folder.parent / "one.parquet").code == 2
    assert not (folder.parent / ".one.parquet.0123abcd.partial").exists()


def test_another_model_or_another_column_to_keep_does_all_again(run: Run, folder: Path, labelled: Labelled) -> None:
    out = folder.parent / "out"
    run(folder, out)
    before = identities(out)
    write_folder(
        train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None), folder.parent / "model"
    )
    assert run(folder, out, "--model", folder.parent / "model").code == 2
    other = identities(out)
    assert redone(before, other) == sorted(PARTS)
    run(folder, out, "--model", folder.parent / "model", "--keep", NUMBER.name)
    assert redone(other, identities(out)) == sorted(PARTS)


def test_a_damaged_file_is_named_and_costs_the_others_nothing(run: Run, folder: Path) -> None:
    out = folder.parent / "out"
    damage(folder / PARTS[1])
    assert f"{PARTS[1]}: this is not a valid Parquet file" in run(folder, out).line
    assert sorted(identities(out)) == [PARTS[0], PARTS[0].replace(".parquet", ".refused.jsonl")]
    write(folder / PARTS[1], [EXAMPLE])
    before = identities(out)
    assert run(folder, out).code == 2
    assert redone(before, identities(out)) == sorted(PARTS[1:])


def finished(out: Path) -> Iterator[Path]:
    return (path for path in out.glob("*.parquet") if not path.name.startswith("."))


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_half_file_and_the_next_one_completes_it(
    model_folder: Path, artifact: Artifact, tmp_path: Path
) -> None:
    parts = 12
    rows = mixed(2000) * 30
    for number in range(parts):
        write(tmp_path / f"in/{number:02}.parquet", rows)
    environment = {**os.environ, "RISKLINE_MODEL": str(model_folder)}
    out = tmp_path / "out"
    killed = subprocess.Popen(command(tmp_path / "in", out), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + WITHIN_S
    while len(list(finished(out))) < 2 or not list(out.glob(".*.partial")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(WITHIN_S) == -signal.SIGKILL
    whole = sorted(finished(out))
    assert 2 <= len(whole) < parts
    before = identities(out)
    assert {len(read(path)) for path in whole} == {len(rows)}
    again = subprocess.run(
        command(tmp_path / "in", out), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S
    )
    assert (again.returncode, again.stderr, again.stdout.count("\n")) == (2, "", 1)
    after = identities(out)
    assert {path.name for path in whole}.isdisjoint(redone(before, after))
    assert sorted(after) == sorted(
        f"{number:02}{end}" for number in range(parts) for end in (".parquet", ".refused.jsonl")
    )
    columns = [pyarrow.parquet.read_table(path).drop_columns(["decision_id"]) for path in finished(out)]
    assert columns[0].to_pylist() == expected(artifact, rows[:2000]) * 30
    assert all(column.equals(columns[0]) for column in columns)


# What cannot be done, in one line


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "in.parquet", [EXAMPLE])


def test_an_unknown_column_is_named_with_what_to_do(run: Run, tmp_path: Path) -> None:
    applications = table([EXAMPLE]).append_column("loan id", pa.array([7])).append_column("status", pa.array(["bad"]))
    pyarrow.parquet.write_table(applications, tmp_path / "in.parquet")
    said = run(tmp_path / "in.parquet", tmp_path / "out.parquet").line
    assert "no field of an application: loan id, status; copy them to the scores with --keep 'loan id' status," in said
    assert not (tmp_path / "out.parquet").exists()
    assert "--keep status," in run(tmp_path / "in.parquet", tmp_path / "out.parquet", "--keep", "loan id").line


def test_wrong_columns_are_named(run: Run, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert "there is no such column to keep (loan_id)" in run(good, out, "--keep", "loan_id").line
    assert "--keep tier: the scores have a column of that name" in run(good, out, "--keep", "tier").line
    pyarrow.parquet.write_table(table([EXAMPLE]).drop_columns([NUMBER.name]), good)
    assert f"is missing ({NUMBER.name})" in run(good, out).line
    assert "without a header has no column" in run(written(tmp_path / "a.csv", b"1,2\n"), out, "--keep", "id").line


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_no_file_of_applications_is_named(run: Run, good: Path, tmp_path: Path) -> None:
    out, content = tmp_path / "out" / "out.parquet", good.read_bytes()
    for wrong in (b"", b"not a table", content[:-1], content[: len(content) // 2], b"PAR1" + bytes(100) + b"PAR1"):
        said = run(written(tmp_path / "wrong.parquet", wrong), out).line
        assert f"{tmp_path / 'wrong.parquet'}: this is not a valid Parquet file" in said
    assert "needs 13 columns" in run(written(tmp_path / "wrong.csv", b"1,2\n"), out).line
    assert f"there is no {tmp_path / 'gone.parquet'}" in run(tmp_path / "gone.parquet", out).line
    (tmp_path / "empty").mkdir()
    assert "there is no .parquet file in" in run(tmp_path / "empty", tmp_path / "scores").line
    assert "nowhere:// address" in run("nowhere://key:secret@bucket/in.parquet", out).line
    assert "secret" not in run("nowhere://key:secret@bucket/in.parquet", out).line
    assert not out.exists()


def test_a_page_damaged_in_the_middle_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", mixed(5000), use_dictionary=False, compression="zstd", row_group_size=1000)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    assert "not a valid Parquet file" in run(written(source, bytes(content)), tmp_path / "out.parquet").line
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_where_scores_cannot_go_is_named(run: Run, good: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert f"{tmp_path / 'there'} is a folder" in run(good, tmp_path / "there").line
    assert f"{good} is a file" in run(folder, good).line
    assert "lies in, what is to be scored" in run(good, good).line
    assert "lies in, what is to be scored" in run(folder, folder).line
    assert "lies in, what is to be scored" in run(folder, folder / "scores").line
    assert "end in .parquet" in run(good, tmp_path / "out.csv").line
    assert "cannot be written" in run(good, folder / PARTS[0] / "out.parquet").line
    assert read(good)


def test_a_model_that_is_not_there_and_wrong_arguments_are_code_1(run: Run, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert "there is no model at" in run(good, out, "--model", tmp_path / "gone.tar.gz").line
    assert "--help shows how" in run(good).line
    assert "--help shows how" in run(good, out, "--color").line
    assert "--threads must be at least 1" in run(good, out, "--threads", "0").line
    assert not out.exists()


@pytest.mark.slow
def test_the_codes_are_the_processs_own_and_help_tells_them(good: Path, model_folder: Path, tmp_path: Path) -> None:
    def code(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "RISKLINE_MODEL": str(model_folder)}
        return subprocess.run(
            command(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S
        )

    out = tmp_path / "out.parquet"
    assert code(good, out).returncode == 0
    assert code(write(tmp_path / "refused.parquet", [REFUSED]), out).returncode == 2
    stopped = code(tmp_path / "gone.parquet", out)
    assert (stopped.returncode, stopped.stdout, stopped.stderr.count("\n")) == (1, "", 1)
    assert score.CODES.splitlines()[1] in code("--help").stdout


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(model_folder: Path, tmp_path: Path) -> None:
    """Of one row group each, with 200 bytes to be kept in each row: whatever is held whole shows."""
    peaks = []
    for rows in (400_000, 1_600_000):
        notes = [
            None,
            pa.array(range(0, 200 * rows + 1, 200), pa.int64()).buffers()[1],
            pa.py_buffer(b"x" * 200 * rows),
        ]
        wide = table([EXAMPLE]).take(pa.array([0] * rows))
        wide = wide.append_column("note", pa.Array.from_buffers(pa.large_string(), rows, notes))
        options: Row = {"row_group_size": rows, "use_dictionary": False, "compression": "none"}
        pyarrow.parquet.write_table(wide, tmp_path / "in.parquet", **options)
        # the peak of this process alone, which what it was started by does not count into
        script = (
            "import atexit, pathlib, model.score\n"
            "status = pathlib.Path('/proc/self/status')\n"
            "atexit.register(lambda: print(status.read_text().split('VmHWM:')[1].split()[0]))\n"
            "model.score.main()"
        )
        paths = [str(tmp_path / name) for name in ("in.parquet", "out.parquet")]
        arguments = [sys.executable, "-c", script, *paths, "--keep", "note", "--model", str(model_folder)]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.splitlines()[-1]) / 1024)
    assert (tmp_path / "in.parquet").stat().st_size > 400 * 2**20
    assert peaks[1] < peaks[0] + 100, peaks
