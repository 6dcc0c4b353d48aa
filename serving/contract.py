"""How the scoring routes are declared to BentoML: schemas for its clients, raw bytes for us.

BentoML would parse the body, log a refused value and word the error itself. Our input specs hand over the untouched
request instead, so that `serving/api.py` decides everything; they keep the JSON schemas that describe it.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import bentoml
import starlette.requests
from _bentoml_impl.serde import Serde
from _bentoml_sdk.io_models import IODescriptor, IOMixin, IORootModel
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from model.artifact import REPORT, Artifact
from preprocessing.schema import Application
from serving import openapi
from serving.api import Batch, Results
from serving.bodies import chunks, receive_body
from serving.decisions import DecisionRoutes
from serving.draining import LastAnswers
from serving.drift_page import drift_page
from serving.errors import CODE_OF_STATUS, ErrorAnswer
from serving.explanation import Explanation
from serving.fastlane import FastLane, Front
from serving.formats import JSON, prefers
from serving.hosting import hosting
from serving.messages import Answer, Request, error_answer
from serving.sagemaker import SageMaker
from serving.scorer import Score
from serving.settings import settings

# A report is one file: whatever else a browser were told to load or run by it would be somebody else's
REPORT_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
}


class _Untouched(IOMixin):
    """An input spec that describes the body and leaves it alone."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: starlette.requests.Request, serde: Serde) -> IODescriptor:  # noqa: ARG003
        headers = dict(request.scope["headers"])
        limit, _ = bentoml.get_current_service().api.most_bytes(request.url.path, headers)
        body = await receive_body(request.receive, limit)
        # BentoML hands it to the route as it is
        return cast(IODescriptor, Request(headers, request.scope["query_string"], body))


class ApplicationInput(_Untouched, Application):
    """What `POST /predict` takes."""


class BatchInput(_Untouched, Batch):
    """What `POST /predict_batch` takes; a BentoML client calls `predict_batch(applications=[...])`."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super().model_json_schema(*args, **kwargs)
        return {key: value for key, value in schema.items() if key != "root_input"}


class ScoreOutput(IORootModel[Score]):
    """What `POST /predict` answers."""


class ExplanationOutput(IORootModel[Explanation]):
    """What `POST /explain` answers."""


class ResultsOutput(IOMixin, Results):
    """What `POST /predict_batch` answers; the OpenAPI document says it in full."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG003
        # BentoML's clients keep of an answer only what its schema names, and take the first branch of an anyOf: with
        # the full schema a refused row would reach the caller as {}
        return {"type": "object"}


class OpenAPI:
    """Our document where BentoML expects its own class."""

    def asdict(self) -> dict[str, Any]:
        return openapi.document()


class RisklineService(bentoml.Service[Any]):
    """BentoML's service behind the fast lane, with our error form on every path, our OpenAPI document and our page."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        app = cast(Starlette, super().to_asgi(is_main))
        app.add_exception_handler(HTTPException, _http_error)
        app.router.routes[:0] = [
            Route("/", _page), Route("/model", _model), Route("/model/report", _report), Route("/drift", _drift)
        ]  # fmt: skip
        front = Front(app, set(_paths(app)))
        lane = FastLane(front, lambda: bentoml.get_current_service().api, settings().timeout_s)
        # SageMaker's routes stand before both lanes: BentoML has no GET for its APIs, and may answer /ping with a 429
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"models-{os.getppid()}")
        sagemaker = SageMaker(lane, lane if settings().fast_lane else front, settings(), hosting(), folder)
        return LastAnswers(DecisionRoutes(lane, sagemaker))

    @property
    def openapi_spec(self) -> OpenAPI:
        return OpenAPI()


def to_response(answer: Answer) -> Response:
    """An answer of the `Api` on BentoML's way out."""
    if isinstance(answer.body, bytes):
        response = Response(answer.body, answer.status)
    else:
        response = StreamingResponse(chunks(answer.body), answer.status)
    response.raw_headers = answer.headers
    return response


def _paths(app: Starlette) -> Iterator[str]:
    """Every path that the app serves."""
    for route in app.routes:
        if isinstance(route, Route):
            yield route.path
        elif isinstance(route, Mount) and isinstance(route.app, StaticFiles) and route.app.directory:
            yield from (f"{route.path}/{file.name}" for file in Path(route.app.directory).iterdir())


async def _page(_: starlette.requests.Request) -> Response:
    return HTMLResponse(openapi.PAGE)


async def _model(_: starlette.requests.Request) -> Response:
    artifact = _artifact()
    versions = {
        "version": artifact.version,
        "model_version": artifact.model_version,
        "policy_version": artifact.policy_version,
    }
    return JSONResponse({**versions, "manifest": artifact.manifest.model_dump(mode="json")})


async def _report(_: starlette.requests.Request) -> Response:
    return HTMLResponse(_artifact().files[REPORT], headers=REPORT_HEADERS)


async def _drift(request: starlette.requests.Request) -> Response:
    """A page for browsers, and JSON for everybody else."""
    found = await asyncio.to_thread(bentoml.get_current_service().api.drift)
    vary = {"vary": "Accept"}
    if found is not None and prefers(request.headers.get("accept"), "text/html", JSON):
        return HTMLResponse(await asyncio.to_thread(drift_page, found), headers={**REPORT_HEADERS, **vary})
    return Response(to_json(found), media_type=JSON, headers=vary)


def _artifact() -> Artifact:
    artifact: Artifact = bentoml.get_current_service().api.artifact
    return artifact


async def _http_error(request: starlette.requests.Request, error: Exception) -> Response:
    """Starlette's own refusals (wrong method, not ready) in the form of ours."""
    assert isinstance(error, HTTPException)
    code = CODE_OF_STATUS.get(error.status_code, "internal_error")
    answer = to_response(error_answer(ErrorAnswer(code, f"{error.detail}: {request.method} {request.url.path}")))
    answer.headers.update(error.headers or {})
    return answer
