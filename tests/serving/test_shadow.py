"""A challenger sees what is served, says what it thinks, and nobody who asks can tell that it is there."""

import asyncio
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import prometheus_client
import pytest

from decisions.log import Log
from decisions.places import STORE
from decisions.sqlite_shadows import SQLiteShadows
from loadtest.server import running_server
from model.artifact import Artifact, verify, with_policy
from model.data import Labelled
from model.policy import TIERS
from preprocessing.encode import Batch, encode
from preprocessing.schema import Application
from serving import metrics, shadow
from serving.api import Api
from serving.gathered import Histogram
from serving.messages import Request
from serving.scorer import Scorer
from serving.settings import Settings
from serving.shadow import Shadow
from tests.generated import EXAMPLE
from tests.serving.test_server import eventually, samples

ID = re.compile(rb'"decision_id":"[^"]+"')
INVALID = {"made_up": 1}


@pytest.fixture
def challenger(artifact: Artifact) -> Artifact:
    """The same model under a policy in which nobody is medium."""
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    return verify(with_policy(artifact, policy), "the challenger")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path)
    yield opened
    opened.close()


def counted(name: str, **labels: str) -> float:
    metrics.flush()
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0.0


def ask(api: Api, path: str, body: Any) -> bytes:
    request = Request({b"content-type": b"application/json"}, b"explain=true", json.dumps(body).encode())
    answer = asyncio.run(api.answer(path, request))
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    return answer.body


def test_answers_are_the_same_and_each_decision_gets_its_row(
    artifact: Artifact, challenger: Artifact, log: Log, tmp_path: Path
) -> None:
    shadowed = Shadow(challenger, SQLiteShadows(tmp_path / STORE))
    with_one, without = Api(artifact, Settings(), log=log, shadow=shadowed), Api(artifact, Settings())
    asks: list[tuple[str, Any]] = [
        ("/predict", EXAMPLE), ("/predict_batch", {"applications": [EXAMPLE, INVALID, EXAMPLE]}), ("/explain", EXAMPLE),
    ]  # fmt: skip
    answers = []
    for path, body in asks:
        answers.append(ask(with_one, path, body))
        assert ID.sub(b"", answers[-1]) == ID.sub(b"", ask(without, path, body))
    shadowed.close()
    store = SQLiteShadows(tmp_path / STORE)
    ids = re.findall(r'"decision_id":"([^"]+)"', b"".join(answers).decode())
    assert len(ids) == 4
    for id_ in ids:
        [row] = store.of(id_)
        assert (row.model_version, row.policy_version) == (challenger.model_version, challenger.policy_version)
        assert row.probability == json.loads(answers[0])["probability"]
        assert row.tier == challenger.policy.tier(row.probability)
    store.close()
    with_one.close()
    without.close()


def test_tiers_and_distances_are_counted(artifact: Artifact, challenger: Artifact, labelled: Labelled) -> None:
    scorer = Scorer(artifact)
    scores = scorer.score(Batch(labelled.matrix[:3000], {}))
    expected = Counter(
        (TIERS[served], TIERS[other])
        for served, other in zip(scores.tier, challenger.policy.tiers(scores.probability), strict=True)
    )
    before = {pair: counted("riskline_shadow_scores_total", served=pair[0], challenger=pair[1]) for pair in expected}
    rows = counted("riskline_shadow_difference_count")
    shadowed = Shadow(challenger)
    for at in range(0, 3000, 30):
        part = scorer.score(Batch(labelled.matrix[at : at + 30], {}))
        shadowed.offer(labelled.matrix[at : at + 30], part)
    shadowed.close()
    for (served, other), amount in expected.items():
        now = counted("riskline_shadow_scores_total", served=served, challenger=other)
        assert now - before[served, other] == amount
    assert counted("riskline_shadow_difference_count") - rows == 3000
    assert ("medium", "high") in expected


def test_distances_land_in_the_buckets_in_which_single_ones_would() -> None:
    one = Histogram("one_distance", "One by one.", [], (0.1, 0.2))
    many = Histogram("many_distances", "All at once.", [], (0.1, 0.2))
    values = np.array([0.0, 0.1, 0.15, 0.2, 0.3, 9.0])
    for value in values.tolist():
        one.observe((), value)
    many.observe_many((), values)
    assert one._waiting.keys() == many._waiting.keys()
    assert one._waiting[()] == pytest.approx(many._waiting[()])


class _Stuck:
    """A challenger that does not come to an end before it is let go."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact, self.let_go = artifact, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._artifact, name)

    def score(self, matrix: Any) -> list[float]:
        assert self.let_go.wait(60)
        return self._artifact.score(matrix)


def test_what_waits_is_bounded_and_no_answer_waits_for_it(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 5)
    dropped = counted("riskline_shadow_dropped_total", why="waiting")
    stuck = _Stuck(artifact)
    shadowed = Shadow(stuck)  # type: ignore[arg-type]
    api = Api(artifact, Settings(), shadow=shadowed)
    for _ in range(8):
        ask(api, "/predict", EXAMPLE)
    assert counted("riskline_shadow_dropped_total", why="waiting") - dropped == 3
    stuck.let_go.set()
    shadowed.close()
    api.close()


class _Broken(_Stuck):
    def score(self, matrix: Any) -> list[float]:  # noqa: ARG002
        raise ValueError("no such input")


def test_a_challenger_that_fails_is_counted_and_goes_on(artifact: Artifact) -> None:
    failed = counted("riskline_shadow_dropped_total", why="failed")
    shadowed = Shadow(_Broken(artifact))  # type: ignore[arg-type]
    batch = encode([Application.model_validate(EXAMPLE)] * 3)
    for _ in range(2):
        shadowed.offer(batch.matrix, Scorer(artifact).score(batch))
    shadowed.close()
    assert counted("riskline_shadow_dropped_total", why="failed") - failed == 6


def test_a_store_that_is_away_costs_the_rows_and_nothing_else(artifact: Artifact, tmp_path: Path) -> None:
    class Away(SQLiteShadows):
        def add(self, shadowed: object) -> None:  # noqa: ARG002
            raise sqlite3.OperationalError("disk I/O error")

    unrecorded = counted("riskline_shadow_dropped_total", why="unrecorded")
    rows = counted("riskline_shadow_difference_count")
    shadowed = Shadow(artifact, Away(tmp_path / "store"))
    batch = encode([Application.model_validate(EXAMPLE)])
    shadowed.offer(batch.matrix, Scorer(artifact).score(batch))
    shadowed.close()
    assert counted("riskline_shadow_dropped_total", why="unrecorded") - unrecorded == 1
    assert counted("riskline_shadow_difference_count") - rows == 1


@pytest.mark.slow
def test_a_server_shows_what_its_challenger_says(
    model_folder: Path, files: Mapping[str, bytes], tmp_path: Path
) -> None:
    environment = {
        "RISKLINE_MODEL": str(model_folder), "RISKLINE_SHADOW": str(model_folder), "RISKLINE_WORKERS": "2",
        "RISKLINE_DECISIONS": str(tmp_path),
    }  # fmt: skip
    assert files
    with running_server(environment) as server:
        tier = ""
        for _ in range(20):
            tier = httpx.post(f"{server.url}/predict", json=EXAMPLE).json()["tier"]
        eventually(lambda: samples(server.url, "riskline_shadow_scores_total") == {(tier, tier): 20})
        assert samples(server.url, "riskline_shadow_difference_sum") == {(): 0}
    with sqlite3.connect(tmp_path / STORE) as connection:
        assert connection.execute(
            "SELECT count(*) FROM shadows JOIN decisions USING (id) WHERE shadows.tier = decisions.tier"
        ).fetchone() == (20,)
    connection.close()
