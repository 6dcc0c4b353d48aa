"""What asking for a key costs: the gate in front of an app that answers at once, in one process.

python -m loadtest.gate
"""

import asyncio
import tempfile
import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gate import Gate
from serving.keys import KeyRing, Keys, new_key

ROUNDS, REQUESTS = 15, 20_000
OTHERS = 50  # keys besides the one that calls
LIMITS = {"without limits": (None, None), "with a rate and a quota": (1e7, 10**9)}


def main() -> None:
    print("A request's time at the gate, in µs: the best of several rounds, less that of the app alone.")  # noqa: T201
    for name, (per_second, per_day) in LIMITS.items():
        text, key = new_key("caller", ["score"], per_second, per_day)
        ring = KeyRing()
        with tempfile.TemporaryDirectory() as folder:
            gate = Gate(_app, ring, Path(folder))
            ring.keys = Keys([key, *(new_key(f"other-{n}", ["read"])[1] for n in range(OTHERS))])
            spent = asyncio.run(_seconds(gate, text))
        alone = asyncio.run(_seconds(_app, text))
        print(f"a key {name}: {(spent - alone) * 1e6:.2f}")  # noqa: T201


async def _seconds(app: ASGIApp, key: str) -> float:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"300")]
    headers.append((b"authorization", b"Bearer " + key.encode()))
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(REQUESTS):
            await app(scope, _receive, _send)
        best = min(best, time.perf_counter() - started)
    return best / REQUESTS


async def _app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> None:
    assert message["status"] == 200, "the key opens nothing: this is a bug"


if __name__ == "__main__":
    main()
