"""Decisions for tests: applications scored with the tests' model, as the service hands them to the log."""

import queue
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from decisions.log import Earlier, Log
from decisions.record import Channel, Decided, Origin, Place, Versions, chained, entries, opening
from decisions.sqlite import Head, SQLiteStore
from model.artifact import Artifact
from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field, Number
from preprocessing.json_columns import read_batch
from serving.scorer import Scorer

EXAMPLE: dict[str, Any] = {field.name: field.kind.example for field in FIELDS}
# another applicant: whoever the schema allows beside the example
OTHER = {**EXAMPLE, **{field.name: field.kind.low + 1 for field in FIELDS if isinstance(field.kind, Number)}}


def random_applications(rows: int, seed: int) -> list[dict[str, Any]]:
    """Applications whose values lie anywhere that the schema allows, some of them missing."""
    chance = random.Random(seed)

    def value(field: Field) -> Any:
        if not field.required and chance.random() < 0.1:
            return None
        kind = field.kind
        if isinstance(kind, Category):
            return chance.choice(list(kind.values))
        return chance.randint(int(kind.low), int(kind.high)) if kind.whole else chance.uniform(kind.low, kind.high)

    return [{field.name: value(field) for field in FIELDS} for _ in range(rows)]


def decided(
    artifact: Artifact,
    applications: Sequence[Mapping[str, Any]],
    named: Mapping[int, str] | None = None,
    channel: Channel = "api",
    explain: Sequence[int] = (),
) -> Decided:
    """A batch of valid applications, decided; the rows in `explain` with their reasons."""
    batch = read_batch(to_json({"applications": applications}))
    assert batch.codes is not None
    scores = Scorer(artifact).score(batch, explain or None, named=named or {})
    origin = Origin(channel, "request-1", time.perf_counter())
    return Decided(
        scores.decision_id,
        batch.codes,
        scores.probability,
        scores.tier,
        scores.points,
        artifact.policy.to_review(scores.probability, scores.tier, ()),
        {row: to_json(warnings).decode() for row, warnings in scores.warnings.items()},
        {row: scores.reasoning.as_json(ranked) for row, ranked in (scores.reasons or {}).items()},
        scores.refused,
        tuple(named or {}),
        [origin] * len(applications),
        Versions.of(artifact),
    )


def recorded(log: Log, batch: Decided) -> Earlier:
    """Waits until the batch is on disk, and raises what its caller would be told."""
    outcomes: queue.SimpleQueue[Earlier | Exception] = queue.SimpleQueue()
    log.submit(batch, outcomes.put)
    outcome = outcomes.get(timeout=60)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def stored(store: SQLiteStore, chain: str, artifact: Artifact, times: Sequence[datetime], **more: Any) -> list[str]:
    """Ids of decisions put into the store at these times, as a chain of their own; `more` goes to `decided`."""
    applications = [OTHER if place % 3 == 2 else EXAMPLE for place in range(len(times))]
    batch = decided(artifact, applications, explain=range(0, len(times), 2), **more)
    lines = [opening(chain, times[0], {})]
    for row, time_ in enumerate(times):
        lines.append(chained(lines[-1].hash, entries(batch, time_, 0.0)[row]))
    with store.writing():
        store.put(chain, lines, Head(Place(len(lines) - 1, lines[-1].hash), 0))
    return list(batch.ids)
