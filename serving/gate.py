"""Outermost: asks each request for its key, and whether that opens the route. Without keys nobody is asked.

    Authorization: Bearer riskline_<id>_<secret>     or     X-API-Key: riskline_<id>_<secret>

A path that nobody has thought of wants a key too. Probes, the pages and what they load are open: they tell nothing.
"""

from collections.abc import Iterable
from math import ceil
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import metrics
from serving.channels import CHANNEL_OF
from serving.decisions import route_of
from serving.errors import ErrorAnswer
from serving.fastlane import send_answer
from serving.keys import Key, KeyRing
from serving.keys import Scope as KeyScope
from serving.messages import Headers
from serving.meters import Meters, Use
from serving.sagemaker import INVOKE, MODELS
from serving.v2 import LIVE, READY, SERVER, error_at
from serving.v2 import route_of as v2_route_of

OPEN = frozenset(
    {
        "/", "/docs.json", "/schema.json", "/livez", "/healthz", "/readyz", "/ping", "/execution-parameters",
        "/console", "/console/", LIVE, READY,
    }
)  # fmt: skip
OPEN_FOLDERS = ("/static_content/", "/console/")
SCOPE_OF: dict[str, KeyScope] = {
    "/predict": "score",
    "/predict_batch": "score",
    "/explain": "score",
    "/invocations": "score",
    **dict.fromkeys(CHANNEL_OF, "score"),
    "/model": "read",
    "/model/report": "read",
    "/model/thresholds": "read",
    "/drift": "read",
    "/metrics": "read",
    "/reload": "operate",
    SERVER: "read",
}
_BEARER = b"bearer "
_ASKS = (b"www-authenticate", b'Bearer realm="riskline"')


class Gate:
    """`ring` holds the keys of the moment; use is counted in `folder`, for all workers."""

    def __init__(self, app: ASGIApp, ring: KeyRing, folder: Path) -> None:
        self._app, self._ring, self._meters = app, ring, Meters(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (keys := self._ring.keys) is None:
            return await self._app(scope, receive, send)
        path, method = scope["path"], scope["method"]
        wanted = SCOPE_OF.get(path)
        if wanted is None:
            if _is_open(path):
                return await self._app(scope, receive, send)
            wanted = scope_of(method, path)
        key = keys.find(presented(scope["headers"]))
        if key is None:
            error = ErrorAnswer("unauthorized", "this wants a key that is known: Authorization: Bearer riskline_…")
            return await refuse(send, method, path, error, [_ASKS])
        if wanted is not None and wanted not in key.scopes:
            metrics.count_key(key.id, "forbidden")
            error = ErrorAnswer("forbidden", f"this wants the scope {wanted}; the key has {', '.join(key.scopes)}")
            return await refuse(send, method, path, error)
        use = self._meters.take(key)
        metrics.count_key(key.id, "allowed" if use is None else use.error or "allowed")
        if use is None:
            return await self._app(scope, receive, send)
        if use.error:
            retry = (b"retry-after", b"%d" % ceil(use.wait_s))
            return await refuse(send, method, path, _limit(use, key), [retry, *_headers(use)])

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_headers(use)]}
            await send(message)

        return await self._app(scope, receive, send_with_limits)


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_FOLDERS)


def scope_of(method: str, path: str) -> KeyScope | None:
    """What a key must be good for; None for a path that nobody serves, where any key will do."""
    if path in SCOPE_OF:
        return SCOPE_OF[path]
    if route_of(method, path) is not None:
        return "review"
    if (found := v2_route_of(path)) is not None:
        return found.scope
    if path == MODELS or path.startswith(f"{MODELS}/"):
        if method == "POST" and path.endswith(INVOKE):
            return "score"
        return "read" if method == "GET" else "operate"
    return None


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key that a request brings; empty where it brings none, or two. A proxy's Basic is none of ours."""
    found = b""
    for name, value in headers:
        if name == b"x-api-key" or (name == b"authorization" and value[:7].lower() == _BEARER):
            if found:
                return b""
            found = value if name == b"x-api-key" else value[7:].strip()
    return found


def _limit(use: Use, key: Key) -> ErrorAnswer:
    if use.error == "quota_exceeded":
        return ErrorAnswer(use.error, f"the key's {key.per_day} requests of this day (UTC) are used up")
    return ErrorAnswer(use.error, f"the key has {key.per_second:g} requests a second")


def _headers(use: Use) -> Headers:
    return [(b"ratelimit-policy", use.policy), (b"ratelimit", use.left)]


async def refuse(send: Send, method: str, path: str, error: ErrorAnswer, headers: Headers | None = None) -> None:
    """Answers and counts a request that goes no further."""
    answer = error_at(path, error)
    metrics.count_request(_label(method, path), answer.status, 0.0, error=error.error)
    await send_answer(send, answer._replace(headers=[*answer.headers, *(headers or [])]))


def _label(method: str, path: str) -> str:
    """A path as a metric's label, of which there must be few."""
    if path in SCOPE_OF:
        return path
    if (found := route_of(method, path)) is not None:
        return found.route
    if (inference := v2_route_of(path)) is not None:
        return inference.route
    return MODELS if scope_of(method, path) else "other"
