"""The image behind a client that others wrote: the SageMaker Python SDK in local mode, which starts it with compose."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.bench_environments import PreparationError, python_of, run
from loadtest.container import Container, Docker, DockerError
from loadtest.server import free_port
from model.artifact import Artifact
from model.storage import read_folder, write_archive
from tests.container.conftest import ROOT
from tests.generated import EXAMPLE, NUMBER
from tests.lab.engine import Engine
from tests.lab.lacking import cannot_run
from tests.sagemaker.contract import CSV, LINES, written

pytestmark = [pytest.mark.slow, pytest.mark.container]

SDK = Path(__file__).parent / "sagemaker_sdk"
WITHIN_S = 900  # three containers one after another, each looked at every five seconds
NETWORK = "sagemaker-local"  # the SDK's, whatever it runs
NO_ACCOUNT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

GOOD = [{**EXAMPLE, NUMBER.name: value} for value in (0, 2, 4, 9, 20)]  # each with a probability of its own
BAD = {
    CSV: [written([{**EXAMPLE, NUMBER.name: -1}], CSV).decode().rstrip("\n"), "", "x", "1,2,3", '"'],
    LINES: [json.dumps({**EXAMPLE, NUMBER.name: -1}), "", "{", "null", "[]"],
}
ROWS = {CSV: 25_000, LINES: 2_000}  # the CSV comes in several requests, the lines in one


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The Python of an environment that has the SDK, and the executable docker-compose beside it."""
    try:
        return python_of(SDK, ROOT / "build")
    except PreparationError as error:
        cannot_run(error)


@pytest.fixture(scope="session")
def network(engine: Engine) -> Iterator[None]:
    """An engine that has networks of its own; what local mode leaves in it is removed."""
    found = engine.docker("network", "ls", "-q", f"--filter=name=^{NETWORK}$")
    if not found:
        try:
            engine.docker("network", "create", NETWORK)
            engine.docker("network", "rm", NETWORK)
        except DockerError as error:
            cannot_run(error)
    yield
    if not found:
        engine.docker("network", "rm", NETWORK, check=False)


@contextmanager
def no_container_left(docker: Docker, image: str) -> Iterator[None]:
    try:
        yield
    finally:
        ours = [f"--filter=ancestor={image}", "--filter=label=com.docker.compose.project"]
        if left := docker("ps", "-aq", *ours).split():
            docker("rm", "-f", "-v", *left)


def mixed(media_type: str) -> list[tuple[str, int | None]]:
    """Lines to send, each with the number of the good application that it is; every 50th is bad, the first and the last
    too."""
    good = cycle([(written([row], media_type).decode().rstrip("\n"), number) for number, row in enumerate(GOOD)])
    bad = cycle([(line, None) for line in BAD[media_type]])
    lines: list[tuple[str, int | None]] = [next(bad)]
    while len(lines) < ROWS[media_type]:
        lines += [*islice(good, 49), next(bad)]
    return lines


def test_local_mode_deploys_predicts_and_transforms(
    engine: Engine,
    image: str,
    endpoint: Container,
    other: tuple[Path, Artifact],
    sdk: Path,
    network: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    write_archive(read_folder(other[0]), tmp_path / "model/model.tar.gz")
    sent = {media_type: mixed(media_type) for media_type in (CSV, LINES)}
    (tmp_path / "one.json").write_text(json.dumps(GOOD[0]))
    (tmp_path / "rows.csv").write_text("".join(line + "\n" for line, _ in sent[CSV][:60]))
    for media_type, name in ((CSV, "csv/rows.csv"), (LINES, "lines/rows.jsonl")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("".join(line + "\n" for line, _ in sent[media_type]))

    path = engine.docker.environment.get("PATH", os.environ["PATH"])
    environment = {**engine.docker.environment, **NO_ACCOUNT, "PATH": f"{sdk.parent}:{path}"}
    command = [str(sdk), str(SDK / "local_mode.py"), str(tmp_path), image, str(free_port())]
    with no_container_left(engine.docker, image):
        run(command, WITHIN_S, environment)

    scores = [httpx.post(f"{endpoint.url}/predict", json=application).json() for application in GOOD]
    assert len({score["probability"] for score in scores}) == len(GOOD)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert without_id(answers["one"]) == without_id(scores[0])
    assert_csv_answers(answers["rows"], sent[CSV][:60], scores)

    assert_csv_answers((tmp_path / "csv-out/rows.csv.out").read_text(), sent[CSV], scores)
    # assembled by line, there is a line break after each answer, whatever it ends with
    *lines, after_the_answer = (tmp_path / "lines-out/rows.jsonl.out").read_text().split("\n")[:-1]
    assert after_the_answer == ""
    for line, (_, number) in zip(lines, sent[LINES], strict=True):
        if number is None:
            assert json.loads(line)["error"] == "invalid_application"
        else:
            assert without_id(json.loads(line)) == without_id(scores[number])


def without_id(score: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in score.items() if key != "decision_id"}


def assert_csv_answers(text: str, sent: list[tuple[str, int | None]], scores: list[dict[str, Any]]) -> None:
    """A line for each line, in order: the score of a good one, the error of a bad one."""
    assert text.endswith("\n")
    columns = ("probability", "tier", "points", "model_version", "policy_version")
    for cells, (_, number) in zip(csv.reader(text.splitlines()), sent, strict=True):
        if number is None:
            assert cells[:5] == [""] * 5
            assert "invalid_application" in cells
        else:
            assert cells[:5] == [str(scores[number][column]) for column in columns]
