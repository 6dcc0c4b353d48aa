"""What the client can ask: each call as a value with the bytes of its request and the reading of its answer. No I/O."""

import json
import math
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from riskline_client.answers import (
    Channel,
    Decision,
    Explanation,
    Model,
    Outcome,
    Page,
    RecordedDecision,
    RefusedRow,
    TakenOutcome,
    Verdict,
)
from riskline_client.errors import CLASS_OF, ErrorAnswer, StrangeAnswer
from riskline_client.reading import reader_of

T = TypeVar("T")
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
KEY, CHANNEL = "Idempotency-Key", "X-Channel"
_KEY = re.compile(r"[!#-\[\]-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Route:
    """A route as this client uses it: the parameters of query and header that it may send, and what is answered."""

    method: str
    path: str
    answers: Any
    query: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()


SCORING = {"query": frozenset({"explain"}), "headers": frozenset({KEY, CHANNEL})}
PREDICT = Route("POST", "/predict", Decision, **SCORING)
PREDICT_BATCH = Route("POST", "/predict_batch", Decision | RefusedRow, **SCORING)
EXPLAIN = Route("POST", "/explain", Explanation, headers=SCORING["headers"])
DECISIONS = Route(
    "GET", "/decisions", Page,
    frozenset({"state", "tier", "channel", "model_version", "since", "until", "order", "limit", "cursor"}),
)  # fmt: skip
ONE_DECISION = Route("GET", "/decisions/{id}", RecordedDecision, frozenset({"proof", "replay"}))
REVIEW = Route("POST", "/decisions/{id}/review", RecordedDecision)
OUTCOMES = Route("POST", "/outcomes", TakenOutcome | RefusedRow)
MODEL = Route("GET", "/model", Model)
DOCUMENT = Route("GET", "/docs.json", Mapping[str, Any])
ROUTES = (PREDICT, PREDICT_BATCH, EXPLAIN, DECISIONS, ONE_DECISION, REVIEW, OUTCOMES, MODEL, DOCUMENT)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, the same at each attempt, and how the body of its answer is read: ValueError where it is none."""

    route: Route
    read: Callable[[bytes], T]
    decision_id: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def __post_init__(self) -> None:
        unknown = (self.query.keys() - self.route.query) | (self.headers.keys() - {"Content-Type"} - self.route.headers)
        assert not unknown, f"{self.route.path} takes no {unknown}: this is a bug"

    @property
    def path(self) -> str:
        return self.route.path.replace("{id}", quote(self.decision_id, safe=""))

    def answer(self, reply: Reply) -> T:
        """What the service says; its refusal, or StrangeAnswer where it was not the service that spoke, is raised."""
        if reply.status != 200:
            raise refusal(reply)
        try:
            return self.read(reply.body)
        except ValueError as error:
            raise StrangeAnswer(reply.status, f"the answer to {self.route.path} {error}") from None


def refusal(reply: Reply) -> ErrorAnswer | StrangeAnswer:
    """The error that an answer is."""
    retry_after = reply.headers.get("retry-after", "")
    wait_s = float(retry_after) if retry_after.isdecimal() else None  # a date is a proxy's, never ours
    try:
        row = reader_of(RefusedRow)(_parsed(reply.body))
    except ValueError:
        return StrangeAnswer(reply.status, "what answered is not the service", wait_s)
    kind = CLASS_OF.get(row.error, ErrorAnswer)
    return kind(reply.status, row.error, row.message, row.detail, reply.headers.get("x-request-id"), wait_s)


def predict(
    application: Mapping[str, object], explain: bool | None, channel: Channel | None, key: str | None
) -> Call[Decision]:
    return _posted(PREDICT, _application(application), explain, channel, key)


def explain(application: Mapping[str, object], channel: Channel | None, key: str | None) -> Call[Explanation]:
    return _posted(EXPLAIN, _application(application), None, channel, key)


def predict_batch(
    applications: list[Mapping[str, object]], before: int, explain: bool | None, channel: Channel | None, key: str
) -> Call[list[Decision | RefusedRow]]:
    """`before` is how many applications of the whole batch were sent before these: errors name a row of the whole."""
    body = {"applications": [_application(each, row) for row, each in enumerate(applications, before)]}
    return _scoring(PREDICT_BATCH, _json(body), JSON, _rows(Decision, len(applications)), explain, channel, key)


def predict_columns(
    stream: bytes, read: Callable[[bytes], T], explain: bool | None, channel: Channel | None, key: str
) -> Call[T]:
    """`stream` is an Arrow IPC stream, and so is what `read` gets."""
    return _scoring(PREDICT_BATCH, stream, ARROW, read, explain, channel, key)


def decisions(query: Mapping[str, str | int | datetime | None]) -> Call[Page]:
    """ValueError for a time without its zone."""
    return Call(DECISIONS, _json_reader(DECISIONS), query={k: _text(k, v) for k, v in query.items() if v is not None})


def decision(decision_id: str, proof: bool, replay: bool) -> Call[RecordedDecision]:
    query = {name: "true" for name, wanted in (("proof", proof), ("replay", replay)) if wanted}
    return Call(ONE_DECISION, _json_reader(ONE_DECISION), decision_id, query)


def review(
    decision_id: str, reviewer: str, verdict: Verdict, note: str | None, seen: int | None
) -> Call[RecordedDecision]:
    body = _json({"reviewer": reviewer, "verdict": verdict, "note": note, "seen": seen})
    return Call(REVIEW, _json_reader(REVIEW), decision_id, headers={"Content-Type": JSON}, body=body)


def outcomes(told: list[Outcome]) -> Call[list[TakenOutcome | RefusedRow]]:
    for each in told:
        if not isinstance(each, Outcome):
            raise TypeError(f"{type(each).__name__} is no Outcome")
    rows = [{"decision_id": each.decision_id, "outcome": each.outcome, "date": _day(each.date)} for each in told]
    read = _rows(TakenOutcome, len(told))
    return Call(OUTCOMES, read, headers={"Content-Type": JSON}, body=_json({"outcomes": rows}))


def model() -> Call[Model]:
    return Call(MODEL, _json_reader(MODEL))


def schema() -> Call[Mapping[str, Any]]:
    """The JSON Schema of an application, out of the OpenAPI document."""

    def read(body: bytes) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = _parsed(body)["components"]["schemas"]["Application"]
        except (KeyError, TypeError):
            raise ValueError("describes no application") from None
        return found

    return Call(DOCUMENT, read)


def new_key() -> str:
    """An idempotency key, which becomes the decision's id: a UUID version 7 (RFC 9562), as the service's own are."""
    milliseconds, chance = time.time_ns() // 1_000_000, secrets.randbits(74)
    value = milliseconds << 80 | 7 << 76 | chance >> 62 << 64 | 2 << 62 | chance & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def _posted(
    route: Route, application: Mapping[str, object], explain: bool | None, channel: Channel | None, key: str | None
) -> Call[Any]:
    return _scoring(route, _json(application), JSON, _json_reader(route), explain, channel, key)


def _scoring(
    route: Route,
    body: bytes,
    media_type: str,
    read: Callable[[bytes], T],
    explain: bool | None,
    channel: Channel | None,
    key: str | None,
) -> Call[T]:
    if key is None:
        key = new_key()
    elif not _KEY.fullmatch(key):
        raise ValueError(
            "an idempotency key is 1 to 64 visible ASCII characters without spaces, quotes and backslashes"
        )
    query = {} if explain is None else {"explain": "true" if explain else "false"}
    headers = {"Content-Type": media_type, KEY: key} | ({} if channel is None else {CHANNEL: channel})
    return Call(route, read, "", query, headers, body)


def _application(application: Mapping[str, object], row: int | None = None) -> dict[str, object]:
    """TypeError or ValueError for what JSON cannot say, by the field's name: the service would only see no JSON."""
    if not isinstance(application, Mapping):
        raise TypeError(f"{'the application' if row is None else f'row {row}'} is no mapping of fields to values")
    where = "" if row is None else f"row {row}, "
    for name, value in application.items():
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"{where}{name}: no finite number; leave out what is missing, or send None")
        elif not isinstance(value, str | int | None):
            raise TypeError(f"{where}{name}: {type(value).__name__} is no text, number, bool or None")
    return dict(application)


def _rows(kind: type, count: int) -> Callable[[bytes], list[Any]]:
    """Reads {"results": […]}, in which there must be as many as were sent."""
    taken, refused = reader_of(kind), reader_of(RefusedRow)

    def read(body: bytes) -> list[Any]:
        answer = _parsed(body)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != count:
            raise ValueError(f"has not {count} results")
        return [refused(row) if isinstance(row, dict) and "error" in row else taken(row) for row in results]

    return read


def _json_reader(route: Route) -> Callable[[bytes], Any]:
    reader = reader_of(route.answers)
    return lambda body: reader(_parsed(body))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _text(name: str, value: str | int | datetime) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} must have a time zone")
        return value.isoformat()
    return str(value)


def _day(day: date) -> str:
    if not isinstance(day, date):
        raise TypeError(f"date: {type(day).__name__} is no date")
    return (day.date() if isinstance(day, datetime) else day).isoformat()
