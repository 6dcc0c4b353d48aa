"""Who is let in, who is told to come again, and how both follow what the worker can do."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from starlette.types import Message, Receive, Scope, Send

from model.artifact import Artifact
from serving import admission
from serving.admission import FEWEST, FIRST, Admission
from serving.api import Api
from serving.bounded import Bounded
from serving.messages import Request
from serving.routes import is_short
from serving.settings import Settings
from tests.generated import EXAMPLE

BODY = json.dumps(EXAMPLE).encode()
JSON = {b"content-type": b"application/json", b"content-length": b"%d" % len(BODY)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What perf_counter says, for the admission alone."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def worked(asked: Admission, clock: list[float], at_once: int, answers: int, seconds: float) -> None:
    """The worker is busy for `seconds`, with `at_once` inside, and answers so many in all; then somebody looks."""
    for _ in range(at_once):
        assert asked.enter(clock[0])
    for _ in range(answers - at_once):
        asked.leave()
        assert asked.enter(clock[0])
    clock[0] += seconds
    for _ in range(at_once):
        asked.leave()
    asked.look(clock[0])


def test_as_many_are_let_in_as_there_is_room_for_and_one_more_for_each_that_leaves() -> None:
    asked = Admission(0.025)
    assert all(asked.enter(0.0) for _ in range(FIRST))
    assert not asked.enter(0.0)
    asked.leave()
    assert asked.enter(0.0)
    assert not asked.enter(0.0)


def test_there_is_room_for_what_is_answered_within_the_longest_wait(clock: list[float]) -> None:
    asked = Admission(0.025)
    worked(asked, clock, FIRST, answers=2000, seconds=0.25)
    assert asked.most == 200, "8,000 a second in 25 ms"
    worked(asked, clock, 200, answers=1000, seconds=0.25)
    assert asked.most == 100


def test_room_grows_by_steps_and_never_falls_below_one_batch(clock: list[float]) -> None:
    asked = Admission(0.025)
    worked(asked, clock, FIRST, answers=FIRST, seconds=10.0)
    assert asked.most == FEWEST
    worked(asked, clock, FEWEST, answers=10_000, seconds=0.25)
    assert asked.most == 2 * FEWEST


def test_an_idle_worker_keeps_its_room(clock: list[float]) -> None:
    asked = Admission(0.025)
    worked(asked, clock, 1, answers=5, seconds=0.25)
    worked(asked, clock, FIRST // 2 - 1, answers=FIRST, seconds=10.0)
    assert asked.most == FIRST


def test_only_time_at_work_counts(clock: list[float]) -> None:
    asked = Admission(0.025)
    for _ in range(FIRST):
        asked.enter(clock[0])
    clock[0] += 0.05
    for _ in range(FIRST):
        asked.leave()
    clock[0] += 60.0
    asked.look(clock[0])
    assert asked.most == int(FIRST / 0.05 * 0.025)


def test_few_are_refused_at_once_and_a_flood_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0)

    async def refuse(times: int) -> None:
        asked = Admission(0.025)
        for _ in range(times):
            await asked.refuse()

    asyncio.run(refuse(1))
    assert slept == []
    asyncio.run(refuse(2000))
    assert slept == sorted(slept)
    assert slept[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert slept[-1] == pytest.approx(admission.LONGEST_REFUSAL_S)


@pytest.mark.parametrize(
    ("path", "headers", "short"),
    [
        ("/predict", {}, True),
        ("/predict_batch", JSON, True),
        ("/invocations", JSON, True),
        ("/explain", JSON, False),
        ("/predict_batch", {**JSON, b"content-length": b"1000000"}, False),
        ("/predict_batch", {b"content-type": b"application/json"}, False),
        ("/predict_batch", {**JSON, b"content-type": b"text/csv"}, False),
        ("/invocations", {**JSON, b"content-length": b"1" * 19}, False),
        ("/decisions", JSON, False),
    ],
)
def test_what_is_answered_within_a_turn_is_told_by_its_head(
    path: str, headers: dict[bytes, bytes], short: bool
) -> None:
    assert is_short(path, headers) is short


@pytest.fixture
def api(artifact: Artifact) -> Iterator[Api]:
    api = Api(artifact, Settings())
    yield api
    api.close()


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_who_comes_too_many_is_told_when_to_come_again(api: Api, path: str) -> None:
    while api._admission.enter(time.perf_counter()):
        pass
    refused = asyncio.run(api.answer(path, Request(JSON, b"", BODY)))
    assert isinstance(refused.body, bytes)
    assert (refused.status, json.loads(refused.body)["error"]) == (503, "overloaded")
    assert dict(refused.headers)[b"retry-after"] == b"1"
    api._admission.leave()
    assert asyncio.run(api.answer(path, Request(JSON, b"", BODY))).status == 200
    assert asyncio.run(api.answer(path, Request(JSON, b"", b"no json"))).status == 400
    assert asyncio.run(api.answer(path, Request(JSON, b"", BODY))).status == 200, "whoever fails leaves too"


def test_single_applications_do_not_wait_for_explanations(api: Api) -> None:
    while api._admission.enter(time.perf_counter()):
        pass
    assert asyncio.run(api.answer("/explain", Request(JSON, b"", BODY))).status == 200


class Slow:
    """An app that answers once it may."""

    def __init__(self) -> None:
        self.may, self.begun = asyncio.Event(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        self.begun += 1
        await self.may.wait()
        if scope["path"] == "/explain":
            raise RuntimeError("a bug")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def never() -> Message:
    raise AssertionError("the body is nobody's business yet")


@pytest.mark.parametrize(
    "path", ["/predict_batch", "/explain", "/invocations", "/models/one/invoke", "/v2/models/riskline/infer"]
)
def test_a_worker_takes_so_many_large_bodies_and_goes_on_with_all_else(path: str) -> None:
    async def crowd() -> None:
        slow = Slow()
        bounded = Bounded(slow, 2)
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        def asked(path: str) -> "asyncio.Task[None]":
            headers = [(b"content-type", b"application/vnd.apache.parquet")]
            scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
            return asyncio.create_task(bounded(scope, never, send))

        large = [asked(path) for _ in range(2)]
        await asyncio.sleep(0)
        await asked(path)
        assert statuses == [503]
        small = [asked("/predict") for _ in range(5)]
        await asyncio.sleep(0)
        assert slow.begun == 7
        slow.may.set()
        await asyncio.gather(*large, *small, return_exceptions=True)
        statuses.clear()
        await asyncio.gather(asked(path), asked(path), return_exceptions=True)
        assert 503 not in statuses, "there is room again, also after what failed"

    asyncio.run(crowd())
