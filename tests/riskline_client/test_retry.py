"""When a call is sent again, and that it is then the same request."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from riskline_client import (
    AsyncClient,
    Client,
    Conflict,
    ErrorAnswer,
    InvalidApplication,
    LimitReached,
    NoAnswer,
    Retry,
    RisklineError,
    ServiceFault,
    StrangeAnswer,
    Unavailable,
    sending,
)
from riskline_client.retry import Attempts
from tests.riskline_client.asking import Kind, ask, by

URL = "http://service.test"
AT_ONCE = Retry(attempts=4, first_wait_s=1e-6)
SCORE = {
    "probability": 0.25, "tier": "medium", "points": 500, "model_version": "a", "policy_version": "b",
    "decision_id": "id", "warnings": [],
}  # fmt: skip


class Said(NamedTuple):
    """An answer, of which a new response is made each time."""

    status: int
    body: str | httpx.SyncByteStream
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


Answer = Said | Exception
GOOD = Said(200, json.dumps(SCORE))


def error(status: int, code: str, **headers: str) -> Said:
    body = {"error": code, "message": "a message", "detail": [{"field": "x", "rule": "range", "message": "X is"}]}
    return Said(status, json.dumps(body), {"x-request-id": "one", **headers})


class Service:
    """Gives one answer after the other and keeps the requests."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers, self.requests = iter(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer.body, str):
            return httpx.Response(answer.status, headers=answer.headers, text=answer.body)
        return httpx.Response(answer.status, headers=answer.headers, stream=answer.body)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the clients would have waited; nobody does."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(asyncio, "sleep", wait)
    return waited


def predict(kind: Kind, answers: Iterable[Answer], retry: Retry = AT_ONCE) -> tuple[Any, list[httpx.Request]]:
    """What came of it, an error too, and the requests that it took."""
    service = Service(answers)
    try:
        given = ask(kind, URL, "predict", {"x": 1}, client={"http": by(kind, service), "retry": retry})
    except RisklineError as raised:
        return raised, service.requests
    return given, service.requests


@pytest.mark.parametrize(
    "passing",
    [
        error(503, "overloaded"),
        error(503, "not_recorded"),
        error(429, "rate_limited"),
        error(504, "timeout"),
        Said(502, "<html>Bad Gateway</html>"),
        httpx.ConnectError("refused"),
        httpx.ReadError("lost"),
        httpx.ReadTimeout("silence"),
        httpx.RemoteProtocolError("closed before the answer"),
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_what_may_pass_is_asked_again_with_the_same_key_and_body(kind: Kind, passing: Answer) -> None:
    given, requests = predict(kind, [passing, passing, GOOD])
    assert given.tier == "medium"
    assert len(requests) == 3
    assert len({request.headers["idempotency-key"] for request in requests}) == 1
    assert {request.content for request in requests} == {b'{"x":1}'}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(422, "invalid_application"), InvalidApplication),
        (error(409, "conflict"), Conflict),
        (error(500, "internal_error"), ServiceFault),
        (error(418, "of_a_newer_service"), ErrorAnswer),
        (Said(500, "<html>"), StrangeAnswer),
        (Said(301, "", {"location": "https://elsewhere.test/"}), StrangeAnswer),
        (Said(200, "<html>a login page</html>"), StrangeAnswer),
        (Said(200, json.dumps({**SCORE, "points": "500"})), StrangeAnswer),
    ],
)
def test_what_stays_is_raised_at_once(kind: Kind, answer: Answer, expected: type[RisklineError]) -> None:
    given, requests = predict(kind, [answer])
    assert type(given) is expected
    assert len(requests) == 1


def test_calls_beyond_what_httpx_has_connections_for_wait_for_their_turn() -> None:
    under_way = most = 0

    async def answering(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _turn in range(10):  # turns of the loop, in which whoever may send does
            await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, text=GOOD.body)  # type: ignore[arg-type]

    async def many() -> list[Any]:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answering))
        async with http, AsyncClient(URL, http=http) as riskline:
            return await asyncio.gather(*(riskline.predict({"x": 1}) for _ in range(3 * sending.AT_ONCE)))

    assert len(asyncio.run(many())) == 3 * sending.AT_ONCE
    assert most == sending.AT_ONCE


def test_threads_beyond_what_httpx_has_connections_for_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskline_client.client.AT_ONCE", 2)
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    def answering(_: httpx.Request) -> httpx.Response:
        entered.release()
        assert leave.acquire(timeout=30)
        return httpx.Response(200, text=GOOD.body)  # type: ignore[arg-type]

    http = httpx.Client(transport=httpx.MockTransport(answering))
    with http, Client(URL, http=http) as riskline, ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(riskline.predict, {"x": 1}) for _ in range(3)]
        for _ in range(2):
            assert entered.acquire(timeout=30)
        assert not entered.acquire(timeout=0.2)  # the third waits, until one of the two has its answer
        leave.release()
        assert entered.acquire(timeout=30)
        leave.release(2)
        assert {answer.result().tier for answer in answers} == {"medium"}


def test_a_list_warns_of_what_the_service_cannot_read(kind: Kind) -> None:
    page = Said(200, '{"decisions":[],"next":null,"unreadable":["one","two"]}')
    with pytest.warns(UserWarning, match="their records were changed and cannot be read: one, two"):
        assert ask(kind, URL, "decisions", client={"http": by(kind, Service([page]))}) == []


def test_two_calls_have_two_keys(kind: Kind) -> None:
    keys = {predict(kind, [GOOD])[1][0].headers["idempotency-key"] for _ in range(2)}
    assert len(keys) == 2


def test_the_last_error_is_raised_and_says_how_often_it_was_tried(kind: Kind) -> None:
    given, requests = predict(kind, itertools.repeat(error(503, "overloaded")))
    assert type(given) is Unavailable
    assert len(requests) == AT_ONCE.attempts
    assert given.__notes__ == ["after 4 attempts"]
    assert (given.code, given.status, given.request_id, given.detail[0].field) == ("overloaded", 503, "one", "x")


def test_retry_after_is_waited_for_and_chance_is_added(kind: Kind, waits: list[float]) -> None:
    predict(kind, [error(429, "rate_limited", **{"retry-after": "2"}), GOOD], Retry(first_wait_s=0.5))
    [waited] = waits
    assert 2 <= waited <= 2.5


def test_who_would_have_to_wait_beyond_the_deadline_hears_it_at_once(kind: Kind, waits: list[float]) -> None:
    given, requests = predict(kind, [error(429, "quota_exceeded", **{"retry-after": "40000"})])
    assert type(given) is LimitReached
    assert given.retry_after_s == 40000
    assert len(requests) == 1
    assert waits == []


def test_waits_grow_by_chance_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = []

    def chance(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", chance)
    attempts = Attempts(Retry(attempts=9, first_wait_s=0.5, longest_wait_s=3, deadline_s=1000))
    for _ in range(5):
        attempts.begin()
        attempts.wait_after(NoAnswer())
    assert bounds == [(0, 0.5), (0, 1), (0, 2), (0, 3), (0, 3)]


def test_an_attempt_gets_no_more_than_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    attempts = Attempts(Retry(attempt_s=10, deadline_s=15))
    assert attempts.begin() == 10
    now += 12
    assert attempts.begin() == 3
    attempts.check_time()
    now += 3
    with pytest.raises(NoAnswer, match="not whole within 15 s"):
        attempts.check_time()
    with pytest.raises(NoAnswer, match="lost"):
        attempts.wait_after(NoAnswer("lost"))


def test_an_answer_that_trickles_is_given_up_at_the_deadline(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("riskline_client.retry.time.monotonic", lambda: now)

    class Trickle(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal now
            for byte in json.dumps(SCORE).encode():
                now += 1
                yield bytes([byte])

        async def __aiter__(self) -> Any:
            for part in self:
                yield part

    given, _ = predict(kind, [Said(200, Trickle())], Retry(deadline_s=20))
    assert isinstance(given, NoAnswer)
    assert now <= 21


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"attempt_s": 0}, {"deadline_s": float("inf")}])
def test_a_retry_that_never_ends_or_begins_is_refused(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=name):
        Retry(**wrong)
