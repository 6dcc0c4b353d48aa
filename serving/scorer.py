"""The spine: the one place where the steps of an application's way meet. Every edge calls `Scorer.score`.

    decode (preprocessing/decode.py) → encode → score → decide → answer (serving/api.py)

It always takes a batch; one application is a batch of one.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from model.artifact import Artifact
from model.policy import Tier
from preprocessing.decode import Row
from preprocessing.encode import MODEL_FIELDS, Matrix, encode
from preprocessing.errors import InvalidApplication
from preprocessing.schema import Application


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the answer's own word; Python's warnings have no place here
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
    warnings: Annotated[tuple[Warning, ...], Field(description="Missing fields, values outside the training range.")]


class Scorer:
    """Scores applications with one verified artefact."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact

    def score(self, rows: Sequence[Row]) -> list[Score | InvalidApplication]:
        """One result for each row, in order: a Score for an application, the refusal itself for a refused one."""
        applications = [row for row in rows if isinstance(row, Application)]
        if not applications:
            return [row for row in rows if isinstance(row, InvalidApplication)]
        matrix = encode(applications)
        probabilities = self.artifact.score(matrix)
        assert len(probabilities) == len(applications), "as many answers as applications: this is a bug"
        warnings = self._warnings(matrix)
        scores = iter([self._decide(p, w) for p, w in zip(probabilities, warnings, strict=True)])
        return [next(scores) if isinstance(row, Application) else row for row in rows]

    def _decide(self, probability: float, warnings: tuple[Warning, ...]) -> Score:
        assert 0.0 <= probability <= 1.0, "a probability is between 0 and 1: this is a bug"
        return Score(
            probability,
            self.artifact.policy.tier(probability),
            self.artifact.model_version,
            self.artifact.policy_version,
            decision_id(),
            warnings,
        )

    def _warnings(self, matrix: Matrix) -> list[tuple[Warning, ...]]:
        low, high = self.artifact.ranges
        usual = (matrix >= low) & (matrix <= high)  # False for NaN too
        none: tuple[Warning, ...] = ()
        warnings = [none] * len(matrix)
        if not usual.all():
            for row in np.flatnonzero(~usual.all(axis=1)):
                warnings[row] = tuple(
                    self._missing[column] if np.isnan(matrix[row, column]) else self._unusual[column]
                    for column in np.flatnonzero(~usual[row])
                )
        return warnings

    @cached_property
    def _missing(self) -> list[Warning]:
        return [
            Warning(field.name, "missing", f"{field.kind.label} is missing; scored without it")
            for field in MODEL_FIELDS
        ]

    @cached_property
    def _unusual(self) -> list[Warning]:
        return [
            Warning(
                field.name,
                "outside_training_range",
                f"{field.kind.label} is outside what the model was trained on ({low:g} to {high:g})",
            )
            for field, (low, high) in zip(MODEL_FIELDS, self.artifact.ranges.T.tolist(), strict=True)
        ]


def decision_id() -> str:
    """A UUID version 7 (RFC 9562): 48 bits of time in milliseconds, so that ids sort by time, then 74 random bits."""
    number = int.from_bytes(os.urandom(10), "big") | (time.time_ns() // 1_000_000 << 80)
    number = number & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
