"""Who sends hostile requests over a socket, and hears what comes back as the bytes that came."""

import re
import socket
from contextlib import suppress

from loadtest.hostile_bad import Bad
from loadtest.server import HOST

ANSWER_WITHIN_S = 60.0
SILENCE_S = 0.2  # after which what is no HTTP is not going to be answered


class Caller:
    """Sends one request after the other, on one connection for as long as it lasts."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._connection: socket.socket | None = None

    def ask(self, bad: Bad) -> list[bytes]:
        """The answers that came, heads and bodies; what is no HTTP gets a connection of its own."""
        if not bad.is_http:
            self.close()
        for _ in range(2):  # the server may have closed the connection since
            used = self._connection is not None
            answers = self._ask(bad)
            if answers or not used:
                return answers
        return answers

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ask(self, bad: Bad) -> list[bytes]:
        if self._connection is None:
            self._connection = socket.create_connection((HOST, self._port), ANSWER_WITHIN_S)
        heard = b""
        with suppress(ConnectionError):
            with suppress(ConnectionError):  # a refusal may have come before all was written
                self._connection.sendall(bad.written(self._key))
            heard = self._answer(bad.method) if bad.is_http else self._until_silent()
        is_over = b"connection: close" in heard.lower() or not heard or not bad.is_http
        if is_over or heard.startswith(b"HTTP/1.1 101"):
            self.close()
        return _split(heard) if not bad.is_http else [heard] * bool(heard)

    def _answer(self, method: str) -> bytes:
        assert self._connection is not None
        self._connection.settimeout(ANSWER_WITHIN_S)
        heard = b""
        while not _is_whole(heard, method):
            if not (chunk := self._connection.recv(65536)):
                return heard if b"\r\n\r\n" in heard else b""
            heard += chunk
            if heard.startswith(b"HTTP/1.1 100"):
                heard = heard.partition(b"\r\n\r\n")[2]
        return heard

    def _until_silent(self) -> bytes:
        assert self._connection is not None
        self._connection.settimeout(SILENCE_S)
        heard = b""
        with suppress(TimeoutError, ConnectionError):
            while chunk := self._connection.recv(65536):
                heard += chunk
        return heard


def _is_whole(heard: bytes, method: str) -> bool:
    head, end, body = heard.partition(b"\r\n\r\n")
    if not end:
        return False
    if method == "HEAD" or head[9:12] in (b"204", b"304"):
        return True
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"\ncontent-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


def _split(heard: bytes) -> list[bytes]:
    return [answer for answer in re.split(rb"(?=HTTP/1\.[01] \d{3} )", heard) if answer.startswith(b"HTTP/1.")]
