"""A fixed answer from in front of BentoML's middleware: the most that a route there can do.

bentoml serve service:Fixed
"""

from typing import Any

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

ANSWER = b'{"probability":0.142916,"tier":"medium","filling":"' + b"." * 147 + b'"}'  # 200 bytes
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())],
}
BODY = {"type": "http.response.body", "body": ANSWER}


class InFront(bentoml.Service[Any]):
    """Answers /predict itself and hands all else to BentoML."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        behind = super().to_asgi(is_main)

        async def lane(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] != "/predict":
                await behind(scope, receive, send)
                return
            while (await receive()).get("more_body"):
                pass
            await send(START)
            await send(BODY)

        return lane


@bentoml.service(service_class=InFront, workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Fixed:
    @bentoml.api
    async def predict(self, application: dict[str, Any], /) -> dict[str, Any]:
        """Declares the route; the lane answers it."""
        return application
