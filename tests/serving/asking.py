"""A request to an Api without a server, and its answer as bytes."""

import asyncio

from serving.api import Api
from serving.bodies import as_file
from serving.messages import Request


def ask(api: Api, path: str, body: bytes, query: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Status and body; header names are written with _ for -."""
    sent = {name.lower().replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    answer = asyncio.run(api.answer(path, Request({b"content-type": b"application/json", **sent}, query, body)))
    with as_file(answer.body) as file:
        return answer.status, file.read()
