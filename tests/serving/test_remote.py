"""Whoever is asked by the Lambda in front: busy, away, or no Riskline at all; and the attributes that go with it."""

import json
import socket
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.channels import forms
from preprocessing.encode import FIELDS
from serving import attributes
from serving.aws_lambda import Front
from serving.errors import STATUS
from serving.remote import Endpoint, Order, Service, Unusable, told_by
from tests.generated import EXAMPLE
from tests.preprocessing.channels.events import http_event

MOBILE = json.dumps(EXAMPLE).encode()


class Refusing:
    """boto3's client of an endpoint that does not answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def invoke_endpoint(self, **_: object) -> object:
        raise self._error


def test_an_endpoint_that_is_busy_or_away_is_told_as_such() -> None:
    errors = {
        "overloaded": ClientError({"Error": {"Code": "ThrottlingException"}}, "InvokeEndpoint"),
        "not_ready": ClientError({"Error": {"Code": "ServiceUnavailable"}}, "InvokeEndpoint"),
        "timeout": ReadTimeoutError(endpoint_url="https://runtime"),
        "internal_error": ClientError({"Error": {"Code": "AccessDeniedException"}}, "InvokeEndpoint"),
    }
    for code, error in errors.items():
        answer: Any = Front(Endpoint("risk", 1, Refusing(error))).answer(http_event("/channels/mobile", MOBILE, {}))
        assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (STATUS[code], code)


def test_an_address_where_nobody_answers_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = Service(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
        assert slow.ask(Order(MOBILE, ""))["error"] == "timeout"
    assert slow.ask(Order(MOBILE, ""))["error"] == "not_ready"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error": "strange", "message": "", "detail": []}',
        b'{"error": "timeout"}',
        b'{"error": [], "detail": []}',
        b'{"error": "invalid_application", "message": 7, "detail": []}',
        b'{"error": "invalid_application", "message": "", "detail": [7]}',
        b'{"error": "unauthorized", "message": "", "detail": []}',
        b'{"error": "not_found", "message": "", "detail": []}',
    ],
)
def test_an_answer_that_helps_no_sender_is_none(body: bytes) -> None:
    with pytest.raises(Unusable):
        told_by(body)


names = st.lists(st.sampled_from([field.name for field in FIELDS]), unique=True)


@given(st.sampled_from(sorted(forms.FORMS)), names)
def test_attributes_say_what_was_written(channel: str, unsure: list[str]) -> None:
    said = attributes.Attributes(channel, "ab" * 32, tuple(unsure))
    assert attributes.read(attributes.written(said).encode()) == said


def test_attributes_stay_within_sagemakers_limit() -> None:
    written = attributes.written(attributes.Attributes("mail", "ab" * 32, tuple(f"field_{n}" for n in range(500))))
    assert 1000 < len(written) <= attributes.MOST_CHARACTERS
    assert attributes.read(b"customer=7") is None
