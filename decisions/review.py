"""What people do with decisions: find them, review them, and say later what became of them.

A person's verdict and the model's tier stand beside each other and never share a field. Reviews are only ever added:
who changes their mind adds another. The newest of each reviewer counts, and where these differ the decision is in
conflict until they agree.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from decisions.record import Channel, Record, State
from model.policy import Tier
from preprocessing.schema import BAD

MOST_LISTED = 1000
Verdict = Literal["approve", "decline"]
_STATES: dict[Verdict, State] = {"approve": "approved", "decline": "declined"}
_Name = Annotated[str, Field(min_length=1, max_length=128)]
_WORDS = {BAD: "bad"}  # what the schema calls it besides


def _in_utc(time: datetime) -> datetime:
    """ValueError, which is what pydantic reports, where the year would be 0 or 10,000."""
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


_Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Query(_Sent):
    """Which decisions a page is to list, in the order in which they came to the store."""

    state: Annotated[
        Literal["queued", "reviewed", "approved", "declined", "conflict"] | None,
        Field(description="`queued`: a person should look and nobody has; `reviewed`: any of the words after it."),
    ] = None
    tier: Tier | None = None
    channel: Channel | None = None
    model_version: Annotated[str | None, Field(max_length=64)] = None
    since: Annotated[_Time | None, Field(description="Made then or later: RFC 3339 with time zone.")] = None
    until: Annotated[_Time | None, Field(description="Made before then: RFC 3339 with time zone.")] = None
    order: Annotated[Literal["oldest", "newest"], Field(description="Which of them come first.")] = "oldest"
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED, description="Most of them in one answer.")] = 100
    cursor: Annotated[
        int | None, Field(ge=0, lt=2**63, description="The `next` of the page before; filters and order as there.")
    ] = None


class Review(_Sent):
    """A reviewer's verdict on a decision."""

    reviewer: Annotated[_Name, Field(description="Who says so.")]
    verdict: Annotated[Verdict, Field(description="What the reviewer would do with the application.")]
    note: Annotated[str | None, Field(max_length=2000, description="Why.")] = None
    seen: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            description="How many reviews of it the reviewer has seen. If there are more, nothing is added and the "
            "answer is 409 `outdated`; without it the review is added in any case.",
        ),
    ] = None


class Outcome(_Sent):
    """What became of a decision: whether the loan went well."""

    decision_id: Annotated[str, Field(min_length=1, max_length=128)]
    outcome: Annotated[
        Literal["good", "bad"],
        BeforeValidator(lambda word: _WORDS.get(word, word) if isinstance(word, str) else word),
        Field(description=f"`good` or `bad`, which may also be called `{BAD}` as in the training data."),
    ]
    date: Annotated[date, Field(strict=True, description="The day since when that is known, as 2026-11-25.")]


class Reviewed(NamedTuple):
    """A review as it was added; `time` is RFC 3339 in UTC."""

    reviewer: str
    verdict: Verdict
    note: str | None
    time: str


class Became(NamedTuple):
    """An outcome as it was told; `time` is when."""

    outcome: Literal["good", "bad"]
    date: str
    time: str


class Listed(NamedTuple):
    """A decision in a list: its facts as JSON text, and where its review stands."""

    id: str
    facts: str
    state: State
    is_forgotten: bool


class Page(NamedTuple):
    """Some of what was asked for; `next` is the cursor of the page after, None where there is no more yet."""

    decisions: Sequence[Listed]
    next: int | None


class Whole(NamedTuple):
    """A decision and what people have said of it since, older reviews first."""

    record: Record
    state: State
    reviews: Sequence[Reviewed]
    outcomes: Sequence[Became]


def state_of(reviews: Sequence[Reviewed]) -> State:
    """What the reviews of a decision, older ones first and at least one, come to."""
    verdicts = set({review.reviewer: review.verdict for review in reviews}.values())
    return _STATES[verdicts.pop()] if len(verdicts) == 1 else "conflict"
