"""The ASGI app in front of BentoML's: answers the scoring routes itself and hands everything else on.

BentoML's middleware costs a request about a millisecond; scoring costs some 15 microseconds. With the lane switched off
(RISKLINE_FAST_LANE=false) the same requests take BentoML's way to the same `Api` and get the same answers.
"""

import asyncio
from collections.abc import Callable, Collection
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from serving import metrics
from serving.api import Api
from serving.bodies import ClientGone, receive_body, send_body
from serving.errors import ErrorAnswer, UnsupportedMediaType
from serving.formats import format_of
from serving.messages import Answer, Request, error_answer, text
from serving.routes import ROUTES

CHECK_EVERY_S = 1.0


class Front:
    """What stands before BentoML in either lane: no unknown path, no unknown type and so no pickle gets further."""

    def __init__(self, app: ASGIApp, known_paths: Collection[str]) -> None:
        self._bentoml = app
        # BentoML labels its metrics by path: a path that nobody serves must not become a label
        self._known_paths = frozenset(known_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path not in self._known_paths:
                missing = ErrorAnswer("not_found", f"there is no {path[:64]}")
                return await send_answer(send, error_answer(missing))
            scope = _as_logged(scope)
            if path == "/metrics":
                metrics.flush()
        return await self._bentoml(scope, receive, send)


class FastLane:
    """Answers POST to the scoring routes; `api` gives the worker's Api once it has started."""

    def __init__(self, app: ASGIApp, api: Callable[[], Api], timeout_s: float) -> None:
        self._next = app
        self._get_api = api
        self._api: Api | None = None
        self._timeout_s = timeout_s
        self._deadlines: dict[asyncio.Task[None], float] = {}  # a request's task → the loop's time when it is too late
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in ROUTES:
            return await self.serve(self._api or self._start(), scope["path"], scope, receive, send)
        return await self._next(scope, receive, send)

    def api(self) -> Api | None:
        """The worker's Api; None as long as it has not started."""
        try:
            return self._api or self._start()
        except Exception:  # BentoML's own, where there is no instance of the service yet
            return None

    async def serve(
        self, api: Api, path: str, scope: Scope, receive: Receive, send: Send, decision_id: str = ""
    ) -> None:
        """Has `api` answer the request as one to `path`, or says that it took too long."""
        task = asyncio.current_task()
        assert task is not None, "an ASGI app runs in a task"
        self._deadlines[task] = self._loop.time() + self._timeout_s
        answering = False
        headers = dict(scope["headers"])
        try:
            body = await receive_body(receive, api.most_bytes(path, headers)[0])
            answer = await api.answer(path, Request(headers, scope["query_string"], body, decision_id))
            answering = True
            del self._deadlines[task]  # how long the caller takes to hear it is the caller's
            await send_answer(send, answer)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if answering or task not in self._late:
                raise
            task.uncancel()
            await send_answer(send, api.too_late(path, headers))
        finally:
            self._deadlines.pop(task, None)
            self._late.discard(task)

    def _start(self) -> Api:
        self._api = self._get_api()
        self._loop = asyncio.get_running_loop()
        self._check()
        return self._api

    def _check(self) -> None:
        """Ends what is too late; one look a second at all requests is cheaper than a timer for each."""
        now = self._loop.time()
        for task, deadline in self._deadlines.items():
            if deadline > now:
                break  # later ones came later
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        self._loop.call_later(CHECK_EVERY_S, self._check)


def _as_logged(scope: Scope) -> Scope:
    """The request as BentoML may see it, which logs its media type and its caller's address as they came.

    X-Forwarded-For may say anything. Pickles BentoML refuses in words of its own, and of two types it takes the other.
    """
    told = {**scope, "client": scope["client"] if _is_address(scope.get("client")) else None}
    if (sent := dict(scope["headers"]).get(b"content-type")) is not None:
        others = [header for header in scope["headers"] if header[0] != b"content-type"]
        told["headers"] = [*others, (b"content-type", _known(sent))]
    return told


def _is_address(client: tuple[str, int] | None) -> bool:
    try:
        return client is not None and bool(ip_address(client[0]))
    except ValueError:
        return False


def _known(content_type: bytes) -> bytes:
    """One of our media types, or one that the Api refuses."""
    try:
        return format_of(text(content_type)).media_type.encode()
    except UnsupportedMediaType:
        return b"application/octet-stream"


async def send_answer(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send_body(send, answer.body)
