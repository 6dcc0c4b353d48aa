"""Requests and answers without anybody to send them to."""

import asyncio
import inspect
import pickle
import time
import uuid
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import pytest

from riskline_client import (
    AsyncClient,
    Client,
    Decision,
    ErrorAnswer,
    InvalidApplication,
    NoAnswer,
    Outcome,
    Problem,
    StrangeAnswer,
    TooLarge,
    calls,
)
from riskline_client.answers import Model, Page, SentValue, Source
from riskline_client.pieces import Pieces, gathered
from riskline_client.reading import reader_of
from tests.riskline_client.asking import by

URL = "http://service.test"


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    ours, theirs = ({name: each for name, each in vars(kind).items() if not name.startswith("__")}
                    for kind in (Client, AsyncClient))  # fmt: skip
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        one, other = inspect.signature(method), inspect.signature(theirs[name])
        assert [*map(str, one.parameters.values())] == [*map(str, other.parameters.values())]
        given = {str(one.return_annotation), str(other.return_annotation).replace("AsyncIterator", "Iterator")}
        assert len(given) == 1, name
        assert inspect.iscoroutinefunction(theirs[name]) or inspect.isasyncgenfunction(theirs[name])


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        ({"x": float("nan")}, "x: no finite number; leave out what is missing"),
        ({"x": float("-inf")}, "x: no finite number"),
        ({"x": date(2026, 11, 29)}, "x: date is no text, number, bool or None"),
        ({"x": np.int64(1)}, "x: int64 is no text"),
        ({"x": ["1"]}, "x: list is no text"),
        ("x", "the application is no mapping"),
    ],
)
def test_what_json_cannot_say_is_named_before_it_is_sent(application: Any, expected: str) -> None:
    with pytest.raises((TypeError, ValueError), match=expected):
        calls.predict(application, None, None, None)
    # of the whole batch, of which 1,000 went before
    expected = expected.replace("the application", "row 1001") if "mapping" in expected else f"row 1001, {expected}"
    with pytest.raises((TypeError, ValueError), match=expected):
        calls.predict_batch([{}, application], 1000, None, None, "key")


@pytest.mark.parametrize(
    ("told", "expected"),
    [({"decision_id": "id"}, "dict is no Outcome"), (Outcome("id", "good", "2026-11-25"), "date: str is no date")],  # type: ignore[arg-type]
)
def test_what_is_no_outcome_is_named_before_it_is_sent(told: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        calls.outcomes([told])


def test_any_mapping_is_an_application() -> None:
    assert calls.predict(MappingProxyType({"x": np.float64(0.5), "y": None}), None, None, None).body == (
        b'{"x":0.5,"y":null}'
    )


@pytest.mark.parametrize("key", ["", "a b", 'a"', "ä", "x" * 65, "a\nb"])
def test_an_idempotency_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="64 visible ASCII characters"):
        calls.predict({}, None, None, key)


def test_a_new_key_is_a_uuid_of_version_7() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid.UUID(calls.new_key()) for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 1000
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in made)
    assert {each.int >> bit & 1 for each in made for bit in (0, 61, 64, 75)} == {0, 1}


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("localhost:3000", None, "must be http://"),
        ("ftp://service.test", None, "must be http://"),
        ("http://", None, "must be http://"),
        ("http://service.test/?key=1", None, "without a query"),
        (URL, "", "visible ASCII"),
        (URL, "two words", "visible ASCII"),
        (URL, "one\r\nX-More: 1", "visible ASCII"),
        (URL, "schlüssel", "visible ASCII"),
    ],
)
def test_a_wrong_url_or_key_is_refused_and_not_repeated(url: str, key: str | None, expected: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=expected) as raised:
            kind(url, key)
        assert key is None or not key or key not in str(raised.value)


def test_the_key_goes_to_the_service_alone_and_nobody_shows_it() -> None:
    sent: list[httpx.Request] = []

    def answering(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(302, headers={"location": "http://elsewhere.test/"})

    http = by("sync", answering)
    assert isinstance(http, httpx.Client)
    http.follow_redirects = True
    riskline = Client(f"{URL}/below/", "riskline_shop_secret", http=http)
    with pytest.raises(StrangeAnswer) as raised:
        riskline.decision("a/b ü?")
    [request] = sent
    assert str(request.url) == f"{URL}/below/decisions/a%2Fb%20%C3%BC%3F"
    assert request.headers["authorization"] == "Bearer riskline_shop_secret"
    assert request.headers["user-agent"].startswith("riskline-client/")
    assert "secret" not in repr(riskline) + str(raised.value) + repr(vars(raised.value))


def test_who_gives_a_client_of_httpx_closes_it() -> None:
    theirs = httpx.Client()
    with Client(URL, http=theirs):
        pass
    assert not theirs.is_closed
    theirs.close()

    async def asynchronously() -> bool:
        async with httpx.AsyncClient() as given:
            async with AsyncClient(URL, http=given):
                pass
            return given.is_closed

    assert asyncio.run(asynchronously()) is False


def test_pages_follow_one_another_with_the_same_filters() -> None:
    asked: list[httpx.QueryParams] = []

    def answering(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        following = {1: "7", 2: None}[len(asked)]
        return httpx.Response(200, json={"decisions": [], "next": following, "unreadable": []})

    since = datetime(2026, 11, 29, tzinfo=UTC)
    with Client(URL, http=by("sync", answering)) as riskline:  # type: ignore[arg-type]
        assert list(riskline.decisions(state="queued", since=since)) == []
        with pytest.raises(ValueError, match="since must have a time zone"):
            list(riskline.decisions(since=datetime(2026, 11, 29)))
    first = {"state": "queued", "since": "2026-11-29T00:00:00+00:00"}
    assert [dict(params) for params in asked] == [first, {**first, "cursor": "7"}]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Decision, [], "is no object"),
        (Decision, {"probability": 0.5}, "has no tier"),
        (Page, {"decisions": 1, "next": None, "unreadable": []}, "decisions is no array"),
        (Page, {"decisions": [{"id": 1}], "next": None, "unreadable": []}, "decisions id is no str"),
        (Model, {"version": "", "model_version": "", "policy_version": "", "manifest": []}, "manifest is no object"),
        (SentValue, {"key": "a", "value": {}}, "value is no str or float or bool"),
        (float, True, "is no float"),
        (int, 1.0, "is no int"),
    ],
)
def test_an_answer_that_does_not_fit_says_where(kind: Any, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        reader_of(kind)(value)


def test_what_a_newer_service_says_besides_is_passed_over() -> None:
    source = {"sha256": "0", "fields": {"x": {"key": "X", "value": 1, "newer": 1}}, "newer": 1}
    assert reader_of(Source)(source) == Source(sha256="0", fields={"x": SentValue(key="X", value=1)})


def test_answers_are_frozen_and_errors_can_be_sent_to_other_processes() -> None:
    problem = Problem("x", "range", "X is")
    with pytest.raises(FrozenInstanceError):
        problem.field = "y"  # type: ignore[misc]
    error = InvalidApplication(422, "invalid_application", "one problem", (problem,), "id", None)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was just made
    assert (type(again), vars(again)) == (InvalidApplication, vars(error))
    assert str(again) == "one problem (invalid_application)\n  x: X is"


@pytest.mark.parametrize("body", [b'{"results":[]}', b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_batch_that_is_not_answered_row_by_row_is_no_answer(body: bytes) -> None:
    call = calls.outcomes([Outcome("id", "good", datetime(2026, 11, 25, 12, tzinfo=UTC))])
    assert call.body == b'{"outcomes":[{"decision_id":"id","outcome":"good","date":"2026-11-25"}]}'
    with pytest.raises(StrangeAnswer, match="the answer to /outcomes"):
        call.answer(calls.Reply(200, {}, body))


def told(rows: list[int], before: int) -> calls.Call[tuple[list[int], int]]:
    return calls.Call(calls.OUTCOMES, lambda _: (rows, before))


def taken(pieces: Pieces[tuple[list[int], int]], most: int) -> Iterator[tuple[list[int], int]]:
    """By a service that takes `most` rows at once."""
    while (call := pieces.take()) is not None:
        rows, before = call.read(b"")
        if len(rows) > most:
            pieces.refused(TooLarge(413, "batch_too_large", "too large"))
        else:
            yield rows, before


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("at_once", [1, 5, 8])
def test_rows_come_in_order_whatever_the_service_takes_at_once(most: int, at_once: int) -> None:
    given = list(taken(Pieces(gathered(range(20), at_once), at_once, told), most))
    assert [row for rows, _ in given for row in rows] == list(range(20))
    assert all(before == rows[0] for rows, before in given)


def test_what_was_learned_of_the_limit_is_not_asked_again() -> None:
    asked: list[int] = []

    def counted(rows: list[int], before: int) -> calls.Call[tuple[list[int], int]]:
        asked.append(len(rows))
        return told(rows, before)

    assert len(list(taken(Pieces(gathered(range(64), 16), 16, counted), 4))) == 16
    assert asked == [16, 8, *[4] * 16]


def test_one_row_that_is_too_large_is_an_error() -> None:
    with pytest.raises(TooLarge):
        list(taken(Pieces(gathered(range(2), 2), 2, told), 0))
    with pytest.raises(ValueError, match="at least 1 row"):
        Pieces([], 0, told)


def test_an_error_without_an_answer_may_pass_and_others_as_their_status_says() -> None:
    assert NoAnswer("lost").may_pass
    assert [ErrorAnswer(status, "newer", "").may_pass for status in (400, 429, 500, 503)] == [False, True, False, True]
