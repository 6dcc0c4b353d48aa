"""Request and answer bodies of any size in flat memory: up to a MiB as bytes, above that in a file without a name."""

import io
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from starlette.types import Receive, Send

IN_MEMORY = 2**20
_SENT_AT_ONCE = 2**18

Body = bytes | BinaryIO


class ClientGone(Exception):
    """The caller left before its request was whole: nobody is there to answer."""


async def receive_body(receive: Receive, limit: int) -> Body:
    """The request's body, cut after the chunk that goes beyond `limit`, which is enough to refuse it by its size."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    file = new_file()
    size = file.write(body)
    while message.get("more_body", False) and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            file.close()
            raise ClientGone
        size += file.write(message.get("body", b""))
    return whole(file)


async def send_body(send: Send, body: Body) -> None:
    """Sends an answer's body after its start, and closes it."""
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return
    for chunk in chunks(body):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def chunks(body: BinaryIO) -> Iterator[bytes]:
    """A file from its start, piece by piece; closed at the end."""
    with body:
        body.seek(0)
        while chunk := body.read(_SENT_AT_ONCE):
            yield chunk


def new_file() -> BinaryIO:
    """A file that stays in memory until it outgrows a MiB."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))


def whole(file: BinaryIO) -> Body:
    """What was written to `file`, as bytes where it is small."""
    if file.tell() > IN_MEMORY:
        return file
    with file:
        file.seek(0)
        return file.read()


def size_of(body: Body) -> int:
    return len(body) if isinstance(body, bytes) else body.seek(0, io.SEEK_END)


def as_file(body: Body) -> BinaryIO:
    """The body from its start, to read."""
    if isinstance(body, bytes):
        return io.BytesIO(body)
    body.seek(0)
    return body
