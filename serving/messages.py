"""A request and its answer between an edge and the `Api`: no server's and no framework's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic_core import to_json

from serving.bodies import Body
from serving.errors import STATUS, ErrorAnswer
from serving.formats import JSON

Headers = list[tuple[bytes, bytes]]


class Request(NamedTuple):
    """A request as it came: header names in lower case, the query string, and a body that may be over the limit.

    `decision_id` is what its path names, on routes that have one: a decision, or the version of the model.
    """

    headers: Mapping[bytes, bytes]
    query: bytes
    body: Body
    decision_id: str = ""


class Worked(NamedTuple):
    """What a route has made of a request, before it gets its headers, but for those that only the route can know.
    `seconds` by stage; `error`: its code."""

    status: int
    media_type: str
    body: Body
    seconds: Mapping[str, float]
    error: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()


class Answer(NamedTuple):
    """`body` is a file for a large answer; whoever sends it closes it. `error` is an error's code."""

    status: int
    headers: Headers
    body: Body
    error: str = ""


def json_answer(body: bytes, status: int = 200) -> Answer:
    """A short answer that no scoring route gave."""
    return Answer(status, [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))], body)


def error_answer(error: ErrorAnswer) -> Answer:
    """The answer to a request that no route took."""
    return json_answer(to_json(error), STATUS[error.error])._replace(error=error.error)


def not_allowed(method: str, route: str, allowed: str) -> Answer:
    """The answer to a method that a route does not know; `allowed` are those that it does."""
    answer = error_answer(ErrorAnswer("method_not_allowed", f"Method Not Allowed: {method} {route}"))
    return answer._replace(headers=[*answer.headers, (b"allow", allowed.encode())])


def text(header: bytes | None) -> str | None:
    """A header's value as text."""
    return None if header is None else header.decode("latin-1")


RETRY_AFTER = (b"retry-after", b"1")
NOT_READY = error_answer(ErrorAnswer("not_ready", "the model has not proved itself yet"))
