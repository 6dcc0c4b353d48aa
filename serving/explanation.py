"""The answer of POST /explain: a score taken apart, and the smallest changes that would reach the next better tier."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from model.changes import smallest_changes
from model.graph import MARGIN
from model.policy import DIGITS, TIERS, Tier
from preprocessing.encode import MODEL_FIELDS, Batch, encode
from preprocessing.fields import Number
from preprocessing.schema import Application
from serving.scorer import Score, Scorer, Scores
from serving.settings import Against

WHOLE = {field.name for field in MODEL_FIELDS if isinstance(field.kind, Number) and field.kind.whole}


@dataclass(frozen=True, slots=True)
class NextTier:
    """How far the next better tier is."""

    tier: Tier
    probability_below: Annotated[float, Field(description="It begins below this probability.")]
    margin_to_lose: Annotated[float, Field(description="By so much the log-odds would have to fall.")]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change of one or two fields that reaches the next better tier; scored, not estimated."""

    change: Annotated[dict[str, float], Field(description="New values by field; everything else stays.")]
    probability: float
    tier: Tier
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Score):
    """A score and everything that it consists of."""

    margin: Annotated[float, Field(description="Log-odds of going bad; probability = 1 / (1 + exp(-margin)).")]
    bias: Annotated[float, Field(description="The mean margin of the training applicants.")]
    contributions: Annotated[
        dict[str, float], Field(description="Of every field to the log-odds; with the bias they add up to the margin.")
    ]
    reasons_against: Annotated[Against, Field(description="Whom the reasons compare the applicant with.")]
    next_tier: Annotated[NextTier | None, Field(description="null in the best tier.")]
    changes: Annotated[
        tuple[Suggestion, ...],
        Field(
            description="The smallest change of each field that an applicant can change, and of two together where "
            "that is clearly smaller, measured in interquartile ranges; smallest first, none where none suffices."
        ),
    ]


def explain(
    scorer: Scorer, application: Application, batch: Batch, decision_id: str | None = None
) -> tuple[Explanation, Scores]:
    """Scores one valid application, encoded as `batch`, and takes its score apart; also the scores as they are counted.

    `decision_id` is what the caller wants the decision to be called.
    """
    artifact = scorer.artifact
    scores = scorer.score(batch, explain=[0], named={0: decision_id} if decision_id else {})
    score = scores.row(0)
    assert isinstance(score, Score), "a valid application has a score: this is a bug"
    [[margin]] = artifact.graph.run(batch.matrix, [MARGIN])[0].tolist()
    [contributions] = artifact.contributions(batch.matrix).tolist()
    better = artifact.policy.better_tier(scores.tier[0])
    explanation = Explanation(
        **{name: getattr(score, name) for name in Score.__dataclass_fields__},
        margin=round(margin, DIGITS),
        bias=round(artifact.reference.bias, DIGITS),
        contributions={
            field.name: round(value, DIGITS) for field, value in zip(MODEL_FIELDS, contributions, strict=True)
        },
        reasons_against=scorer.against,
        next_tier=better and NextTier(*better, round(margin - log(better[1] / (1 - better[1])), DIGITS)),
        changes=_suggestions(scorer, application, batch.matrix[0], better[1]) if better else (),
    )
    return explanation, scores


def _suggestions(
    scorer: Scorer, application: Application, codes: npt.NDArray[np.float32], below: float
) -> tuple[Suggestion, ...]:
    """Each is scored the way that an application with these values would be."""
    given = application.model_dump(exclude_unset=True)
    changes = [_in_their_type(change.to) for change in smallest_changes(scorer.artifact, codes, below)]
    changed = [Application.model_validate({**given, **change}) for change in changes]
    scores = scorer.score(encode(changed))
    return tuple(
        Suggestion(change, probability, TIERS[tier], points)
        for change, probability, tier, points in zip(
            changes, scores.probability, scores.tier, scores.points, strict=True
        )
        if probability < below
    )


def _in_their_type(to: Mapping[str, float]) -> dict[str, float]:
    return {name: int(value) if name in WHOLE else value for name, value in to.items()}
