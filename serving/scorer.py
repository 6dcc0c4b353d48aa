"""The spine: the one place where the steps of an application's way meet. Every edge calls `Scorer.score`.

    decode → encode (preprocessing/) → score → explain, if asked → decide (here) → answer (serving/answers.py)

It always takes a batch; one application is a batch of one. Answers are columns; `Scores.row` makes one an object.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from model.artifact import Artifact
from model.policy import FEW, TIERS, Tier
from preprocessing.encode import FIELDS, MODEL_FIELDS, Batch, Matrix
from preprocessing.errors import RisklineError
from serving.reasons import Ranked, Reason, Reasoning
from serving.settings import Against

_NONE: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ScoreWarning:
    """Something about a scored application that a person should know; the score stands."""

    field: str
    code: Literal["missing", "outside_training_range", "low_confidence"]
    message: str


@dataclass(frozen=True, slots=True)
class Score:
    """What an application is answered with."""

    probability: Annotated[float, Field(description="Calibrated probability that the application goes bad, 6 digits.")]
    tier: Annotated[Tier, Field(description="The probability in the policy's words: low, medium or high risk.")]
    points: Annotated[int, Field(description="The probability on the policy's scale of points: more are better.")]
    model_version: Annotated[str, Field(description="The first 12 digits of the sha256 of the model's graph.")]
    policy_version: Annotated[str, Field(description="The first 12 digits of the sha256 of the policy.")]
    decision_id: Annotated[str, Field(description="Names this decision for ever: a UUID version 7.")]
    warnings: Annotated[
        tuple[ScoreWarning, ...], Field(description="Missing fields, values outside the training range.")
    ]
    reasons: Annotated[
        tuple[Reason, ...] | None,
        Field(description="If asked for: at most four, what raised the risk most comes first."),
    ] = None


@dataclass(frozen=True)
class Scores:
    """The answers to a batch as columns of equal length; in a row that `refused` names they mean nothing."""

    model_version: str
    policy_version: str
    probability: list[float]
    tier: list[int]  # index into TIERS
    points: list[int]
    ids: str  # of the decisions, one after the other, `ID_LENGTH` characters each
    warnings: Mapping[int, tuple[ScoreWarning, ...]]  # by row, for rows that have any
    refused: Mapping[int, RisklineError]  # by row
    seconds: Mapping[str, float]  # by stage
    reasoning: Reasoning
    reasons: Mapping[int, Ranked] | None = None  # by row; None where nobody asked
    named: Mapping[int, str] = field(default_factory=dict)  # by row: ids that callers gave, which go before `ids`
    stood: Mapping[int, Score] = field(default_factory=dict)  # by row: what was decided before under such an id

    def __len__(self) -> int:
        return len(self.probability)

    @cached_property
    def decision_id(self) -> list[str]:
        ids = [self.ids[at : at + ID_LENGTH] for at in range(0, len(self.ids), ID_LENGTH)]
        for row, name in self.named.items():
            ids[row] = name
        return ids

    def row(self, index: int) -> Score | RisklineError:
        """The answer to one application as an object."""
        if index in self.refused:
            return self.refused[index]
        if index in self.stood:
            return self.stood[index]
        return Score(
            self.probability[index],
            TIERS[self.tier[index]],
            self.points[index],
            self.model_version,
            self.policy_version,
            self.decision_id[index],
            self.warnings.get(index, ()),
            None if self.reasons is None or index not in self.reasons else self.reasoning.words(self.reasons[index]),
        )


MOST_KNOWN = 4096  # combinations of warnings that are kept; a caller could send others for ever


class Scorer:
    """Scores batches with one verified artefact, large ones in `parts` side by side where `threads` are given.

    Reasons compare an applicant with those that `against` names. `offer` is shown every batch once it is scored.
    """

    def __init__(
        self,
        artifact: Artifact,
        threads: Executor | None = None,
        parts: int = 1,
        against: Against = "all",
        offer: Callable[[Matrix, Scores], None] | None = None,
    ) -> None:
        self.artifact = artifact
        self.against = against
        self.reasoning = Reasoning(artifact, against)
        self._threads, self._parts, self._offer = threads, parts, offer
        self._low, self._high = artifact.ranges
        self._known_words: dict[bytes, tuple[ScoreWarning, ...]] = {}
        self._bounds = list(zip(self._low.tolist(), self._high.tolist(), strict=True))

    def score(self, batch: Batch, explain: Sequence[int] | None = None, named: Mapping[int, str] = _NONE) -> Scores:
        """One answer for each row of the batch, in order; the rows that `explain` names get reasons as well, those in
        `named` have their decision's id there."""
        started = time.perf_counter()
        probability = self.artifact.score(batch.matrix, self._threads, self._parts)
        scored = time.perf_counter()
        reasons = None if explain is None else self._reasons(batch, explain)
        explained = time.perf_counter()
        rows = len(batch.matrix)
        assert len(probability) == rows, "as many answers as applications: this is a bug"
        assert rows == 0 or 0 <= min(probability) <= max(probability) <= 1, "no probability at all: this is a bug"
        assert isfinite(sum(probability)), "a NaN hides from min and max: this is a bug"
        tier = self.artifact.policy.tiers(probability)
        warnings = self._warnings(batch)
        decided = time.perf_counter()
        scores = Scores(
            self.artifact.model_version,
            self.artifact.policy_version,
            probability,
            tier,
            self.artifact.policy.points(probability),
            decision_ids(rows),
            warnings,
            batch.refused,
            {
                "score": scored - started,
                **({} if reasons is None else {"explain": explained - scored}),
                "decide": decided - explained,
            },
            self.reasoning,
            reasons,
            named,
        )
        if self._offer:
            self._offer(batch.matrix, scores)
        return scores

    def _reasons(self, batch: Batch, rows: Sequence[int]) -> dict[int, Ranked]:
        matrix = batch.matrix if len(rows) == len(batch.matrix) else batch.matrix[rows]
        contributions = self.artifact.contributions(matrix, self._threads, self._parts)
        return dict(zip(rows, self.reasoning.rank(contributions), strict=True))

    def _warnings(self, batch: Batch) -> dict[int, tuple[ScoreWarning, ...]]:
        flags = self._flags_of_few(batch.matrix) if len(batch.matrix) <= FEW else self._flags_of_many(batch.matrix)
        if batch.refused:
            flags = [(row, flag) for row, flag in flags if row not in batch.refused]
        warnings = {row: self._words(flag) for row, flag in flags}
        for row, names in batch.unsure.items():
            if row not in batch.refused:
                warnings[row] = (*warnings.get(row, ()), *(_UNSURE[name] for name in names))
        return warnings

    def _flags_of_few(self, matrix: Matrix) -> list[tuple[int, bytes]]:
        """Unusual rows, with a byte for each field: 0 usual, 1 outside the training range, 2 missing."""
        bounds = self._bounds
        flags = [
            bytes([not low <= c <= high and 1 + (c != c) for c, (low, high) in zip(codes, bounds, strict=True)])
            for codes in matrix.tolist()
        ]
        return [(row, flag) for row, flag in enumerate(flags) if any(flag)]

    def _flags_of_many(self, matrix: Matrix) -> list[tuple[int, bytes]]:
        """The same; a test holds both to the same results."""
        unusual = ~((matrix >= self._low) & (matrix <= self._high))  # True for NaN too
        rows = np.flatnonzero(unusual.any(axis=1))
        flags = unusual[rows] + np.isnan(matrix[rows]).astype(np.uint8)
        return list(zip(rows.tolist(), flags.view(f"V{flags.shape[1]}").ravel().tolist(), strict=True))

    def _words(self, flags: bytes) -> tuple[ScoreWarning, ...]:
        """Rows with equal flags get the very same tuple."""
        words = self._known_words.get(flags)
        if words is None:
            words = tuple(
                self._missing[column] if flag == 2 else self._unusual[column]
                for column, flag in enumerate(flags)
                if flag
            )
            if len(self._known_words) < MOST_KNOWN:
                self._known_words[flags] = words
        return words

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


_UNSURE = {
    field.name: ScoreWarning(field.name, "low_confidence", f"{field.kind.label} was read with little confidence")
    for field in FIELDS
}

ID_LENGTH = 36
# the first digit of the fourth group carries the variant in its two high bits
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_VARIANT_AT, _VARIANTS = 19, bytes.maketrans("".join(_VARIANT).encode(), "".join(_VARIANT.values()).encode())
_RANDOM_AT = (15, 16, 17, 20, 21, 22, *range(24, ID_LENGTH))


def decision_ids(rows: int) -> str:
    """UUIDs of version 7 (RFC 9562): 48 bits of time in milliseconds, so that ids sort by time, then 74 random bits.

    They stand one after the other in one text, which is how Arrow holds a column of them.
    """
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    head = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    random = os.urandom(10 * rows).hex()  # 20 digits a row, of which 19 are needed
    if rows <= FEW:
        rest = (random[at : at + 19] for at in range(0, 20 * rows, 20))
        return "".join([f"{head}{r[:3]}-{_VARIANT[r[3]]}{r[4:7]}-{r[7:]}" for r in rest])
    # digit by digit of all ids, which is the faster way for many
    digits, text = random.encode(), bytearray(f"{head}...-....-............".encode() * rows)
    for digit, place in enumerate(_RANDOM_AT):
        text[place::ID_LENGTH] = digits[digit::20]
    text[_VARIANT_AT::ID_LENGTH] = digits[19::20].translate(_VARIANTS)
    return text.decode()
