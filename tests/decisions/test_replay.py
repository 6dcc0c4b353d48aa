"""Scoring decisions again: bit-equal, or the difference, named by id."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from decisions.artifacts import keep
from decisions.log import Log
from decisions.places import STORE
from decisions.record import Channel, Origin
from decisions.replay import Replay, _chosen, _time
from decisions.sqlite_audit import AuditStore
from model.artifact import Artifact, verify, with_policy
from model.errors import ArtifactError
from model.policy import Policy
from preprocessing.json_columns import read_batch
from serving.recording import Recorder
from serving.replay import Recorded, Replays
from serving.scorer import Scorer
from serving.settings import Against
from tests.decisions.decided import EXAMPLE, OTHER, random_applications


def record(
    folder: Path,
    artifact: Artifact,
    some: Sequence[Any],
    explain: bool = False,
    against: Against = "all",
    channel: Channel = "api",
) -> list[str]:
    """Records decisions on applications as the service does; their ids."""
    log = Log(folder)
    batch = read_batch(to_json({"applications": some}))
    scores = Scorer(artifact, against=against).score(batch, range(len(some)) if explain else None)
    origin = Origin(channel, "request", time.perf_counter())
    Recorder(log, artifact, durable=True).record(scores, batch, [origin] * len(some)).result(timeout=60)
    log.close()
    return scores.decision_id


def replayed(folder: Path) -> tuple[dict[str, int], list[str]]:
    told: list[str] = []
    store = AuditStore(folder / STORE)
    replay = Replay(folder, told.append)
    replay.run(store.since())
    store.close()
    return dict(replay.counts), told


def edit(folder: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(folder / STORE) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize("against", ["all", "just_passed"])
def test_decisions_are_bit_equal(artifact: Artifact, tmp_path: Path, against: Against) -> None:
    some = random_applications(500, seed=1)
    record(tmp_path, artifact, some)
    record(tmp_path, artifact, some, explain=True, against=against)
    assert replayed(tmp_path) == ({"decisions": 1000, "bit-equal": 1000}, [])


def test_every_artefact_scores_its_own_decisions(artifact: Artifact, tmp_path: Path) -> None:
    policy = artifact.policy.to_json()
    policy["high_from"] = (policy["high_from"] + 1) / 2
    other = verify(with_policy(artifact, Policy.from_json(to_json(policy))), "the other")
    record(tmp_path, artifact, [EXAMPLE, OTHER])
    record(tmp_path, other, [EXAMPLE, OTHER])
    assert len(list((tmp_path / "artifacts").iterdir())) == 2
    assert replayed(tmp_path) == ({"decisions": 4, "bit-equal": 4}, [])


@pytest.mark.parametrize(
    ("column", "old", "new", "told"),
    [
        ("facts", '"probability":0.', '"probability":0.5', "probability 0.5"),
        ("facts", '"points":', '"points":9', "points 9"),
        ("facts", '"tier":"', '"tier":"so', "tier so"),
        ("personal", '"warnings":[', '"warnings":[1', "other warnings were recorded"),
        ("personal", '"reasons":[', '"reasons":[1,', "other reasons were recorded"),
    ],
)
def test_what_differs_is_named(artifact: Artifact, tmp_path: Path, column: str, old: str, new: str, told: str) -> None:
    one, other = record(tmp_path, artifact, [{**EXAMPLE}, OTHER], explain=True)
    edit(tmp_path, f"UPDATE decisions SET {column} = replace({column}, ?, ?) WHERE id = ?", old, new, one)
    counts, [line] = replayed(tmp_path)
    assert counts == {"decisions": 2, "bit-equal": 1, "differ": 1}
    assert line.startswith(f"{one}: {told}")
    assert other not in line


def test_a_forgotten_decision_is_counted(artifact: Artifact, tmp_path: Path) -> None:
    one, _ = record(tmp_path, artifact, [EXAMPLE, OTHER])
    edit(tmp_path, "UPDATE decisions SET personal = NULL WHERE id = ?", one)
    assert replayed(tmp_path) == ({"decisions": 2, "bit-equal": 1, "forgotten": 1}, [])


def test_a_decision_that_cannot_be_read_is_named(artifact: Artifact, tmp_path: Path) -> None:
    one, _ = record(tmp_path, artifact, [EXAMPLE, OTHER])
    edit(tmp_path, "UPDATE decisions SET personal = 'none' WHERE id = ?", one)
    counts, [line] = replayed(tmp_path)
    assert counts == {"decisions": 2, "bit-equal": 1, "differ": 1}
    assert line.endswith(", record 1: it cannot be read; python -m decisions.verify proves the chain")


def test_an_artefact_that_is_gone_is_named_once(artifact: Artifact, tmp_path: Path) -> None:
    record(tmp_path, artifact, [EXAMPLE])
    record(tmp_path, artifact, [OTHER])
    keep(tmp_path, artifact).unlink()
    counts, [line] = replayed(tmp_path)
    assert counts == {"decisions": 2, "without their artefact": 2}
    assert line.startswith("the artefact ")


def test_only_so_many_artefacts_are_held_and_one_that_comes_back_is_used_again(
    artifact: Artifact, tmp_path: Path
) -> None:
    policy = artifact.policy.model_copy(update={"high_from": (artifact.policy.high_from + 1) / 2})
    other = verify(with_policy(artifact, policy), "the other")
    ids = record(tmp_path, artifact, [EXAMPLE]) + record(tmp_path, other, [EXAMPLE])
    store = AuditStore(tmp_path / STORE)
    first, second = [Recorded.of(store.get([id_])[id_]) for id_ in ids]
    store.close()
    assert first
    assert second
    replays, kept = Replays(tmp_path, most=1), keep(tmp_path, artifact)
    whole = kept.read_bytes()
    assert not replays.score(first.facts.artifact, [first])[0].differences
    kept.unlink()
    assert not replays.score(first.facts.artifact, [first, first])[1].differences
    assert not replays.score(second.facts.artifact, [second])[0].differences
    with pytest.raises(ArtifactError):
        replays.score(first.facts.artifact, [first])
    kept.write_bytes(whole)
    assert not replays.score(first.facts.artifact, [first])[0].differences


def test_an_artefact_of_another_schema_is_named(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, artifact, [EXAMPLE])
    monkeypatch.setattr("model.artifact.FIELDS", ())
    counts, [line] = replayed(tmp_path)
    assert counts == {"decisions": 1, "without their artefact": 1}
    assert "was trained for another schema" in line


def test_decisions_are_chosen_by_id_or_since_a_time(artifact: Artifact, tmp_path: Path) -> None:
    one, two = record(tmp_path, artifact, [EXAMPLE, OTHER])
    store = AuditStore(tmp_path / STORE)
    time = store.get([one])[one].fact["time"]
    assert [found.id for found in _chosen(store, [two], None)] == [two]
    assert [found.id for found in _chosen(store, [], time)] == [one, two]
    assert list(_chosen(store, [], "9999")) == []
    store.close()


@pytest.mark.parametrize(
    ("given", "meant"),
    [("2026-11-01", "2026-11-01T00:00:00.000Z"), ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00.000Z")],
)
def test_a_time_is_read_in_utc(given: str, meant: str) -> None:
    assert _time(given) == meant


def test_the_command_says_how_it_went(artifact: Artifact, tmp_path: Path) -> None:
    one, _ = record(tmp_path, artifact, [EXAMPLE, OTHER])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "decisions.replay", *arguments, "--decisions", str(tmp_path)]
        return subprocess.run(line, capture_output=True, text=True)

    done = run("--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 decisions: 2 bit-equal, 0 differ, 0 forgotten, 0 without their artefact; ")
    edit(tmp_path, "UPDATE decisions SET facts = replace(facts, '\"points\":', '\"points\":9') WHERE id = ?", one)
    done = run("--since", "2020-01-01")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{one}: points 9")
    done = run("none")
    assert (done.returncode, done.stderr) == (1, "riskline: there is no decision none\n")


def test_json_is_compared_by_value(artifact: Artifact, tmp_path: Path) -> None:
    one, _ = record(tmp_path, artifact, [EXAMPLE, OTHER], explain=True)
    store = AuditStore(tmp_path / STORE)
    person = store.get([one])[one].person
    store.close()
    spaced = json.dumps(person)
    edit(tmp_path, "UPDATE decisions SET personal = ? WHERE id = ?", spaced, one)
    assert replayed(tmp_path) == ({"decisions": 2, "bit-equal": 2}, [])
