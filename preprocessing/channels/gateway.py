"""What Amazon API Gateway makes of a request when it hands it to a Lambda: an event around the channel's own payload.

    {"version": "2.0", "rawPath": "/channels/phone", "requestContext": {"http": {"method": "POST"}},
     "headers": {"content-type": "application/json"}, "body": "…", "isBase64Encoded": false}

That is an HTTP API's (2.0), and a function's URL's. A REST API's, and a load balancer's, has `httpMethod` and `path`,
and may have `multiValueHeaders`.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from preprocessing.channels.collected import Payload
from preprocessing.channels.json_body import parsed

_MARK = b'"requestContext"'
_CONTENT_TYPE, _LANGUAGE = "content-type", "accept-language"
_JSON = "application/json"
_FIRST_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)")


class Request(NamedTuple):
    """A request as it was before: `path` without the query, `headers` by their names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    payload: Payload


def unwrapped(payload: Payload) -> Payload | None:
    """The payload inside of an event; None where it is no event but a payload itself."""
    if _MARK not in payload.body:
        return None
    request = request_in(parsed(payload.body))
    return request and request.payload


def request_in(event: object) -> Request | None:
    """The request that an event is about; None where it is no such event.

    A body that is said to be base64 and is none stays as it is: whoever reads it will say what it should be.
    """
    if not isinstance(event, dict) or not isinstance(context := event.get("requestContext"), dict):
        return None
    if event.get("version") == "2.0" and isinstance(http := context.get("http"), dict):
        method, path = http.get("method"), event.get("rawPath")
    elif "httpMethod" in event:
        method, path = event["httpMethod"], event.get("path")
    else:
        return None
    headers = _headers(event)
    payload = Payload(_body(event), headers.get(_CONTENT_TYPE, _JSON), first_language(headers.get(_LANGUAGE, "")))
    return Request(_text(method), _text(path), headers, payload)


def first_language(accepted: str) -> str:
    """The first language that an Accept-Language header names; empty where it names none."""
    found = _FIRST_LANGUAGE.match(accepted)
    return found[1] if found else ""


def wrapped(status: int, headers: Mapping[str, str], body: str) -> dict[str, Any]:
    """An answer as API Gateway takes it from a Lambda."""
    return {"statusCode": status, "headers": dict(headers), "body": body, "isBase64Encoded": False}


def _headers(event: Mapping[str, object]) -> dict[str, str]:
    """The last of each name, where one comes twice."""
    return dict([*_pairs(event.get("multiValueHeaders")), *_pairs(event.get("headers"))])


def _pairs(headers: object) -> Iterator[tuple[str, str]]:
    for name, value in headers.items() if isinstance(headers, dict) else ():
        last = value[-1] if isinstance(value, list) and value else value
        if isinstance(name, str) and isinstance(last, str):
            yield name.lower(), last


def _body(event: Mapping[str, object]) -> bytes:
    body = _text(event.get("body")).encode("utf-8", "replace")
    if event.get("isBase64Encoded") is not True:
        return body
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return body


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
