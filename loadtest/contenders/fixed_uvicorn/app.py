"""A fixed answer after reading the body: what the HTTP server alone can do.

uvicorn app:app --loop uvloop --http httptools --no-access-log
"""

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = b'{"probability":0.142916,"tier":"medium","filling":"' + b"." * 147 + b'"}'  # 200 bytes
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())],
}
BODY = {"type": "http.response.body", "body": ANSWER}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)
