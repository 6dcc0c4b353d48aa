"""Promotion and rollback of a real service with two workers, while it is asked without a pause."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loadtest.server import Server, running_server
from model.artifact import GOLDEN, Artifact, verify
from model.data import Labelled
from model.storage import MANIFEST, sha256, write_folder
from model.train import Options, train
from tests.generated import EXAMPLE
from tests.serving.test_server import eventually, samples

pytestmark = pytest.mark.slow

ASKING = 3  # threads, with a connection each


@pytest.fixture(scope="module")
def folders(files: Mapping[str, bytes], labelled: Labelled, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models that differ, and one that does not verify although its hashes are right."""
    place = tmp_path_factory.mktemp("models")
    other = train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None)
    golden = json.loads(files[GOLDEN])
    golden[0]["probability"] = 1 - golden[0]["probability"]
    wrong = {**files, GOLDEN: json.dumps(golden).encode()}
    manifest = json.loads(files[MANIFEST])
    manifest["files"][GOLDEN] = sha256(wrong[GOLDEN])
    wrong[MANIFEST] = json.dumps(manifest).encode()
    for name, some in (("one", files), ("other", other), ("wrong", wrong)):
        write_folder(some, place / name)
    return [place / "one", place / "other", place / "wrong"]


@pytest.fixture
def home(tmp_path: Path, folders: list[Path]) -> Path:
    """A model store of its own in which the first model is promoted."""
    done = promote(tmp_path, str(folders[0]))
    assert done.returncode == 0, done.stderr
    assert "no service runs here" in done.stdout
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with running_server({"BENTOML_HOME": str(home), "RISKLINE_WORKERS": "2"}) as running:
        yield running


def promote(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model.promote", *arguments],
        env={**os.environ, "BENTOML_HOME": str(home)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def asked(server: Server, connections: int = 12) -> set[str]:
    """The versions that answer on so many new connections, which are spread over both workers."""
    clients = [httpx.Client(base_url=server.url) for _ in range(connections)]
    versions = {client.post("/predict", json=EXAMPLE).json()["model_version"] for client in clients}
    for client in clients:
        client.close()
    return versions


@contextmanager
def load(server: Server, answers: list[tuple[int, str]]) -> Iterator[None]:
    ending = threading.Event()

    def ask(path: str, body: object) -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not ending.is_set():
                answer = client.post(path, json=body)
                found = answer.json()
                rows = found["results"] if path == "/predict_batch" else [found]
                # a batch is answered by one model
                [version] = {row.get("model_version", "none") for row in rows}
                answers.append((answer.status_code, version))

    many = ("/predict_batch", {"applications": [EXAMPLE] * 200})
    bodies = [many, *[("/predict", EXAMPLE)] * (ASKING - 1)]
    errors: list[BaseException] = []

    def guarded(path: str, body: object) -> None:
        try:
            ask(path, body)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=each) for each in bodies]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert errors == []


def opened(folder: Path) -> Artifact:
    return verify({path.name: path.read_bytes() for path in folder.iterdir()}, str(folder))


def test_models_are_promoted_and_rolled_back_under_load_and_no_request_fails(
    home: Path, server: Server, folders: list[Path]
) -> None:
    one, other = (opened(folder).model_version for folder in folders[:2])
    assert asked(server) == {one}
    answers: list[tuple[int, str]] = []
    with load(server, answers):
        for arguments, expected in (
            ([str(folders[1])], other), (["--back"], one), ([f"riskline:{opened(folders[1]).version}"], other),
            (["--back"], one), ([str(folders[1])], other),
        ):  # fmt: skip
            done = promote(home, *arguments)
            assert done.returncode == 0, done.stderr
            assert "2 workers" in done.stdout
            assert asked(server) == {expected}
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {one, other}
    assert httpx.get(f"{server.url}/model").json()["model_version"] == other
    eventually(lambda: samples(server.url, "riskline_promotions_total") == {("taken",): 10})
    shown = {version: value for (version, _), value in samples(server.url, "riskline_model_info").items()}
    assert shown == {one: 0, other: 1}
    with running_server({"BENTOML_HOME": str(home), "RISKLINE_WORKERS": "1"}) as restarted:
        assert asked(restarted, 1) == {other}


def test_a_model_that_does_not_verify_is_refused_and_the_one_before_goes_on(
    home: Path, server: Server, folders: list[Path]
) -> None:
    one = opened(folders[0])
    done = promote(home, str(folders[2]))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "does not score its golden rows" in done.stderr
    # a worker that finds it damaged refuses it too, whoever has promoted it
    done = promote(home, str(folders[1]))
    assert done.returncode == 0, done.stderr
    stored = home / "models" / "riskline" / one.version
    (stored / GOLDEN).write_bytes((folders[2] / GOLDEN).read_bytes())
    pointer = home / "riskline" / "promoted.json"
    other = json.loads(pointer.read_text())["models"][-1]
    aside = pointer.with_suffix(".new")
    aside.write_text(json.dumps({"models": [other, f"riskline:{one.version}"]}))
    aside.rename(pointer)
    eventually(lambda: samples(server.url, "riskline_promotions_total").get(("refused",)) == 2)
    assert asked(server) == {opened(folders[1]).model_version}
    assert "what has changed is refused: " in server.log.read_text()
    done = promote(home, other)
    assert done.returncode == 0, done.stderr
    assert asked(server) == {opened(folders[1]).model_version}


def test_a_service_with_a_configured_model_says_that_it_cannot_be_promoted(home: Path, folders: list[Path]) -> None:
    environment = {"BENTOML_HOME": str(home), "RISKLINE_MODEL": str(folders[1]), "RISKLINE_WORKERS": "1"}
    with running_server(environment) as server:
        done = promote(home, str(folders[0]))
        assert done.returncode == 1
        assert done.stderr.startswith(f"riskline: the service that runs here serves {folders[1]} and no other")
        assert asked(server, 1) == {opened(folders[1]).model_version}
