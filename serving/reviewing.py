"""The routes of the people who look at decisions: a request in, what to answer out. Routing is in `decisions.py`.

What is read here may hold personal data, so it goes into answers and never into errors or logs.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from decisions.desk import Desk
from decisions.errors import UnreadableRecord
from decisions.log import Log
from decisions.proof import Proof
from decisions.record import FACTS, Channel, as_object
from decisions.review import Page, Query, Review, Verdict, Whole
from model.policy import Tier, Why
from preprocessing.errors import LONGEST_NAME_REPEATED, MalformedBody, Problem
from serving.bodies import Body, as_file
from serving.errors import InvalidRequest, NoRecord
from serving.formats import JSON, format_of
from serving.messages import Request, Worked, text
from serving.outcomes import OUTCOME_FORMATS, add_outcomes
from serving.proving import More, Replayed, Replaying
from serving.settings import Settings

LIST, ONE_DECISION, REVIEW, OUTCOMES = "/decisions", "/decisions/{id}", "/decisions/{id}/review", "/outcomes"
REVIEWING = frozenset({LIST, ONE_DECISION, REVIEW, OUTCOMES})
_Model = TypeVar("_Model", bound=BaseModel)
_State = Literal["", "queued", "approved", "declined", "conflict"]


class Facts(BaseModel):
    """What stays of a decision for ever. Declared for the contract."""

    id: str
    time: Annotated[str, Field(description="When it was made: RFC 3339 in UTC.")]
    channel: Channel
    model_version: str
    policy_version: str
    schema_version: Annotated[str, Field(description="The first 12 digits of the sha256 over the schema's fields.")]
    artifact: Annotated[str, Field(description="The sha256 of the artefact's manifest.")]
    request_id: str
    seconds: Annotated[float, Field(description="From the request's arrival until the decision was to be written.")]
    probability: float
    tier: Annotated[Tier, Field(description="What the model and its policy said; no reviewer changes it.")]
    points: int
    review: Annotated[list[Why], Field(description="Why the policy wants a person to look at it; mostly nothing.")]


class ListedDecision(Facts):
    """A decision in a list."""

    state: Annotated[_State, Field(description="Empty where nobody has looked at it and nobody need.")]
    forgotten: Annotated[bool, Field(description="Whether its personal data were erased.")]


class Decisions(BaseModel):
    """A page of decisions."""

    decisions: list[ListedDecision]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; null where there is no more yet.")]
    unreadable: Annotated[
        list[str], Field(description="Ids of those on this page whose records were changed and cannot be read.")
    ]


class GivenReview(BaseModel):
    """A review as it was added."""

    reviewer: str
    verdict: Verdict
    note: str | None
    time: str


class GivenOutcome(BaseModel):
    """An outcome as it was told."""

    outcome: Literal["good", "bad"]
    date: str
    time: str


class SentValue(BaseModel):
    """A value as it came, under the name that its sender knows it by."""

    key: str
    value: str | float | bool | None
    confidence: Annotated[float | None, Field(description="Of whoever read it for us.")] = None


class Source(BaseModel):
    """A channel's payload: the sha256 of its bytes, and what it said of each field. Other keys of it meant none."""

    sha256: str
    form: str = ""
    fields: dict[str, SentValue] = {}
    unused: list[str] = []
    unsure: Annotated[list[str], Field(description="Fields that were read with little confidence.")] = []


class Chained(BaseModel):
    """A record's place: sha256(hash of the record before ‖ digest ‖ facts) is its hash. Both are in hexadecimal."""

    chain: str
    number: int
    hash: str
    digest: Annotated[str, Field(description="The sha256 of the personal part, which stays when that is erased.")]


class Decision(BaseModel):
    """A decision, and what people have said of it since."""

    facts: Facts
    state: _State
    forgotten: bool
    application: Annotated[dict[str, Any] | None, Field(description="As it was decided on; null once it is forgotten.")]
    warnings: list[dict[str, Any]] | None
    reasons: Annotated[list[dict[str, Any]] | None, Field(description="Null where nobody had asked for them, too.")]
    source: Annotated[
        Source | None, Field(description="What a channel sent for it; null where the application came as it is.")
    ]
    reviews: Annotated[list[GivenReview], Field(description="Older ones first; the newest of each reviewer counts.")]
    outcomes: list[GivenOutcome]
    record: Chained
    proof: Annotated[Proof | None, Field(description="Only with `proof=true`.")] = None
    replay: Annotated[Replayed | None, Field(description="Only with `replay=true`.")] = None


class Reviewing:
    """Answers requests to `REVIEWING`; without a log nothing is recorded, and NoRecord says so."""

    def __init__(self, log: Log | None, settings: Settings) -> None:
        self._desk = None if log is None else Desk(log)
        self._replaying = None if log is None else Replaying(log.folder)
        self._settings = settings

    async def answer(self, route: str, request: Request) -> Worked:
        if self._desk is None:
            raise NoRecord("decisions are not recorded here (RISKLINE_RECORD=none)")
        return Worked(200, *await asyncio.to_thread(self._answered, self._desk, route, request), {})

    def _answered(self, desk: Desk, route: str, request: Request) -> tuple[str, Body]:
        if route == LIST:
            return JSON, page_json(desk.page(_query(request.query)))
        if route == ONE_DECISION:
            return JSON, self._decision(desk, request.decision_id, _more(request.query))
        if route == REVIEW:
            return JSON, _as_json(desk.review(request.decision_id, _review(request)))
        media_type = format_of(text(request.headers.get(b"content-type")), OUTCOME_FORMATS).media_type
        most_rows = self._settings.most_rows(bulk=media_type != JSON)
        return media_type, add_outcomes(media_type, request.body, most_rows, desk.add_outcomes)

    def _decision(self, desk: Desk, id_: str, more: More) -> bytes:
        if more.proof == "true":
            whole, proof = desk.proved(id_)
        else:
            whole, proof = desk.get(id_), None
        replayed = self._replaying.replayed(whole.record) if self._replaying and more.replay == "true" else None
        return _as_json(whole, proof, replayed)

    def close(self) -> None:
        if self._desk:
            self._desk.close()


def _query(sent: bytes) -> Query:
    """Every parameter must be known, but for the one that any route takes."""
    pairs = [pair for pair in _pairs(sent) if pair[0] != "timing"]
    return _valid(lambda: Query.model_validate_strings(_once(pairs)), "the query")


def _more(sent: bytes) -> More:
    """Parameters of other names are nobody's."""
    pairs = [pair for pair in _pairs(sent) if pair[0] in More.model_fields]
    return _valid(lambda: More.model_validate(_once(pairs)), "the query")


def _pairs(sent: bytes) -> list[tuple[str, str]]:
    return parse_qsl(sent.decode("latin-1"), keep_blank_values=True)


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        problem = Problem(twice[:LONGEST_NAME_REPEATED], "duplicate", "this parameter comes more than once")
        raise InvalidRequest("the query has 1 problem", [problem])
    return dict(pairs)


def _review(request: Request) -> Review:
    format_of(text(request.headers.get(b"content-type")), (JSON,))
    body = as_file(request.body).read()
    return _valid(lambda: Review.model_validate_json(body), "the review")


def _valid(read: Callable[[], _Model], what: str) -> _Model:
    try:
        return read()
    except ValidationError as error:
        invalid = InvalidRequest.of(what, error)
    if invalid.detail[0].rule == "json":
        raise MalformedBody(invalid.detail[0].message)
    raise invalid


def page_json(page: Page) -> bytes:
    """A page as an answer: a record that cannot be read keeps nobody from those beside it."""
    rows: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for decision in page.decisions:
        try:
            facts = as_object(decision.facts, FACTS)
        except UnreadableRecord:
            unreadable.append(decision.id)
        else:
            rows.append({**facts, "state": decision.state, "forgotten": decision.is_forgotten})
    following = None if page.next is None else str(page.next)
    return to_json({"decisions": rows, "next": following, "unreadable": unreadable})


def _as_json(whole: Whole, proof: Proof | None = None, replayed: Replayed | None = None) -> bytes:
    record, person = whole.record, whole.record.person or {}
    more: dict[str, Any] = {} if proof is None else {"proof": proof}
    if replayed is not None:
        more["replay"] = replayed.model_dump(exclude_unset=True)
    return to_json(
        {
            "facts": record.fact,
            "state": whole.state,
            "forgotten": record.personal is None,
            "application": person.get("application"),
            "warnings": person.get("warnings"),
            "reasons": person.get("reasons"),
            "source": person.get("source"),
            "reviews": [review._asdict() for review in whole.reviews],
            "outcomes": [outcome._asdict() for outcome in whole.outcomes],
            "record": {
                "chain": record.chain,
                "number": record.number,
                "hash": record.hash.hex(),
                "digest": record.digest.hex(),
            },
            **more,
        }
    )
