"""Decisions scored again, each with the very artefact that made it, and compared to the last bit.

The recorded application goes the way of every other: decode → encode → score → decide. `python -m decisions.replay`
asks for many at once, GET /decisions/{id}?replay=true for one.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, get_args

from msgspec import Raw, Struct
from msgspec.json import Decoder
from pydantic_core import to_json

from decisions.artifacts import load
from decisions.record import Record
from model.policy import TIERS, Tier
from preprocessing.json_columns import read_batch
from serving.scorer import Scorer, Scores, ScoreWarning
from serving.settings import Against

_PATHS: tuple[Against, ...] = get_args(Against)  # reasons may have been given in either way


class _Facts(Struct, gc=False):
    id: str
    artifact: str
    model_version: str
    policy_version: str
    probability: float
    tier: str
    points: int


class _Source(Struct, frozen=True, gc=False):
    unsure: tuple[str, ...] = ()


class _Personal(Struct, gc=False):
    application: Raw
    warnings: Raw
    reasons: Raw
    source: _Source = _Source()


_FACTS, _PERSONAL = Decoder(_Facts), Decoder(_Personal)


class Recorded(NamedTuple):
    """What of a decision is compared, and its application."""

    facts: _Facts
    personal: _Personal

    @classmethod
    def of(cls, record: Record) -> "Recorded | None":
        """None where it was forgotten; ValueError where it cannot be read, since somebody has edited it."""
        if record.personal is None:
            return None
        return cls(_FACTS.decode(record.facts), _PERSONAL.decode(record.personal))


class Scored(NamedTuple):
    """What an application is given now."""

    probability: float
    tier: Tier
    points: int


class Again(NamedTuple):
    """What came out the second time: a sentence for each difference, none where it is bit-equal. `score` is None where
    the application is refused now."""

    differences: tuple[str, ...]
    score: Scored | None


class Replays:
    """Scores with the artefacts beside the decisions in `folder`, and holds the `most` that it last used in memory."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._opening = folder, threading.Lock()
        self._scorers = lru_cache(most)(self._opened)

    def score(self, artifact: str, batch: Sequence[Recorded]) -> list[Again]:
        """One answer for each of the decisions that this artefact made, in order: a batch of any size gives a row the
        same. ArtifactError where the artefact is not kept, or cannot be used."""
        with self._opening:  # or two who ask for the same one at once would both load it
            scorers = self._scorers(artifact)
        body = b'{"applications":[' + b",".join([bytes(personal.application) for _, personal in batch]) + b"]}"
        unsure = {row: personal.source.unsure for row, (_, personal) in enumerate(batch) if personal.source.unsure}
        encoded = replace(read_batch(body), unsure=unsure)
        explained = [row for row, (_, personal) in enumerate(batch) if bytes(personal.reasons) != b"null"]
        scores = {
            against: scorer.score(encoded, explained)
            for against, scorer in scorers.items()
            if explained or against == _PATHS[0]
        }
        return [_compared(decision, scores, row) for row, decision in enumerate(batch)]

    def _opened(self, artifact: str) -> dict[Against, Scorer]:
        """A scorer for each way of giving reasons."""
        loaded = load(self._folder, artifact)
        return {against: Scorer(loaded, against=against) for against in _PATHS}


def _compared(decision: Recorded, each: dict[Against, Scores], row: int) -> Again:
    scores = each[_PATHS[0]]
    if row in scores.refused:
        return Again((f"the application is refused now ({scores.refused[row].message})",), None)
    now = Scored(scores.probability[row], TIERS[scores.tier[row]], scores.points[row])
    return Again(tuple(_differences(decision, each, row, now)), now)


def _differences(decision: Recorded, each: dict[Against, Scores], row: int, score: Scored) -> Iterator[str]:
    facts, personal = decision
    scores = each[_PATHS[0]]
    recorded = (facts.probability, facts.tier, facts.points, facts.model_version, facts.policy_version)
    now = (*score, scores.model_version, scores.policy_version)
    if recorded != now:
        names = ("probability", "tier", "points", "model_version", "policy_version")
        for name, was, is_ in zip(names, recorded, now, strict=True):
            if was != is_:
                yield f"{name} {was} was recorded, and is {is_} now"
    if not _are_equal(bytes(personal.warnings), _warnings(scores.warnings.get(row, ()))):
        yield "other warnings were recorded"
    reasons = bytes(personal.reasons)
    if reasons != b"null" and not any(_are_equal(reasons, _reasons(scores, row)) for scores in each.values()):
        yield "other reasons were recorded"


@lru_cache(maxsize=4096)
def _warnings(warnings: tuple[ScoreWarning, ...]) -> bytes:
    return to_json(warnings)


def _reasons(scores: Scores, row: int) -> bytes:
    assert scores.reasons is not None, "asked for above: this is a bug"
    return scores.reasoning.as_json(scores.reasons[row]).encode()


def _are_equal(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts say the same; a number has more than one spelling."""
    return one == other or json.loads(one) == json.loads(other)
