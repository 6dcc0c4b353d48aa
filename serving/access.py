"""The access log: one JSON line a request on stdout, written a few times a second by a thread, off the hot path.

Off by default (RISKLINE_ACCESS_LOG). It never holds a value of an application.
"""

import sys
import time
from typing import NamedTuple

from pydantic_core import to_json


class Access(NamedTuple):
    """`seconds` from the body's arrival to the answer; `traceparent` as the caller sent it (W3C Trace Context)."""

    time: float
    route: str
    status: int
    seconds: float
    bytes_in: int
    request_id: str
    traceparent: str | None


class AccessLog:
    """Keeps what has been answered until it is taken and written."""

    def __init__(self) -> None:
        self._waiting: list[Access] = []

    def add(
        self, route: str, status: int, seconds: float, bytes_in: int, request_id: str, traceparent: str | None
    ) -> None:
        self._waiting.append(Access(time.time(), route, status, round(seconds, 6), bytes_in, request_id, traceparent))

    def take(self) -> list[Access]:
        """What is there to write; called where `add` is, so that no line falls between."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def write(self, waiting: list[Access]) -> None:
        if waiting:
            sys.stdout.write("".join(to_json(access._asdict()).decode() + "\n" for access in waiting))
            sys.stdout.flush()
