"""Events of API Gateway are opened and answers wrapped; what is no event is left alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.channels.collected import Payload
from preprocessing.channels.gateway import request_in, unwrapped, wrapped
from tests.generated import EXAMPLE
from tests.preprocessing.channels.events import balancer_event, http_event, rest_event

EVENTS = [http_event, rest_event, balancer_event]
Event = Callable[[str, bytes, dict[str, str], bool], dict[str, Any]]
HEADERS = {"Content-Type": "Text/CSV; charset=UTF-8", "Accept-Language": "de-CH, de;q=0.9, *;q=0.5", "X-Other": "1"}
BODY = "Größe;1,5\r\n".encode()


def opened(event: object) -> Payload | None:
    return unwrapped(Payload(json.dumps(event).encode(), "application/json", "fr"))


@pytest.mark.parametrize("is_base64", [True, False])
@pytest.mark.parametrize("event", EVENTS)
def test_the_payload_inside_is_what_was_sent(event: Event, is_base64: bool) -> None:
    made = event("/channels/mail", BODY, HEADERS, is_base64)
    assert opened(made) == Payload(BODY, HEADERS["Content-Type"], "de-CH")


@pytest.mark.parametrize("event", EVENTS)
def test_the_request_keeps_its_method_path_and_headers(event: Event) -> None:
    request = request_in(event("/v1/channels/mail", BODY, HEADERS, False))
    assert request is not None
    assert (request.method, request.path, request.headers["x-other"]) == ("POST", "/v1/channels/mail", "1")


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_not_said_has_a_default(event: Event) -> None:
    assert opened(event("/channels/mobile", b"", {}, False)) == Payload(b"", "application/json", "")
    made = event("/channels/mobile", b"", {}, True)
    del made["body"], made["isBase64Encoded"]
    assert opened(made) == Payload(b"", "application/json", "")


@pytest.mark.parametrize("accepted", ["", "*", ";q=1", "1234", "de_CH"])
def test_a_language_that_is_none_is_none(accepted: str) -> None:
    payload = opened(http_event("/channels/mail", b"{}", {"Accept-Language": accepted}))
    assert payload is not None
    assert payload.language in ("", "de")


def test_a_body_that_is_not_the_base64_it_is_said_to_be_stays_as_it_is() -> None:
    made = http_event("/channels/mail", b"{}", {}, True) | {"body": "{ä}"}
    assert opened(made) == Payload("{ä}".encode(), "application/json", "")


@pytest.mark.parametrize("event", EVENTS)
def test_a_damaged_event_is_opened_all_the_same(event: Event) -> None:
    made = event("/channels/mail", b"{}", HEADERS, False)
    damaged = {"headers": [7], "multiValueHeaders": {"content-type": [], "accept-language": [None]}, "body": {"a": 1}}
    assert opened(made | damaged) == Payload(b"", "application/json", "")


@pytest.mark.parametrize(
    "event",
    [
        EXAMPLE,
        [],
        "requestContext",
        {"requestContext": None},
        {"requestContext": {}},
        {"requestContext": {"http": {"method": "POST"}}},
        {"version": "2.0", "requestContext": {"http": "POST"}},
        {"httpMethod": "POST", "path": "/"},
    ],
)
def test_what_is_no_event_is_left_alone(event: object) -> None:
    assert opened(event) is None
    assert request_in(event) is None


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"requestContext"', b'{"requestContext": {}, "requestContext": {}}'])
def test_what_is_no_json_is_left_alone(body: bytes) -> None:
    assert unwrapped(Payload(body, "application/json")) is None


def test_an_answer_is_wrapped_as_the_gateway_wants_it() -> None:
    assert wrapped(422, {"content-type": "application/json"}, "{}") == {
        "statusCode": 422,
        "headers": {"content-type": "application/json"},
        "body": "{}",
        "isBase64Encoded": False,
    }


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "requestContext", "http", "method", "httpMethod", "headers", "body", "isBase64Encoded"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(anything, st.sampled_from(EVENTS))
def test_any_json_is_an_event_or_none(scrap: object, event: Event) -> None:
    made = event("/channels/mail", b"{}", HEADERS, False)
    for each in (
        scrap,
        {"requestContext": scrap},
        made | scrap if isinstance(scrap, dict) else {**made, "body": scrap},
    ):
        payload = opened(each)
        assert payload is None or isinstance(payload.body, bytes)
