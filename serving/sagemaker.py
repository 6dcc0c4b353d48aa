"""The routes that SageMaker calls, in front of both lanes, so that BentoML's middleware and limits never see them.

    GET /ping   POST /invocations   GET /execution-parameters
    POST /models   GET /models   GET, DELETE /models/{name}   POST /models/{name}/invoke   (multi-model endpoints)

Scoring is the `Api`'s, as on every other route; what a request to /invocations asks for is read in `invocations.py`.
"""

import asyncio
import time
from pathlib import Path
from urllib.parse import parse_qs

from pydantic_core import to_json
from starlette.types import ASGIApp, Receive, Scope, Send

from preprocessing.errors import RisklineError
from serving import metrics
from serving.bodies import ClientGone, as_file, receive_body
from serving.cores import cores
from serving.errors import BodyTooLarge, ErrorAnswer, NotFound
from serving.fastlane import FastLane, send_answer
from serving.hosting import Hosting
from serving.messages import NOT_READY, Answer, error_answer, json_answer, not_allowed
from serving.models import Models
from serving.routes import INVOCATIONS, ROUTES
from serving.settings import Settings

PING, PARAMETERS, MODELS = "/ping", "/execution-parameters", "/models"
INVOKE = "/invoke"
_ALLOWED = {PING: "GET", PARAMETERS: "GET", INVOCATIONS: "POST"}
_UNNAMED = ROUTES | {
    INVOCATIONS,
    "/model",
    "/model/report",
    "/model/thresholds",
    "/drift",
}  # the routes of the model that has no name
_LARGEST_ORDER = 64 * 1024  # bytes of a request to load a model


class SageMaker:
    """Answers SageMaker's routes and hands everything else to `then`; `lane` answers what is to be scored.

    `folder` is where the workers keep in common which models they have, if this is to be a multi-model endpoint.
    """

    def __init__(self, lane: FastLane, then: ASGIApp, settings: Settings, hosting: Hosting, folder: Path) -> None:
        self._lane, self._then = lane, then
        self._folder = folder if hosting.multi_model else None
        self._named_only = hosting.multi_model and settings.named_only
        self._models: Models | None = None
        workers = settings.workers or cores()
        self._parameters = to_json(hosting.execution_parameters(workers, settings.max_invocation_mb))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if self._named_only and path in _UNNAMED:
                return await self._answer(path, _NAMELESS, 0.0, send)
            if path == INVOCATIONS and scope["method"] == "POST" and (api := self._lane.api()) is not None:
                return await self._lane.serve(api, INVOCATIONS, scope, receive, send)
            if path in _ALLOWED:
                return await self._shown(path, scope["method"], send)
            if self._folder is not None and path.startswith(MODELS) and path[len(MODELS) :][:1] in ("", "/"):
                return await self._of_models(path, scope, receive, send)
        return await self._then(scope, receive, send)

    async def _shown(self, path: str, method: str, send: Send) -> None:
        """A probe has nothing to wait for: no thread, no queue, no limit."""
        if method != _ALLOWED[path]:
            answer = not_allowed(method, path, _ALLOWED[path])
        elif path == PARAMETERS:
            answer = json_answer(self._parameters)
        elif (api := self._lane.api()) is None:
            answer = NOT_READY
        else:
            answer = _READY if api.has_fellows else _TOO_FEW
        await self._answer(path, answer, 0.0, send)

    async def _of_models(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if (api := self._lane.api()) is None:
            return await self._answer(MODELS, NOT_READY, 0.0, send)
        started, order = time.perf_counter(), b""
        try:
            if self._models is None:
                assert self._folder is not None, "there are no such routes: this is a bug"
                self._models = Models(self._folder, api)
            name = path[len(MODELS) + 1 :]
            if name.endswith(INVOKE) and scope["method"] == "POST":
                name = name.removesuffix(INVOKE)
                if (model := self._models.ready(name)) is None:
                    model = await asyncio.to_thread(self._models.api, name)
                return await self._lane.serve(model, INVOCATIONS, scope, receive, send)
            if not name and scope["method"] == "POST":
                order = await _order(receive)
            answer = await self._managed(self._models, name, scope, order)
        except ClientGone:
            return None
        except RisklineError as error:
            answer = error_answer(ErrorAnswer.of(error))
        headers = dict(scope["headers"])
        request_id = api.request_id(headers)
        api.count(MODELS, answer, time.perf_counter() - started, len(order), request_id, headers)
        await send_answer(send, answer._replace(headers=[*answer.headers, (b"x-request-id", request_id.encode())]))
        return None

    async def _managed(self, models: Models, name: str, scope: Scope, order: bytes) -> Answer:
        method: str = scope["method"]
        if not name:
            if method == "POST":
                await asyncio.to_thread(models.load, order)
                return json_answer(b"{}")
            if method == "GET":
                pages = parse_qs(scope["query_string"].decode("latin-1")).get("next_page_token")
                return json_answer(to_json(await asyncio.to_thread(models.listed, pages[0] if pages else None)))
            return not_allowed(method, MODELS, "GET, POST")
        if method == "GET":
            return json_answer(to_json(await asyncio.to_thread(models.shown, name)))
        if method == "DELETE":
            await asyncio.to_thread(models.unload, name)
            return json_answer(b"{}")
        if name.endswith(INVOKE):
            return not_allowed(method, f"{MODELS}/…{INVOKE}", "POST")
        raise NotFound(f"there is no {method} of a model")

    async def _answer(self, route: str, answer: Answer, seconds: float, send: Send) -> None:
        metrics.count_request(route, answer.status, seconds, error=answer.error)
        await send_answer(send, answer)


async def _order(receive: Receive) -> bytes:
    """The body of a request to load a model."""
    body = as_file(await receive_body(receive, _LARGEST_ORDER)).read(_LARGEST_ORDER + 1)
    if len(body) > _LARGEST_ORDER:
        raise BodyTooLarge(f"the body is larger than {_LARGEST_ORDER >> 10} KiB")
    return body


_NAMELESS = error_answer(
    ErrorAnswer("not_found", "this endpoint has models by name only: POST /models/{name}/invoke, after POST /models")
)
_TOO_FEW = error_answer(ErrorAnswer("not_ready", "fewer than half of the workers live"))
_READY = Answer(200, [(b"content-length", b"0")], b"")
