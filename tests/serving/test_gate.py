"""The gate by itself, in front of an app that answers everything."""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from serving import metrics
from serving.gate import OPEN, SCOPE_OF, Gate, presented, scope_of
from serving.keys import SCOPES, KeyRing, Keys, new_key
from serving.openapi import document


class Answered(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-from", b"app")]})
    await send({"type": "http.response.body", "body": b"{}"})


def ask(gate: Gate, method: str, path: str, *headers: tuple[bytes, bytes]) -> Answered:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the gate reads no body")

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    asyncio.run(gate(scope, receive, send))
    return Answered(sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent))


def bearer(text: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {text}".encode()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing()


@pytest.fixture
def gate(ring: KeyRing, tmp_path: Path) -> Gate:
    return Gate(app, ring, tmp_path)


def give(ring: KeyRing, *scopes: Any, **limits: Any) -> tuple[bytes, bytes]:
    text, key = new_key("shop", scopes, **limits)
    ring.keys = Keys([key])
    return bearer(text)


def test_without_keys_nobody_is_asked(gate: Gate, ring: KeyRing) -> None:
    ring.keys = None
    assert ask(gate, "POST", "/predict").status == 200


def test_before_the_keys_are_read_only_what_is_open_answers(gate: Gate) -> None:
    assert ask(gate, "POST", "/predict").status == 401
    assert {ask(gate, "GET", path).status for path in OPEN} == {200}


def test_the_key_of_the_right_scope_opens(gate: Gate, ring: KeyRing) -> None:
    key = give(ring, "score")
    assert ask(gate, "POST", "/predict", key).status == 200
    assert ask(gate, "POST", "/predict", (b"x-api-key", key[1].removeprefix(b"Bearer "))).status == 200
    forbidden = ask(gate, "GET", "/metrics", key)
    assert (forbidden.status, forbidden.error) == (403, "forbidden")
    assert b"the scope read" in forbidden.body


def test_who_has_no_key_is_told_how_to_bring_one(gate: Gate, ring: KeyRing) -> None:
    give(ring, *SCOPES)
    for headers in ([], [bearer("riskline_shop_" + "x" * 43)], [(b"authorization", b"Basic c2hvcDp4")]):
        refused = ask(gate, "POST", "/predict", *headers)
        assert (refused.status, refused.error) == (401, "unauthorized")
        assert refused.headers[b"www-authenticate"].startswith(b"Bearer ")
        assert b"xxx" not in refused.body


def test_the_inference_protocol_is_refused_in_its_own_form(gate: Gate, ring: KeyRing) -> None:
    path = "/v2/models/riskline/infer"
    key = give(ring, "read")
    assert ask(gate, "GET", "/v2/health/live").status == 200
    for headers, status, message in (([], 401, "this wants a key"), ([key], 403, "this wants the scope score")):
        refused = ask(gate, "POST", path, *headers)
        assert (refused.status, list(json.loads(refused.body))) == (status, ["error"])
        assert refused.error.startswith(message)


def test_two_keys_are_none(gate: Gate, ring: KeyRing) -> None:
    key = give(ring, "score")
    assert ask(gate, "POST", "/predict", key, key).status == 401
    assert presented([key, (b"x-api-key", b"a")]) == b""


@pytest.mark.parametrize(
    "path", ["/nothing", "/predict/", "//predict", "/PREDICT", "/decisions/../predict", "/metrics/"]
)
def test_a_path_that_nobody_thought_of_wants_a_key_too(gate: Gate, ring: KeyRing, path: str) -> None:
    key = give(ring, *SCOPES)
    assert ask(gate, "GET", path).status == 401
    assert ask(gate, "GET", path, key).status == 200


def test_a_rotated_key_opens_from_the_next_request_on(gate: Gate, ring: KeyRing) -> None:
    old = give(ring, "score")
    assert ask(gate, "POST", "/predict", old).status == 200
    new = give(ring, "score")
    assert [ask(gate, "POST", "/predict", key).status for key in (old, new)] == [401, 200]


def test_above_its_rate_a_key_gets_429_and_the_moment_to_come_back(gate: Gate, ring: KeyRing) -> None:
    key = give(ring, "score", per_second=0.01)
    first = ask(gate, "POST", "/predict", key)
    assert (first.status, first.headers[b"x-from"]) == (200, b"app")
    assert first.headers[b"ratelimit-policy"] == b'"second";q=1;w=100'
    refused = ask(gate, "POST", "/predict", key)
    assert (refused.status, refused.error) == (429, "rate_limited")
    assert 0 < int(refused.headers[b"retry-after"]) <= 100
    assert refused.headers[b"ratelimit"].startswith(b'"second";r=0;t=')


def test_above_its_quota_a_key_gets_429_until_midnight(gate: Gate, ring: KeyRing) -> None:
    key = give(ring, "score", per_day=1)
    assert [ask(gate, "POST", "/predict", key).status for _ in range(2)] == [200, 429]
    refused = ask(gate, "POST", "/predict", key)
    assert refused.error == "quota_exceeded"
    assert 0 < int(refused.headers[b"retry-after"]) <= 86_400


def test_what_a_key_may_not_do_uses_nothing_of_its_quota_up(gate: Gate, ring: KeyRing) -> None:
    key = give(ring, "score", per_day=1)
    assert ask(gate, "GET", "/metrics", key).status == 403
    assert ask(gate, "POST", "/predict", key).status == 200


def test_keys_are_counted_by_their_ids(gate: Gate, ring: KeyRing) -> None:
    def counted(result: str) -> float:
        metrics.flush()
        labels = {"key": "shop", "result": result}
        return REGISTRY.get_sample_value("riskline_key_requests_total", labels) or 0

    before = counted("allowed"), counted("forbidden"), counted("quota_exceeded")
    key = give(ring, "score", per_day=1)
    for path in ("/predict", "/predict", "/metrics"):
        ask(gate, "POST", path, key)
    assert (counted("allowed"), counted("forbidden"), counted("quota_exceeded")) == tuple(n + 1 for n in before)


def test_each_documented_route_is_open_or_has_a_scope() -> None:
    for path, operations in document()["paths"].items():
        for method in operations:
            assert (path in OPEN) is (scope_of(method.upper(), path.replace("{id}", "1")) is None), path


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        *((("GET", path, scope)) for path, scope in SCOPE_OF.items()),
        ("GET", "/decisions", "review"),
        ("GET", "/decisions/a/b", "review"),
        ("POST", "/decisions/a/review", "review"),
        ("POST", "/outcomes", "review"),
        ("GET", "/models", "read"),
        ("GET", "/models/a", "read"),
        ("POST", "/models", "operate"),
        ("DELETE", "/models/a", "operate"),
        ("POST", "/models/a/invoke", "score"),
        ("DELETE", "/models/a/invoke", "operate"),
        ("GET", "/modelsx", None),
        ("GET", "/v2/models/a", "read"),
        ("GET", "/v2/models/a/versions/b/ready", "read"),
        ("POST", "/v2/models/a/infer", "score"),
        ("POST", "/v2/models/a/versions/b/infer", "score"),
        ("POST", "/v2/repository/index", None),
    ],
)
def test_what_a_route_wants(method: str, path: str, scope: str | None) -> None:
    assert scope_of(method, path) == scope
