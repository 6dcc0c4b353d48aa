"""How the scoring routes are declared to BentoML: schemas for its clients, raw bytes for us.

BentoML would parse the body, log a refused value and word the error itself. Our input specs hand over the untouched
request instead, so that `serving/api.py` decides everything; they keep the JSON schemas that describe it.
"""

from typing import Any, NamedTuple, cast

import bentoml
from _bentoml_impl.serde import Serde
from _bentoml_sdk.io_models import IODescriptor, IOMixin, IORootModel
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from preprocessing.schema import Application
from serving import openapi
from serving.api import JSON, Answer, Batch, Results, error_answer, not_json
from serving.errors import CODE_OF_STATUS, ErrorAnswer
from serving.scorer import Score
from serving.settings import settings


class RawRequest(NamedTuple):
    """A request as it came; a body above the limit is cut one byte after it, which is enough to refuse it."""

    body: bytes
    content_type: str | None


class _Untouched(IOMixin):
    """An input spec that describes the body and leaves it alone."""

    __root_input__ = True

    @classmethod
    async def from_http_request(cls, request: Request, serde: Serde) -> IODescriptor:  # noqa: ARG003
        limit = settings().max_body_bytes
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
        raw = RawRequest(bytes(body[: limit + 1]), request.headers.get("content-type"))
        return cast(IODescriptor, raw)  # BentoML hands it to the route as it is


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


class ResultsOutput(IORootModel[Results]):
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
    """BentoML's service with our error form on every path, our OpenAPI document and our page."""

    def to_asgi(self, is_main: bool = True) -> Starlette:
        app = cast(Starlette, super().to_asgi(is_main))
        app.add_exception_handler(HTTPException, _http_error)
        app.router.routes.insert(0, Route("/", _page))
        app.add_middleware(PickleRefused)
        return app

    @property
    def openapi_spec(self) -> OpenAPI:
        return OpenAPI()


class PickleRefused:
    """Answers BentoML's pickle media type as any other that we do not take, before BentoML words it its own way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "pickle" in Headers(scope=scope).get("content-type", "").lower():
            return await to_response(error_answer(ErrorAnswer.of(not_json())))(scope, receive, send)
        return await self._app(scope, receive, send)


def to_response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type=JSON)


async def _page(_: Request) -> Response:
    return HTMLResponse(openapi.PAGE)


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, wrong method) in the form of ours."""
    assert isinstance(error, HTTPException)
    code = CODE_OF_STATUS.get(error.status_code, "internal_error")
    answer = to_response(error_answer(ErrorAnswer(code, f"{error.detail}: {request.method} {request.url.path[:64]}")))
    answer.headers.update(error.headers or {})
    return answer
