"""Bodies of many applications, and of many words, wait in threads and on disk, so a worker takes so many and no more.

They are counted here, from their heads on, before anything of them is received; what is answered within a turn of the
event loop is counted in `admission.py`, so that neither kind takes the other's place.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.channels import MAIL
from serving.errors import OVERLOADED
from serving.gate import refuse
from serving.messages import RETRY_AFTER
from serving.routes import EXPLAIN, INVOCATIONS, MANY, is_short
from serving.sagemaker import INVOKE, MODELS
from serving.v2 import INFER, route_of

_ROUTES = (MANY, EXPLAIN, INVOCATIONS, MAIL, INFER)


class Bounded:
    """Lets at most `most` of them through to `app`."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most, self._inside = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _takes_long(scope):
            return await self._app(scope, receive, send)
        if self._inside >= self._most:
            return await refuse(send, scope["method"], scope["path"], OVERLOADED, [RETRY_AFTER])
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


def _takes_long(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"]
    if (found := route_of(path)) is not None:
        path = found.route
    elif path.startswith(f"{MODELS}/") and path.endswith(INVOKE):
        path = INVOCATIONS
    return path in _ROUTES and not is_short(path, dict(scope["headers"]))
