"""A request that nobody should send, and the marks in it by which an answer or a log is seen to repeat something."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

VALUE, NAME, PATH = "v4lu", "n4me", "p4th"  # how a mark begins, by what it stands in

Headers = Sequence[tuple[str, str]]


def mark_of(chance: Random, of: str = VALUE) -> str:
    """A new mark."""
    return f"{of}{chance.getrandbits(48):012x}"


class Bad(NamedTuple):
    """A request. `is_http`: it is well-formed, so that it must be answered; else its bytes are `body` as they are."""

    kind: str
    method: str
    target: str
    headers: Headers
    body: bytes
    is_http: bool = True

    def written(self, key: str) -> bytes:
        """As it goes over the line, with an API key where it has none of its own and one is given."""
        if not self.is_http:
            return self.body.replace(b"<key>", key.encode())
        own = {name.lower() for name, _ in self.headers}
        asked = [] if not key or own & {"x-api-key", "authorization"} else [("X-API-Key", key)]
        length = [] if "content-length" in own else [("Content-Length", str(len(self.body)))]
        lines = [f"{name}: {value}\r\n" for name, value in [("Host", "x"), *self.headers, *asked, *length]]
        head = f"{self.method} {self.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body
