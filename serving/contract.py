"""How the scoring routes are declared to BentoML: schemas for its clients, raw bytes for us.

BentoML would parse the body, log a refused value and word the error itself. Our input specs hand over the untouched
request instead, so that `serving/api.py` decides everything; they keep the JSON schemas that describe it.
"""

import asyncio
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import bentoml
import starlette.requests
from _bentoml_impl.serde import Serde
from _bentoml_sdk.io_models import IODescriptor, IOMixin, IORootModel
from bentoml._internal.context import server_context
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.config import HTTP_PROTOCOLS

from decisions.places import USAGE
from decisions.places import folder as decisions_folder
from model.artifact import REPORT, Artifact
from preprocessing.errors import RisklineError
from preprocessing.schema import Application
from serving import openapi
from serving.bodies import Body, ClientGone, chunks, receive_body
from serving.bounded import Bounded
from serving.connections import Connection
from serving.console import Console, console_files, json_file
from serving.cores import cores
from serving.decisions import DecisionRoutes
from serving.draining import LastAnswers
from serving.drift_page import drift_page
from serving.errors import CODE_OF_STATUS, ErrorAnswer
from serving.explanation import Explanation
from serving.fastlane import FastLane, Front
from serving.fellows import Fellows
from serving.formats import JSON, prefers
from serving.gate import Gate
from serving.hosting import hosting
from serving.keys import RING
from serving.logs import log_to_stdout
from serving.messages import Answer, Request, error_answer
from serving.pages import page_headers
from serving.routes import Batch, Results
from serving.sagemaker import SageMaker
from serving.scorer import Score
from serving.settings import settings
from serving.thresholds import Thresholds
from serving.v2_routes import InferenceRoutes

# A report is one file: whatever else a browser were told to load or run by it would be somebody else's
REPORT_HEADERS = page_headers("style-src 'unsafe-inline'")
# Swagger's page loads its own script, and what that asks is asked here; it sets styles, and draws with data: images
PAGE_HEADERS = page_headers(
    "script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


class _Untouched(IOMixin):
    """An input spec that describes the body and leaves it alone."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: starlette.requests.Request, serde: Serde) -> IODescriptor:  # noqa: ARG003
        headers = dict(request.scope["headers"])
        limit, _ = bentoml.get_current_service().api.most_bytes(request.url.path, headers)
        try:
            body: Body = await receive_body(request.receive, limit)
        except ClientGone:
            body = b""  # nobody hears the answer, and BentoML would log an exception at length
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


@cache
def fellows() -> Fellows | None:
    """The workers of this server as this process, which is one of them, sees them; None where there is only one."""
    worker = server_context.worker_index
    file = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"fellows-{os.getppid()}")
    return Fellows(file, worker, settings().workers or cores()) if worker else None


class OpenAPI:
    """Our document where BentoML expects its own class."""

    def asdict(self) -> dict[str, Any]:
        return openapi.document()


class RisklineService(bentoml.Service[Any]):
    """BentoML's service behind the fast lane, with our error form on every path, our OpenAPI document and our page."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        # uvicorn, which BentoML starts without a choice of its own, looks up here what speaks HTTP
        HTTP_PROTOCOLS["auto"] = f"{Connection.__module__}:{Connection.__name__}"
        log_to_stdout()
        if others := fellows():
            others.wait()  # here, where a signal still ends the process at once
        app = cast(Starlette, super().to_asgi(is_main))
        app.add_exception_handler(HTTPException, _http_error)
        app.router.routes[:0] = [
            Route("/", _page), Route("/model", _model), Route("/model/report", _report),
            Route("/model/thresholds", _thresholds), Route("/drift", _drift),
            Route("/reload", _reload, methods=["POST"]),
        ]  # fmt: skip
        document = {"/docs.json": lambda: json_file(to_json(openapi.document()))}
        front = Console(Front(app, set(_paths(app))), console_files(), document)
        lane = FastLane(front, lambda: bentoml.get_current_service().api, settings().timeout_s)
        # SageMaker's routes stand before both lanes: BentoML has no GET for its APIs, and may answer /ping with a 429
        own = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        models = own / f"models-{os.getppid()}"
        sagemaker = SageMaker(lane, lane if settings().fast_lane else front, settings(), hosting(), models)
        # beside the decisions all servers of a machine count together, and go on after a restart
        usage = own / USAGE if settings().record == "none" else decisions_folder(settings().decisions) / USAGE
        named_only = hosting().multi_model and settings().named_only
        routes = InferenceRoutes(lane, DecisionRoutes(lane, sagemaker), named_only)
        bounded = Bounded(routes, settings().max_bulk)
        return LastAnswers(Gate(bounded, RING, usage))

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
    return HTMLResponse(openapi.PAGE, headers=PAGE_HEADERS)


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


async def _thresholds(_: starlette.requests.Request) -> Response:
    return Response(to_json(Thresholds.of(_artifact())), media_type=JSON)


async def _drift(request: starlette.requests.Request) -> Response:
    """A page for browsers, and JSON for everybody else."""
    found = await asyncio.to_thread(bentoml.get_current_service().api.drift)
    vary = {"vary": "Accept"}
    if found is not None and prefers(request.headers.get("accept"), "text/html", JSON):
        return HTMLResponse(await asyncio.to_thread(drift_page, found), headers={**REPORT_HEADERS, **vary})
    return Response(to_json(found), media_type=JSON, headers=vary)


async def _reload(_: starlette.requests.Request) -> Response:
    """Looks at everything that may change, and answers once all workers have taken it up, or none."""
    try:
        reloaded = await bentoml.get_current_service().reload.reload()
    except RisklineError as error:
        return to_response(error_answer(ErrorAnswer.of(error)))
    return JSONResponse(reloaded.model_dump())


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
