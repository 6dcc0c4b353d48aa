"""SageMaker's probe before and after the worker's Api is there, and what is noted of its other routes."""

import asyncio
import json
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from model.artifact import Artifact
from serving.api import Api
from serving.fastlane import FastLane
from serving.hosting import Hosting
from serving.logs import Lines
from serving.sagemaker import SageMaker
from serving.settings import Settings
from serving.telemetry import Telemetry
from tests.generated import TRACE, TRACEPARENT


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    raise AssertionError("nothing of SageMaker's goes any further")


def asked(app: SageMaker, method: str, path: str, order: bytes = b"", **headers: str) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": order}

    sent_headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": sent_headers, "query_string": b""}
    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], body["body"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/ping"), ("POST", "/invocations"), ("GET", "/models"), ("POST", "/models/a/invoke")],
)
def test_nothing_is_ready_before_the_model_has_proved_itself(method: str, path: str, tmp_path: Path) -> None:
    def not_yet() -> Api:
        raise RuntimeError("service isn't instantiated yet")

    lane = FastLane(nobody, not_yet, 60)
    app = SageMaker(lane, nobody, Settings(), Hosting(multi_model=True), tmp_path)
    status, body = asked(app, method, path)
    assert (status, json.loads(body)["error"]) == (503, "not_ready")


def test_ping_is_empty_once_it_has(artifact: Artifact, tmp_path: Path) -> None:
    api = Api(artifact, Settings())
    lane = FastLane(nobody, lambda: api, 60)
    assert asked(SageMaker(lane, nobody, Settings(), Hosting(), tmp_path), "GET", "/ping") == (200, b"")
    api.close()


@pytest.mark.parametrize(
    "path",
    [
        "/invocations",
        "/predict",
        "/predict_batch",
        "/explain",
        "/model",
        "/model/report",
        "/model/thresholds",
        "/drift",
    ],
)
def test_where_models_have_names_only_it_is_ready_and_no_other_answers(
    artifact: Artifact, tmp_path: Path, path: str
) -> None:
    api = Api(artifact, Settings())
    lane = FastLane(nobody, lambda: api, 60)
    app = SageMaker(lane, nobody, Settings(named_only=True), Hosting(multi_model=True), tmp_path)
    assert asked(app, "GET", "/ping") == (200, b"")
    status, body = asked(app, "POST", path)
    assert (status, json.loads(body)["error"]) == (404, "not_found")
    assert asked(app, "GET", "/models") == (200, b'{"models":[]}')
    api.close()


def test_requests_about_models_are_in_the_access_log(
    artifact: Artifact, model_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings, lines = Settings(access_log=True), Lines()
    api = Api(artifact, settings, telemetry=Telemetry(lines))
    app = SageMaker(FastLane(nobody, lambda: api, 60), nobody, settings, Hosting(multi_model=True), tmp_path)
    order = json.dumps({"model_name": "a", "url": str(model_folder)}).encode()
    assert asked(app, "POST", "/models", order, x_request_id="mine", traceparent=TRACEPARENT) == (200, b"{}")
    assert asked(app, "POST", "/models", order)[0] == 409
    assert asked(app, "DELETE", "/models/b")[0] == 404
    api.close()
    lines.close()
    logged = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["route"], line["status"], line["bytes_in"]) for line in logged] == [
        ("/models", 200, len(order)), ("/models", 409, len(order)), ("/models", 404, 0),
    ]  # fmt: skip
    assert (logged[0]["request_id"], logged[0]["trace_id"]) == ("mine", TRACE)
