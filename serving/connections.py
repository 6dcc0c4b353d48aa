"""What one connection may cost a worker: bytes of a head, time until it is whole, time for an answer that nobody reads.

uvicorn has no such limits: a caller who sends a header for ever, or one byte a minute, or never reads, has a connection
for as long as he likes. Here they cost a request next to nothing: what has not moved is seen once a second.
"""

from collections import deque
from typing import Any, NamedTuple

from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.draining import LINGER_S
from serving.errors import STATUS, ErrorAnswer

MOST_HEAD_BYTES = 64 * 1024  # of the request line and all headers
HEAD_WITHIN_S = 10.0  # from the connection's start, or from the answer before
READ_WITHIN_S = 30.0  # without the caller's taking in a single byte of what is sent

_MALFORMED = ErrorAnswer("malformed_request", "this is no HTTP request that can be answered")
_HEAD = ErrorAnswer("head_too_large", f"the request line and the headers are larger than {MOST_HEAD_BYTES >> 10} KiB")
_NOBODY: deque[tuple[bytes, bytes]] = deque(maxlen=0)  # takes in what comes after a body, and forgets it


class Standing(NamedTuple):
    """What a connection waits for: equal at two looks where nothing has moved. It may wait `patience_s` seconds; None
    where it is the service that works, infinite where only somebody else's need of its place ends it."""

    patience_s: float | None
    moved: object


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits, and with errors in the one form that all have."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ws_protocol_class = None  # nobody serves websockets; uvicorn would hand the connection on, uncounted
        self._head_bytes, self._is_refused = 0, False

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        room = MOST_HEAD_BYTES - self._head_bytes
        super().data_received(data[:room] if len(data) > room else data)
        self._head_bytes = self._head_bytes + len(data[:room]) if self._is_in_head() else 0
        if self._head_bytes >= MOST_HEAD_BYTES:
            self._refuse(_HEAD)
        elif len(data) > room:
            self.data_received(data[room:])

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = _NOBODY  # type: ignore[assignment]

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words for it
        self._refuse(_MALFORMED)

    def standing(self) -> Standing:
        if unsent := self.transport.get_write_buffer_size():
            return Standing(READ_WITHIN_S, unsent)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            return Standing(None, cycle)
        if cycle is None or self.timeout_keep_alive_task is None:
            return Standing(HEAD_WITHIN_S, cycle)
        return Standing(float("inf"), cycle)  # uvicorn has a clock of its own for who is idle between two requests

    def end(self) -> None:
        self.transport.abort()

    def _is_in_head(self) -> bool:
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _refuse(self, error: ErrorAnswer) -> None:
        """Says what is wrong, and ends the connection once the caller has had a moment to hear it.

        Whoever sent a good request before this one hears its answer instead, which is then the last.
        """
        if self._is_refused:
            return
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        body = to_json(error)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[STATUS[error.error]] + head + body)
        self.loop.call_later(LINGER_S, self.transport.close)  # at once, what is still coming would make it a reset


class Patience:
    """The connections of a worker, and since when each has stood as it stands."""

    def __init__(self) -> None:
        self._since: dict[Connection, tuple[Standing, float]] = {}
        self._longest: deque[Connection] = deque()  # those that wait, the longest first, as found some time ago

    def add(self, connection: Connection, now: float) -> None:
        self._since[connection] = connection.standing(), now

    def forget(self, connection: Connection) -> None:
        self._since.pop(connection, None)

    def look(self, now: float) -> None:
        """Ends those that have kept the worker waiting for too long; `now` is the loop's time."""
        over: list[Connection] = []
        for connection, (before, since) in self._since.items():
            standing = connection.standing()
            if standing != before:
                self._since[connection] = standing, now
            elif standing.patience_s is not None and now - since > standing.patience_s:
                over.append(connection)
        for connection in over:
            connection.end()

    def end_longest(self) -> bool:
        """Ends the one that has been silent longest, to make room for another; False where the worker works for all."""
        if not self._longest:
            found = [(since, connection) for connection, (standing, since) in self._since.items() if _waits(standing)]
            self._longest.extend(connection for _, connection in sorted(found, key=lambda one: one[0]))
        while self._longest:
            connection = self._longest.popleft()
            known = self._since.get(connection)
            if known is not None and _waits(standing := connection.standing()) and standing == known[0]:
                self.forget(connection)
                connection.end()
                return True
        return False


def _waits(standing: Standing) -> bool:
    return standing.patience_s is not None
