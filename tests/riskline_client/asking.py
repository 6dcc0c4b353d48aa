"""Both clients behind one function, so that each test asks with either."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Literal

import httpx

from riskline_client import AsyncClient, Client

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")
Answering = Callable[[httpx.Request], httpx.Response]


def ask(kind: Kind, url: str, method: str, *arguments: Any, client: Any = None, **options: Any) -> Any:
    """What the client's method gives; of what it yields a list. `client` are options of the client."""
    if kind == "sync":
        with Client(url, **client or {}) as riskline:
            given = getattr(riskline, method)(*arguments, **options)
            return list(given) if inspect.isgenerator(given) else given
    return asyncio.run(_asked(url, method, arguments, options, client or {}))


async def _asked(url: str, method: str, arguments: Any, options: Any, client: Any) -> Any:
    async with AsyncClient(url, **client) as riskline:
        given = getattr(riskline, method)(*arguments, **options)
        return [each async for each in given] if inspect.isasyncgen(given) else await given


def by(kind: Kind, answering: Answering) -> httpx.Client | httpx.AsyncClient:
    """httpx's client that asks a function instead of a server."""
    transport = httpx.MockTransport(answering)
    return httpx.Client(transport=transport) if kind == "sync" else httpx.AsyncClient(transport=transport)
