"""The console's files, read and compressed at start, and the document that its form is made from, when somebody asks.

    GET /console/   GET /console/app.js …   GET /console (leads to the first)   GET /docs.json

They are the same for everybody and hold no data, so the gate asks nobody for a key; what the page then asks for needs
one. A browser asks each time whether a file has changed: a page must not be older than the service that it asks.
"""

import asyncio
import gzip
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import ErrorAnswer
from serving.fastlane import send_answer
from serving.formats import JSON
from serving.messages import Answer, error_answer, not_allowed
from serving.pages import page_headers

CONSOLE = "/console/"
FOLDER = Path(__file__).parent.parent / "console"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
HEADERS = page_headers("script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'")
_ALLOWED = "GET, HEAD"
# relative, so that it is right behind a proxy that puts something before the path
_TO_PAGE = Answer(308, [(b"location", b"console/"), (b"content-length", b"0")], b"")
_REFUSED_GZIP = re.compile(r"q=0(\.0*)?")


class File:
    """A file as it is sent: as it is, or compressed."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self._content, self._media_type = content, media_type
        self._zipped = gzip.compress(content, mtime=0)
        self._tag = sha256(content).hexdigest()[:20]

    def answer(self, headers: Mapping[bytes, bytes]) -> Answer:
        """200, or 304 to who has it already."""
        zipped = takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1"))
        tag = f'"{self._tag}-gzip"' if zipped else f'"{self._tag}"'
        told = {**HEADERS, "etag": tag, "cache-control": "no-cache", "vary": "Accept-Encoding"}
        held = headers.get(b"if-none-match", b"").decode("latin-1")
        if tag in (known.strip().removeprefix("W/") for known in held.split(",")):
            return Answer(304, _raw(told), b"")
        if zipped:
            told["content-encoding"] = "gzip"
        body = self._zipped if zipped else self._content
        return Answer(200, _raw({**told, "content-type": self._media_type, "content-length": str(len(body))}), body)


class Console:
    """Answers the paths of `files` and everything else under /console, and hands all other requests to `then`.

    Those in `later` take a while to be made: that is done once, when somebody wants to see them.
    """

    def __init__(self, then: ASGIApp, files: Mapping[str, File], later: Mapping[str, Callable[[], File]]) -> None:
        self._then, self._files, self._later = then, dict(files), later

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._then(scope, receive, send)
        path, method = scope["path"], scope["method"]
        file = self._files.get(path)
        if file is None and path in self._later:
            file = self._files[path] = await asyncio.to_thread(self._later[path])
        if file is None and path != CONSOLE[:-1] and not path.startswith(CONSOLE):
            return await self._then(scope, receive, send)
        if method not in ("GET", "HEAD"):
            answer = not_allowed(method, path[:64], _ALLOWED)
        elif file is not None:
            answer = file.answer(dict(scope["headers"]))
        elif path == CONSOLE[:-1]:
            answer = _TO_PAGE
        else:
            answer = error_answer(ErrorAnswer("not_found", f"there is no {path[:64]}"))
        return await send_answer(send, answer._replace(body=b"") if method == "HEAD" else answer)


def console_files(folder: Path = FOLDER) -> dict[str, File]:
    """By path; the page itself is the folder's."""
    files = {
        CONSOLE + path.name: File(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.iterdir())
        if path.suffix in _TYPES
    }
    return {**files, CONSOLE: files[f"{CONSOLE}index.html"]}


def json_file(content: bytes) -> File:
    """A document that does not change while the service runs."""
    return File(content, JSON)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client that says so wants an answer compressed."""
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return not _REFUSED_GZIP.fullmatch(weight.strip())
    return False


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
