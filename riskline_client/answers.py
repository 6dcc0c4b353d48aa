"""What the service answers, as frozen values. What a newer service says besides is passed over.

Times are text as the service writes them (RFC 3339 in UTC). Probabilities are of going bad.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from riskline_client.errors import Problem

Tier = Literal["low", "medium", "high"]
Channel = Literal["api", "webform", "mobile", "chatbot", "phone", "mail"]
State = Literal["", "queued", "approved", "declined", "conflict"]
Verdict = Literal["approve", "decline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWarning:
    """Something about a scored application that a person should know; the score stands."""

    field: str
    code: Literal["missing", "outside_training_range", "low_confidence"]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason for a score; a `contribution` (to the log-odds) above 0 raised the risk."""

    field: str
    contribution: float
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an application is answered with. `reasons` is None where nobody asked for them."""

    probability: float
    tier: Tier
    points: int
    model_version: str
    policy_version: str
    decision_id: str
    warnings: tuple[ScoreWarning, ...]
    reasons: tuple[Reason, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """What a row of a batch gets in place of an answer; the other rows have theirs. `error` is the code."""

    error: str
    message: str
    detail: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTier:
    """The next better tier: below which probability it begins, and by how much the log-odds would have to fall."""

    tier: Tier
    probability_below: float
    margin_to_lose: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """New values of one or two fields that reach the next better tier, and what the application would then get."""

    change: Mapping[str, float]
    probability: float
    tier: Tier
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Decision):
    """A decision and all that it consists of: `bias` and `contributions` add up to `margin`, the log-odds."""

    margin: float
    bias: float
    contributions: Mapping[str, float]
    reasons_against: Literal["all", "just_passed"]
    next_tier: NextTier | None
    changes: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What stays of a decision for ever. `review` says why the policy wants a person to look at it."""

    id: str
    time: str
    channel: Channel
    model_version: str
    policy_version: str
    schema_version: str
    artifact: str
    request_id: str
    seconds: float
    probability: float
    tier: Tier
    points: int
    review: tuple[Literal["tier", "range", "threshold", "confidence"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDecision(Facts):
    """A decision in a list; `state` is empty where nobody has looked at it and nobody need."""

    state: State
    forgotten: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what was asked for; `next` is the cursor of the page after, None where there is no more yet.

    unreadable: the ids of decisions that belong here and whose records the service cannot read any more.
    """

    decisions: tuple[ListedDecision, ...]
    next: str | None
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenReview:
    """A review as it was added."""

    reviewer: str
    verdict: Verdict
    note: str | None
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenOutcome:
    """An outcome as it was told."""

    outcome: Literal["good", "bad"]
    date: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentValue:
    """A value as a channel sent it, under its sender's name for it."""

    key: str
    value: str | float | bool | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A channel's payload: the sha256 of its bytes, and what it said of each field."""

    sha256: str
    form: str = ""
    fields: Mapping[str, SentValue] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A record's place in its chain: sha256(hash of the record before ‖ digest ‖ facts) is its hash."""

    chain: str
    number: int
    hash: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be so of a record, whether it is, and that in a sentence."""

    what: Literal["digest", "hash", "before", "after"]
    holds: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All of them, and whether each holds."""

    holds: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came out when the application was scored again; `equal` is None where it could not be."""

    equal: bool | None
    says: str
    probability: float | None = None
    tier: Tier | None = None
    points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as it stands in the record, with what people have said of it. What was forgotten is None."""

    facts: Facts
    state: State
    forgotten: bool
    application: Mapping[str, Any] | None
    warnings: tuple[ScoreWarning, ...] | None
    reasons: tuple[Reason, ...] | None
    source: Source | None
    reviews: tuple[GivenReview, ...]
    outcomes: tuple[GivenOutcome, ...]
    record: Place
    proof: Proof | None = None
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision, to be told to the service; `date` is the day since when that is known."""

    decision_id: str
    outcome: Literal["good", "bad"]
    date: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOutcome:
    """An outcome that is in the record: newly `recorded`, or `known` because the very same was told before."""

    decision_id: str
    result: Literal["recorded", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model that new applications are scored with; `manifest` says how it was made."""

    version: str
    model_version: str
    policy_version: str
    manifest: Mapping[str, Any]
