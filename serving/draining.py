"""A worker's end, for its callers: what they have sent is answered, and they are told not to send more.

HTTP lets a server close a connection that is idle, but the next request may be on its way by then, and is lost. So from
the signal on every answer says `Connection: close`, and who is idle is given a moment for one more request.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_S = 0.5


class Draining:
    """Whether this process is about to end; there is one."""

    begun = False


DRAINING = Draining()


class LastAnswers:
    """In front of an app: every answer to a request that comes while the process drains ends its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not DRAINING.begun or scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        return await self._app(scope, receive, send_last)
