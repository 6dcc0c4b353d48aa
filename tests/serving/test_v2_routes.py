"""The protocol's paths where there is no model yet, none that anybody chose, or too much to do."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from starlette.types import Message, Receive, Scope, Send

from model.artifact import Artifact
from serving.api import Api
from serving.fastlane import FastLane
from serving.messages import Request
from serving.settings import Settings
from serving.v2_routes import InferenceRoutes
from tests.generated import EXAMPLE
from tests.v2 import INFER, as_json

PATH = "/v2/models/riskline/infer"


@pytest.fixture
def api(artifact: Artifact) -> Iterator[Api]:
    made = Api(artifact, Settings())
    yield made
    made.close()


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    raise AssertionError("every path below /v2 is the protocol's")


def ask(api: Api | None, path: str, named_only: bool = False) -> tuple[int, object]:
    body, sent = as_json([EXAMPLE]), list[Message]()

    def started() -> Api:
        if api is None:
            raise RuntimeError("no instance yet")
        return api

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        sent.append(message)

    async def asked() -> None:
        routes = InferenceRoutes(FastLane(nobody, started, 30), nobody, named_only)
        method = "POST" if path.endswith("/infer") else "GET"
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        await routes(scope, receive, send)

    asyncio.run(asked())
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


def test_a_worker_that_has_not_started_lives_and_is_not_ready() -> None:
    assert ask(None, "/v2/health/live") == (200, {"live": True})
    assert ask(None, "/v2/health/ready") == (503, {"ready": False})
    for path in ("/v2", "/v2/models/riskline", "/v2/models/riskline/ready", PATH):
        status, answer = ask(None, path)
        assert status == 503
        assert answer == {"error": "the model has not proved itself yet"}


def test_readiness_is_that_of_the_worker(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(api, "/v2/models/riskline/ready") == (200, {"name": "riskline", "ready": True})
    monkeypatch.setattr(Api, "is_ready", False)
    assert ask(api, "/v2/models/riskline/ready") == (503, {"name": "riskline", "ready": False})
    assert ask(api, "/v2/health/ready") == (503, {"ready": False})


def test_where_nobody_chose_a_model_there_is_none(api: Api) -> None:
    assert ask(api, PATH)[0] == 200
    for path in (PATH, "/v2/models/riskline", "/v2/models/riskline/ready"):
        status, answer = ask(api, path, named_only=True)
        assert status == 404
        assert isinstance(answer, dict)
        assert list(answer) == ["error"]


def test_who_cannot_be_answered_in_time_is_told_so_in_the_protocols_form(api: Api) -> None:
    while api._admission.enter(time.perf_counter()):
        pass
    body = as_json([EXAMPLE])
    headers = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    answer = asyncio.run(api.answer(INFER, Request(headers, b"", body)))
    assert (answer.status, answer.error) == (503, "overloaded")
    assert dict(answer.headers)[b"retry-after"] == b"1"
    assert isinstance(answer.body, bytes)
    assert list(json.loads(answer.body)) == ["error"]
    late = api.too_late(INFER, headers)
    assert isinstance(late.body, bytes)
    assert (late.status, list(json.loads(late.body))) == (504, ["error"])
