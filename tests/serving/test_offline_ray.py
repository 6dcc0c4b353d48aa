"""The Ray engine: what its workers write is what one process writes, whatever happens to one of them.

The workers' own code is judged in this process; real Ray runs in processes of its own.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest

from loadtest.server import ROOT
from model.artifact import Artifact
from model.errors import ScoringError
from model.places import find_parts, partial
from serving import offline_ray
from serving.offline import running
from serving.offline_ray import ALONE, Task, Worker
from serving.scorer import Scorer
from tests.lab.ray_head import running_head
from tests.lab.waiting import until
from tests.model.test_score import identities, mixed, redone, table

WITHIN_S = 120
KEPT = "loan id"
TOKEN = {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
LOANS = 2000  # different ones


def write(path: Path, rows: int, seed: int) -> Path:
    """Applications with an id to keep; some have warnings, and some are refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    some = table(mixed(LOANS, seed))
    every = pa.concat_tables([some] * (rows // LOANS + 1)).slice(0, rows)
    pyarrow.parquet.write_table(every.append_column(KEPT, pa.array(range(rows))), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / f"in/{number}.parquet", 100 + number, number)
    return tmp_path / "in"


@pytest.fixture
def task(folder: Path, artifact: Artifact) -> Task:
    parts, target = find_parts(str(folder), str(folder.parent / "out"))
    return Task(artifact.files, "all", [KEPT], False, 1, parts, target)


def test_a_worker_scores_a_file_with_nothing_but_what_it_is_given(task: Task, artifact: Artifact) -> None:
    worker = Worker(task)
    first, second = worker({"part": 0}), worker({"part": 1})
    again = worker({"part": 1})
    assert [result["error"] for result in (first, second, again)] == [""] * 3
    assert '"rows": 101' in second["counts"]
    assert '"earlier rows": 101' in again["counts"]
    with running(Scorer(artifact), [KEPT], False, 1) as run:
        assert run.finished(task.parts[0])
        assert not run.finished(task.parts[2])


def test_a_worker_that_sees_other_files_says_on_which_machine_and_writes_nothing(task: Task) -> None:
    elsewhere = f" is not the same on {socket.gethostname()}: the machines of a cluster need"
    unmarked = replace(task, mark=partial(task.parts[0].scores))
    assert f"{task.target}{elsewhere}" in Worker(unmarked)({"part": 0})["error"]
    Path(task.parts[1].source.path).unlink()
    write(Path(task.parts[2].source.path), 7, 7)
    for part in (1, 2):
        assert f"{task.parts[part].source}{elsewhere}" in Worker(task)({"part": part})["error"]
    assert not Path(task.target.path).exists()


def test_a_model_that_arrives_damaged_scores_nothing(task: Task) -> None:
    damaged = replace(task, artifact={**task.artifact, "model.onnx": b"no model"})
    assert f"the model on {socket.gethostname()}: model.onnx" in Worker(damaged)({"part": 0})["error"]


def test_a_bug_in_a_worker_is_told_whole_where_the_command_runs(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_ray, "_is_another", lambda: 1 / 0)
    results = iter([Worker(task)({"part": 1})])
    with pytest.raises(RuntimeError, match=r"1\.parquet: a worker .*this is a bug\n(.*\n)*ZeroDivisionError"):
        offline_ray._gather(task.parts, results, lambda rows, size: None)  # noqa: ARG005


def test_a_file_of_which_worker_after_worker_dies_is_given_up(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_ray, "_is_another", lambda: True)
    Path(task.target.path).mkdir()
    for _ in range(offline_ray.DEATHS):
        assert Worker(task)({"part": 0})["error"] == ""
        Path(partial(task.parts[1].refusals).path).touch()
    assert "1.parquet: 3 workers have died of it" in Worker(task)({"part": 1})["error"]


def told_by(task: Task, address: str) -> str:
    with pytest.raises(ScoringError) as told:
        offline_ray.run(task, address, None, lambda rows, size: None)  # noqa: ARG005
    assert "\n" not in told.value.message
    return told.value.message


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265", "head", ":6379", "head:many"])
def test_what_is_no_address_of_a_cluster_is_named(task: Task, address: str) -> None:
    assert told_by(task, address).startswith(f"{address} is no address of a cluster; give host:port")


def test_a_cluster_that_does_not_answer_is_named(task: Task) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            with server.accept()[0] as caller:
                caller.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
                caller.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        assert f"what answers at {address} is no head of a Ray cluster" in told_by(task, address)
        thread.join()
    assert f"no cluster answers at {address}: " in told_by(task, address)


def test_without_the_extra_it_says_what_to_install(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in {**offline_ray.QUIET, **offline_ray.ALONE, "RAY_AUTH_TOKEN": ""}:
        monkeypatch.setenv(name, "")
    with pytest.raises(ScoringError, match=r"pip install --require-hashes -r requirements/ray\.txt"):
        offline_ray.run(task, None, None, lambda rows, size: None)  # noqa: ARG005


# Real Ray

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(model_folder: Path) -> Iterator[Start]:
    """Starts the command, with Ray's token for whom it meets; what still runs at the end is killed."""
    environment = {**os.environ, "RISKLINE_MODEL": str(model_folder)}
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "model.score", *map(str, arguments), "--keep", KEPT, "--explain"]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**environment, **more}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WITHIN_S)
    return process.returncode, out, err


def writers(driver: subprocess.Popen[str]) -> Iterator[psutil.Process]:
    """The workers that are in the middle of a file."""
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            if any(file.path.endswith(".partial") for file in process.open_files()):
                yield process
        except psutil.Error:  # it has just ended
            continue


def without_ids(path: Path) -> pa.Table:
    return pyarrow.parquet.read_table(path).drop_columns(["decision_id"])


def check_equal(out: Path, alone: Path) -> None:
    """The same files, the same rows, the same lists of refused rows, and nothing besides."""
    assert sorted(identities(out)) == sorted(identities(alone))
    for path in alone.glob("*.parquet"):
        assert without_ids(out / path.name).equals(without_ids(path), check_metadata=False), path.name
        refused = path.name.replace(".parquet", ".refused.jsonl")
        assert (out / refused).read_bytes() == (alone / refused).read_bytes()


def said(out: str) -> list[str]:
    """The summary without times and places."""
    return out.split("; ")[:2]


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_nothing_and_a_restart_does_only_what_is_left(
    start: Start, tmp_path: Path
) -> None:
    source, out, alone = (tmp_path / name for name in ("in", "out", "alone"))
    for number in range(8):
        write(source / f"{number}.parquet", 40_000 + 1000 * number, number)
    code, summary, _ = ended(start(source, alone))
    assert code == 2
    by_ray = start(source, out, "--engine", "ray", "--workers", "2")
    until(lambda: by_ray.poll() is not None or (any(out.glob("[0-9].parquet")) and any(writers(by_ray))), WITHIN_S)
    assert by_ray.poll() is None, ended(by_ray)
    next(writers(by_ray)).kill()
    code, out_of_ray, err = ended(by_ray)
    assert (code, err) == (2, "")
    assert said(out_of_ray) == said(summary)
    check_equal(out, alone)

    before = identities(out)
    write(source / "new.parquet", 500, 9)
    (source / "3.parquet").write_bytes(b"no longer a table")
    (source / "5.parquet").write_bytes(b"nor this")
    with running_head(TOKEN) as address:
        code, summary, err = ended(start(source, out, "--engine", "ray", "--address", address, **ALONE, **TOKEN))
    bad = f"{source / '3.parquet'}: this is not a valid Parquet file"
    assert (code, summary, err) == (1, "", f"riskline: {bad} (and 1 other of the files cannot be scored)\n")
    assert redone(before, identities(out)) == ["new.parquet"]
    assert len(identities(out)) == len(before) + 2
