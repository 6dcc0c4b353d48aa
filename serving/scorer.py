"""The spine: the one place where the steps of an application's way meet. Every edge calls `Scorer.score`.

    decode → encode (preprocessing/) → score → decide (here) → answer (serving/answers.py)

It always takes a batch; one application is a batch of one. Answers are columns; `Scores.row` makes one an object.
"""

import os
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from model.artifact import Artifact
from model.policy import TIERS, Tier
from preprocessing.encode import MODEL_FIELDS, Batch
from preprocessing.errors import InvalidApplication


@dataclass(frozen=True, slots=True)
class ScoreWarning:
    """Something about a scored application that a person should know; the score stands."""

    field: str
    code: Literal["missing", "outside_training_range"]
    message: str


@dataclass(frozen=True, slots=True)
class Score:
    """What an application is answered with."""

    probability: Annotated[float, Field(description="Calibrated probability that the application goes bad, 6 digits.")]
    tier: Annotated[Tier, Field(description="The probability in the policy's words: low, medium or high risk.")]
    model_version: Annotated[str, Field(description="The first 12 digits of the sha256 of the model's graph.")]
    policy_version: Annotated[str, Field(description="The first 12 digits of the sha256 of the policy.")]
    decision_id: Annotated[str, Field(description="Names this decision for ever: a UUID version 7.")]
    warnings: Annotated[
        tuple[ScoreWarning, ...], Field(description="Missing fields, values outside the training range.")
    ]


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers to a batch as columns of equal length; in a row that `refused` names they mean nothing."""

    model_version: str
    policy_version: str
    probability: list[float]
    tier: list[int]  # index into TIERS
    decision_id: list[str]
    warnings: Mapping[int, tuple[ScoreWarning, ...]]  # by row, for rows that have any
    refused: Mapping[int, InvalidApplication]  # by row
    seconds: Mapping[str, float]  # by stage

    def __len__(self) -> int:
        return len(self.probability)

    def row(self, index: int) -> Score | InvalidApplication:
        """The answer to one application as an object."""
        if index in self.refused:
            return self.refused[index]
        return Score(
            self.probability[index],
            TIERS[self.tier[index]],
            self.model_version,
            self.policy_version,
            self.decision_id[index],
            self.warnings.get(index, ()),
        )


class Scorer:
    """Scores batches with one verified artefact, large ones in `parts` side by side where `threads` are given."""

    def __init__(self, artifact: Artifact, threads: Executor | None = None, parts: int = 1) -> None:
        self.artifact = artifact
        self._threads, self._parts = threads, parts
        self._low, self._high = artifact.ranges

    def score(self, batch: Batch) -> Scores:
        """One answer for each row of the batch, in order."""
        started = time.perf_counter()
        probability = self.artifact.score(batch.matrix, self._threads, self._parts)
        scored = time.perf_counter()
        rows = len(batch.matrix)
        assert probability.shape == (rows,), "as many answers as applications: this is a bug"
        assert rows == 0 or 0 <= probability.min() <= probability.max() <= 1, "no probability at all: this is a bug"
        tier = self.artifact.policy.tiers(probability)
        warnings = self._warnings(batch)
        decided = time.perf_counter()
        return Scores(
            self.artifact.model_version,
            self.artifact.policy_version,
            probability.tolist(),
            tier.tolist(),
            decision_ids(rows),
            warnings,
            batch.refused,
            {"score": scored - started, "decide": decided - scored},
        )

    def _warnings(self, batch: Batch) -> dict[int, tuple[ScoreWarning, ...]]:
        unusual = ~((batch.matrix >= self._low) & (batch.matrix <= self._high))  # True for NaN too
        if not unusual.any():
            return {}
        # equal rows of flags get the same tuple, and most batches know few different ones
        missing = np.isnan(batch.matrix)
        known: dict[bytes, tuple[ScoreWarning, ...]] = {}
        warnings = {}
        for row in np.flatnonzero(unusual.any(axis=1)).tolist():
            if row not in batch.refused:
                flags = unusual[row].tobytes() + missing[row].tobytes()
                if flags not in known:
                    known[flags] = self._words(unusual[row], missing[row])
                warnings[row] = known[flags]
        return warnings

    def _words(self, unusual: npt.NDArray[np.bool_], missing: npt.NDArray[np.bool_]) -> tuple[ScoreWarning, ...]:
        return tuple(
            self._missing[column] if missing[column] else self._unusual[column]
            for column in np.flatnonzero(unusual).tolist()
        )

    @cached_property
    def _missing(self) -> list[ScoreWarning]:
        return [
            ScoreWarning(field.name, "missing", f"{field.kind.label} is missing; scored without it")
            for field in MODEL_FIELDS
        ]

    @cached_property
    def _unusual(self) -> list[ScoreWarning]:
        return [
            ScoreWarning(
                field.name,
                "outside_training_range",
                f"{field.kind.label} is outside what the model was trained on ({low:g} to {high:g})",
            )
            for field, low, high in zip(MODEL_FIELDS, self._low.tolist(), self._high.tolist(), strict=True)
        ]


def decision_ids(rows: int) -> list[str]:
    """UUIDs of version 7 (RFC 9562): 48 bits of time in milliseconds, so that ids sort by time, then 74 random bits."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    random = os.urandom(10 * rows).hex()
    return [
        f"{head}{random[at : at + 3]}-{_VARIANT[random[at + 3]]}{random[at + 4 : at + 7]}-{random[at + 7 : at + 19]}"
        for at in range(0, 20 * rows, 20)
    ]


# the first digit of the fourth group carries the variant in its two high bits
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
