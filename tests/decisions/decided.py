"""Decisions for tests: applications scored with the tests' model, as the service hands them to the log."""

import queue
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from decisions.log import Earlier, Log
from decisions.record import Channel, Decided, Origin, Versions
from model.artifact import Artifact
from preprocessing.encode import FIELDS
from preprocessing.fields import Number
from preprocessing.json_columns import read_batch
from serving.scorer import Scorer

EXAMPLE: dict[str, Any] = {field.name: field.kind.example for field in FIELDS}
# another applicant: whoever the schema allows beside the example
OTHER = {**EXAMPLE, **{field.name: field.kind.low + 1 for field in FIELDS if isinstance(field.kind, Number)}}


def decided(
    artifact: Artifact,
    applications: Sequence[Mapping[str, Any]],
    named: Mapping[int, str] | None = None,
    channel: Channel = "api",
) -> Decided:
    """A batch of valid applications, decided."""
    batch = read_batch(to_json({"applications": applications}))
    assert batch.codes is not None
    scores = Scorer(artifact).score(batch, named=named or {})
    origin = Origin(channel, "request-1", time.perf_counter())
    return Decided(
        scores.decision_id,
        batch.codes,
        scores.probability,
        scores.tier,
        scores.points,
        artifact.policy.to_review(scores.probability, scores.tier, ()),
        {row: to_json(warnings).decode() for row, warnings in scores.warnings.items()},
        {},
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
