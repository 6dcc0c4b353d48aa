"""The Lambda in front: it answers as the service's own routes do, asks only for what is valid, and never breaks."""

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

import serving.aws_lambda
from decisions.log import Log
from loadtest.channel_paper import Paper
from loadtest.channel_payloads import write_sheet
from model.artifact import Artifact
from preprocessing.channels import forms
from preprocessing.encode import FIELDS
from preprocessing.errors import MalformedBody
from serving.api import Api
from serving.aws_lambda import DEFAULTS, Front, front
from serving.remote import Endpoint, Order, Remote, Service, Told
from serving.settings import Settings
from tests.generated import EXAMPLE, NUMBER
from tests.preprocessing.channels.events import http_event, rest_event
from tests.serving.endpoint import JSON, Riskline
from tests.test_rooms import ROOT, loaded_by

EXAMPLES = Path(__file__).parent.parent / "preprocessing" / "channels" / "examples"
WITHIN_S = 20.0
FORM = "application/x-www-form-urlencoded"
MOBILE = json.dumps(EXAMPLE).encode()
RAW = {"lex": "chatbot", "dialogflow": "chatbot", "connect": "phone", "textract": "mail"}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def riskline(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Riskline]:
    log = Log(tmp_path_factory.mktemp("decisions"))
    api = Api(artifact, Settings(), log=log)
    service = Riskline(api, log)
    thread = threading.Thread(target=service.server.serve_forever)
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()
    api.close()
    log.close()


@pytest.fixture(scope="module")
def endpoint(riskline: Riskline) -> Iterator[Endpoint]:
    """boto3's own client, which finds the service where SageMaker would be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", riskline.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "none")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        yield Endpoint("risk", WITHIN_S)


@pytest.fixture(params=["endpoint", "service"])
def remote(request: pytest.FixtureRequest, riskline: Riskline, endpoint: Endpoint) -> Remote:
    return endpoint if request.param == "endpoint" else Service(riskline.url, WITHIN_S)


class Broken:
    """Fails as nobody foresaw."""

    def ask(self, order: Order) -> Told:  # noqa: ARG002 - as everybody is asked
        raise ZeroDivisionError("29 years, rents the home")


class Says:
    """Answers always the same, and keeps what it was asked."""

    def __init__(self, told: Told) -> None:
        self.told, self.orders = told, list[Order]()

    def ask(self, order: Order) -> Told:
        self.orders.append(order)
        return self.told


BROKEN = "something broke on our side; the log says what"
SCORE: Told = {"probability": 0.1, "tier": "low", "points": 600, "decision_id": "d", "warnings": []}


def example(form: str) -> Any:
    return json.loads((EXAMPLES / f"{form}.json").read_text())


def without_ids(answer: object) -> object:
    return json.loads(_ID.sub("an id", json.dumps(answer)))


def status_of(answer: object) -> tuple[int, Any]:
    assert isinstance(answer, dict)
    assert answer["headers"] == {"content-type": JSON}
    assert answer["isBase64Encoded"] is False
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("form", RAW)
def test_an_event_is_answered_as_the_services_own_route_answers_it(
    form: str, remote: Remote, riskline: Riskline
) -> None:
    answer = Front(remote, RAW[form]).answer(example(form))
    status, own = riskline.own(f"/channels/{RAW[form]}", (EXAMPLES / f"{form}.json").read_bytes(), {})
    assert status == 200
    assert without_ids(answer) == without_ids(json.loads(own))


REQUESTS = {
    "mobile": ("mobile", MOBILE, JSON),
    "form": ("webform", urlencode(EXAMPLE).encode(), FORM),
    "sheet": ("mail", write_sheet(EXAMPLE), "text/csv"),
    "refused": ("mobile", json.dumps(EXAMPLE | {NUMBER.name: "many"}).encode(), JSON),
    "malformed": ("mobile", b"{", JSON),
    "no application": ("mail", b"a,b\r\n", "text/csv"),
    "another type": ("webform", b"{}", JSON),
}


@pytest.mark.parametrize("sent", REQUESTS)
@pytest.mark.parametrize("event", [http_event, rest_event])
def test_a_request_through_api_gateway_is_answered_as_the_services_own_route_answers_it(
    event: Any, sent: str, remote: Remote, riskline: Riskline
) -> None:
    channel, body, media_type = REQUESTS[sent]
    headers = {"Content-Type": media_type, "Idempotency-Key": f"the-{sent.replace(' ', '-')}"}
    answer = Front(remote).answer(event(f"/v1/channels/{channel}", body, headers, channel == "webform"))
    status, own = riskline.own(f"/channels/{channel}", body, headers)
    assert status_of(answer) == (status, json.loads(own))


def test_what_is_no_valid_application_is_not_asked_about() -> None:
    told = Says(SCORE)
    for form, channel in RAW.items():
        Front(told, channel).answer(dict.fromkeys(example(form)))
    for sent in ("refused", "malformed", "no application", "another type"):
        channel, body, media_type = REQUESTS[sent]
        answer = Front(told).answer(http_event(f"/channels/{channel}", body, {"Content-Type": media_type}))
        assert status_of(answer)[1]["error"] in ("invalid_application", "malformed_body", "unsupported_media_type")
    assert told.orders == []


def test_the_decision_is_recorded_with_its_channel_and_the_payloads_hash(remote: Remote, riskline: Riskline) -> None:
    answer = Front(remote).answer(http_event("/channels/mobile", MOBILE, {}))
    record = riskline.recorded(status_of(answer)[1]["decision_id"])
    assert record.fact["channel"] == "mobile"
    assert record.person is not None
    assert record.person["application"] == {field.name: EXAMPLE[field.name] for field in FIELDS}
    assert record.person["source"] == {"sha256": hashlib.sha256(MOBILE).hexdigest()}


def test_what_was_read_with_little_confidence_is_warned_about(remote: Remote) -> None:
    paper = Paper()
    for field in FIELDS:
        paper.write(field.kind.label, str(EXAMPLE[field.name]), confidence=60 if field == NUMBER else 99)
    answer: Any = Front(remote, "mail", least=0.7).answer(paper.response())
    assert [(warning["field"], warning["code"]) for warning in answer["warnings"]] == [(NUMBER.name, "low_confidence")]
    answer = Front(remote, "mail", least=0.5).answer(paper.response())
    assert answer["warnings"] == []


def test_an_error_of_the_service_is_told_with_the_senders_names(riskline: Riskline, endpoint: Endpoint) -> None:
    problem = {"field": NUMBER.name, "rule": "range", "message": "it is too small"}
    told = Says({"error": "invalid_application", "message": "the application has 1 problem", "detail": [problem]})
    sent = {NUMBER.name.upper() if name == NUMBER.name else name: value for name, value in EXAMPLE.items()}
    status, answer = status_of(Front(told).answer(http_event("/channels/mobile", json.dumps(sent).encode(), {})))
    assert (status, answer["detail"][0]["field"]) == (422, NUMBER.name.upper())
    # which the endpoint gives as an error of SageMaker's, and an address as a status
    for remote in (endpoint, Service(riskline.url, WITHIN_S)):
        assert remote.ask(Order(b"{", "channel=mobile"))["error"] == MalformedBody.code


def test_only_a_key_that_can_be_one_becomes_the_decisions_id() -> None:
    for key, decision_id in {'"a-form"': "a-form", "a-form": "a-form"}.items():
        told = Says(SCORE)
        Front(told).answer(http_event("/channels/mobile", MOBILE, {"Idempotency-Key": key}))
        assert [order.decision_id for order in told.orders] == [decision_id]
    for key in ("", "a b", "x" * 65, "ä"):
        answer = Front(Says(SCORE)).answer(http_event("/channels/mobile", MOBILE, {"Idempotency-Key": key}))
        assert (status_of(answer)[0], status_of(answer)[1]["error"]) == (400, "invalid_header")


@pytest.mark.parametrize("path", ["", "/", "/channels", "/channels/api", "/channels/mobile/x"])
def test_a_path_that_names_no_channel_is_not_found(path: str) -> None:
    status, answer = status_of(Front(Says(SCORE)).answer(http_event(path, MOBILE, {})))
    assert (status, answer["error"]) == (404, "not_found")


def test_the_channel_that_is_set_is_the_channel_whatever_the_path() -> None:
    told = Says(SCORE)
    answer = Front(told, "mobile").answer(http_event("/apply", MOBILE, {}))
    assert status_of(answer) == (200, SCORE)
    assert told.orders[0].attributes.startswith("channel=mobile;source=")


scraps = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(scraps, st.sampled_from(sorted(forms.FORMS)), st.sampled_from(["event", *RAW, *REQUESTS]))
def test_any_event_is_answered(scrap: object, channel: str, what: str) -> None:
    """Damaged in one place, or made up from the start."""
    if what in RAW:
        event = example(what) | {next(iter(example(what))): scrap}
    elif what in REQUESTS:
        event = rest_event(f"/channels/{channel}", REQUESTS[what][1], {"Content-Type": REQUESTS[what][2]})
        event |= {"body": scrap, "isBase64Encoded": isinstance(scrap, str), "headers": scrap}
    else:
        event = scrap
    for which in ("", channel):
        assert json.dumps(Front(Says(SCORE), which).answer(event))


@pytest.mark.parametrize("form", RAW)
def test_what_nobody_foresaw_is_logged_and_told_in_the_channels_form(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Says({"error": "internal_error", "message": BROKEN, "detail": []})
    with caplog.at_level(logging.ERROR):
        answer = json.dumps(Front(Broken(), RAW[form]).answer(example(form)))
    assert answer == json.dumps(Front(told, RAW[form]).answer(example(form)))
    assert "29 years" not in answer
    assert "ZeroDivisionError" in caplog.text


def test_an_event_of_no_channel_is_an_error_of_whoever_set_it_up(caplog: pytest.LogCaptureFixture) -> None:
    answer: Any = Front(Says(SCORE)).answer(EXAMPLE)
    assert answer["error"] == "internal_error"
    assert "RISKLINE_CHANNEL must be set" in caplog.text


def test_the_environment_says_where_and_what() -> None:
    assert front({"RISKLINE_ENDPOINT": "risk"}).answer(http_event("/x", b"", {}))
    assert front({"RISKLINE_URL": "https://risk.example/", "RISKLINE_CHANNEL": "phone", "RISKLINE_TIMEOUT_S": "2"})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_URL": "https://risk.example"},
        {"RISKLINE_URL": "file:///etc/passwd"},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_CHANNEL": "fax"},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_CHANNEL": "api"},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_LOW_CONFIDENCE": "90"},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_TIMEOUT_S": "soon"},
        {"RISKLINE_ENDPOINT": "risk", "RISKLINE_TIMEOUT_S": "nan"},
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_name_and_value(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="RISKLINE_") as refused:
        front(environment)
    *_, (key, value) = environment.items() or [("RISKLINE_ENDPOINT", "")]
    assert key in str(refused.value)
    assert repr(value) in str(refused.value)


def test_the_documented_settings_are_the_codes() -> None:
    assert set(re.findall(r"RISKLINE_\w+", serving.aws_lambda.__doc__ or "")) == set(DEFAULTS)
    _, section = (ROOT / "docs" / "channels.md").read_text().split("\n## In a Lambda", 1)
    rows = re.findall(r"^\| `(RISKLINE_\w+)` \| (?:`(.*)`)? ?\|", section, re.MULTILINE)
    assert dict(rows) == DEFAULTS


def test_the_handler_loads_no_more_than_it_packs() -> None:
    loaded = loaded_by("serving.aws_lambda")
    assert {"msgspec", "numpy", "pydantic", "text_to_num"} <= loaded
    heavy = {"bentoml", "boto3", "botocore", "onnxruntime", "prometheus_client", "pyarrow", "starlette"}
    assert loaded.isdisjoint(heavy)
