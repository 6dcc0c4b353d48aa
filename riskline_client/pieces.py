"""Any number of rows as requests that the service takes: in order, one after the other, none too large.

What a service takes at once is its operator's to say, so it is learned: what is refused as too large is sent again in
halves, and from then on nothing larger. Of a request that is too large the service has read no row.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from riskline_client.calls import Call
from riskline_client.errors import TooLarge

T = TypeVar("T")
R = TypeVar("R")


class Pieces(Generic[T]):
    """`rows` are sequences of any length, of which `call` makes a request, told how many rows came before."""

    def __init__(self, rows: Iterable[Any], most_rows: int, call: Callable[[Any, int], Call[T]]) -> None:
        if most_rows < 1:
            raise ValueError("at least 1 row must be sent at once")
        self._source, self._most, self._call = iter(rows), most_rows, call
        self._waiting: deque[Any] = deque()
        self._sent: Any = None
        self._before = 0

    def take(self) -> Call[T] | None:
        """The next request, None after the last. Whoever asks has had the answer to the one before, or its refusal."""
        if self._sent is not None:
            self._before += len(self._sent)
            self._sent = None
        rows = self._waiting.popleft() if self._waiting else next(self._source, None)
        self._sent = rows
        if rows is None:
            return None
        if len(rows) > self._most:
            self._sent = rows[: self._most]
            self._waiting.appendleft(rows[self._most :])
        return self._call(self._sent, self._before)

    def refused(self, error: TooLarge) -> None:
        """The last request was too large: its rows come again, fewer at once. Raises the error where it was one row."""
        if len(self._sent) <= 1:
            raise error
        self._most = len(self._sent) // 2
        self._waiting.appendleft(self._sent)
        self._sent = None


def gathered(rows: Iterable[R], at_once: int) -> Iterator[list[R]]:
    """Lists of so many rows."""
    source = iter(rows)
    while some := list(islice(source, at_once)):
        yield some
