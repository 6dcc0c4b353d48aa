"""The channels' routes: what came is recorded with where it came from, and answered as its source wants it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from decisions.log import Log
from decisions.record import CHANNELS, Record
from preprocessing.encode import FIELDS
from serving.api import Api
from serving.channels import CHANNEL_OF
from serving.openapi import document
from tests.generated import EXAMPLE, NUMBER
from tests.preprocessing.channels.events import balancer_event, http_event, rest_event
from tests.serving import asking

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def api(recording: Api) -> Api:
    return recording


def ask(api: Api, path: str, body: bytes, query: bytes = b"", **headers: str) -> tuple[int, Any]:
    status, answer = asking.ask(api, path, body, query, **headers)
    return status, json.loads(answer)


def recorded(log: Log, decision_id: str) -> Record:
    log.drain()
    return log.store.get([decision_id])[decision_id]


def test_there_is_a_route_for_each_channel() -> None:
    assert set(CHANNEL_OF.values()) == set(CHANNELS) - {"api"}


def test_a_form_gets_the_score_of_the_same_application_and_its_source_is_recorded(api: Api, log: Log) -> None:
    body = urlencode({**EXAMPLE, "token": "x"}).encode()
    status, answer = ask(api, "/channels/webform", body, Content_Type=FORM)
    _, direct = ask(api, "/predict", json.dumps(EXAMPLE).encode())
    assert (status, answer["probability"]) == (200, direct["probability"])
    record = recorded(log, answer["decision_id"])
    assert record.fact["channel"] == "webform"
    assert record.person is not None
    assert record.person["application"] == {field.name: EXAMPLE[field.name] for field in FIELDS}
    source = record.person["source"]
    assert source["fields"][NUMBER.name] == {"key": NUMBER.name, "value": str(EXAMPLE[NUMBER.name])}
    assert (source["form"], source["unused"], len(source["sha256"])) == ("webform", ["token"], 64)


def test_each_example_of_the_document_is_scored(api: Api) -> None:
    _, direct = ask(api, "/predict", json.dumps(EXAMPLE).encode())
    scored = []
    for path, channel in CHANNEL_OF.items():
        for media_type, content in document()["paths"][path]["post"]["requestBody"]["content"].items():
            if "example" not in content:
                continue
            sent, content_type = encoded(media_type, content["example"])
            _, answer = ask(api, path, sent, Content_Type=content_type)
            assert float(answer["probability"]) == direct["probability"], (path, media_type)
            scored.append((channel, media_type))
    assert scored == [
        ("webform", FORM),
        ("webform", "multipart/form-data"),
        ("mobile", "application/json"),
        ("phone", "application/json"),
        ("mail", "text/csv"),
    ]


def encoded(media_type: str, example: Any) -> tuple[bytes, str]:
    """An example as the page at / sends it."""
    if isinstance(example, str):
        return example.encode(), media_type
    if media_type == FORM:
        return urlencode(example).encode(), media_type
    if media_type == "application/json":
        return json.dumps(example).encode(), media_type
    request = httpx.Request("POST", "http://any", files={name: (None, str(value)) for name, value in example.items()})
    return request.read(), request.headers["Content-Type"]


def test_what_comes_as_it_is_has_no_source(api: Api, log: Log) -> None:
    _, answer = ask(api, "/predict", json.dumps(EXAMPLE).encode())
    person = recorded(log, answer["decision_id"]).person
    assert person is not None
    assert "source" not in person


def test_an_error_names_the_field_as_its_sender_does(api: Api) -> None:
    sent = {"appVersion": "9.0", **EXAMPLE}
    sent[NUMBER.name.upper()] = str(sent.pop(NUMBER.name)) + "?"
    status, answer = ask(api, "/channels/mobile", json.dumps(sent).encode())
    assert (status, answer["error"]) == (422, "invalid_application")
    assert [(problem["field"], problem["rule"]) for problem in answer["detail"]] == [(NUMBER.name.upper(), "type")]


def test_a_body_that_is_no_json_is_malformed(api: Api) -> None:
    status, answer = ask(api, "/channels/mobile", b"{")
    assert (status, answer["error"]) == (400, "malformed_body")


def test_a_channel_says_which_media_types_it_takes(api: Api) -> None:
    status, answer = ask(api, "/channels/webform", b"{}", Content_Type="application/json")
    assert (status, answer["error"]) == (415, "unsupported_media_type")
    assert FORM in answer["message"]


@pytest.mark.parametrize("event", [http_event, rest_event, balancer_event])
def test_a_gateways_event_is_answered_as_the_gateway_wants_it(api: Api, event: Callable[..., dict[str, Any]]) -> None:
    body = urlencode(EXAMPLE).encode()
    sent = json.dumps(event("/channels/webform", body, {"Content-Type": FORM}, is_base64=True)).encode()
    status, answer = ask(api, "/channels/webform", sent)
    _, direct = ask(api, "/channels/webform", body, Content_Type=FORM)
    assert (status, answer["statusCode"], answer["isBase64Encoded"]) == (200, 200, False)
    assert json.loads(answer["body"])["probability"] == direct["probability"]
    status, answer = ask(api, "/channels/webform", json.dumps(event("/", b"", {"Content-Type": FORM})).encode())
    assert (status, answer["statusCode"]) == (200, 422)


def test_an_id_of_the_callers_stands_for_the_decision(api: Api) -> None:
    body = urlencode(EXAMPLE).encode()
    first = ask(api, "/channels/webform", body, Content_Type=FORM, Idempotency_Key="a-form")
    again = ask(api, "/channels/webform", body, Content_Type=FORM, Idempotency_Key="a-form")
    assert first == again
    assert first[1]["decision_id"] == "a-form"


def test_an_application_collected_by_the_lambda_in_front_is_recorded_with_its_channel(api: Api, log: Log) -> None:
    told = f"channel=phone;source={'ab' * 32}"
    body = json.dumps(EXAMPLE).encode()
    _, answer = ask(api, "/invocations", body, X_Amzn_SageMaker_Custom_Attributes=told)
    record = recorded(log, answer["decision_id"])
    assert record.fact["channel"] == "phone"
    assert record.person is not None
    assert record.person["source"] == {"sha256": "ab" * 32}


def test_what_the_lambda_in_front_was_unsure_of_is_looked_at_by_a_person(api: Api, log: Log) -> None:
    told = f"channel=mail;source={'ab' * 32};unsure={NUMBER.name},nothing"
    body = json.dumps(EXAMPLE).encode()
    _, answer = ask(api, "/invocations", body, X_Amzn_SageMaker_Custom_Attributes=told)
    assert [(warning["field"], warning["code"]) for warning in answer["warnings"]] == [(NUMBER.name, "low_confidence")]
    record = recorded(log, answer["decision_id"])
    assert record.fact["channel"] == "mail"
    assert record.person is not None
    assert record.person["source"] == {"sha256": "ab" * 32, "unsure": [NUMBER.name]}
