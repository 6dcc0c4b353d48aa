from typing import Any

import pytest
from hypothesis import given

from loadtest.channel_payloads import dialogflow_request, write_dialogflow
from preprocessing.channels import dialogflow
from preprocessing.channels.phrases import LATER, NOT_AN_APPLICATION, RECEIVED
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category, Number
from preprocessing.schema import Application
from tests.generated import EXAMPLE, writable_applications
from tests.preprocessing.channels.dialogues import (
    BUSY,
    EXPLAINED,
    SCORE,
    example,
    gone_wrong,
    is_json,
    payload,
    refusal,
    tolds,
)

NUMBERS = [field for field in FIELDS if isinstance(field.kind, Number) and field.required]
CATEGORY = next(field for field in FIELDS if isinstance(field.kind, Category))
IN_MONTHS = next(field for field in NUMBERS if isinstance(field.kind, Number) and field.kind.unit == "months")
MONEY = next(field for field in NUMBERS if isinstance(field.kind, Number) and "thousand" in field.kind.unit)


def asked(request: object, told: dict[str, Any] | None = None) -> Any:
    collected = dialogflow.read(payload(request), 0.9)
    return dialogflow.answer(collected, told or refusal(collected))


def row_of(session: dict[str, Any], form: dict[str, Any] | None = None, **rest: Any) -> Any:
    return dialogflow.read(payload(dialogflow_request(session, form or {}, **rest)), 0.9).row


def is_of_dialogflow(answer: Any) -> bool:
    [message] = answer["fulfillmentResponse"]["messages"]
    assert message["text"]["text"][0]
    assert answer["fulfillmentResponse"]["mergeBehavior"] in ("APPEND", "REPLACE")
    assert {"risk_tier", "risk_error", "decision_id"} <= answer["sessionInfo"]["parameters"].keys()
    for parameter in answer.get("pageInfo", {"formInfo": {"parameterInfo": []}})["formInfo"]["parameterInfo"]:
        assert (parameter["state"], parameter["value"]) == ("INVALID", None)
    return is_json(answer)


@given(gone_wrong(example("dialogflow")))
def test_whatever_is_sent_is_read_and_answered_in_dialogflows_form(body: bytes) -> None:
    collected = dialogflow.read(payload(body), 0.9)
    collected.source()
    assert all(is_of_dialogflow(dialogflow.answer(collected, told)) for told in tolds(collected))


@given(writable_applications)
def test_an_application_in_parameters_is_the_same_application(values: dict[str, Any]) -> None:
    assert dialogflow.read(payload(write_dialogflow(values)), 0.9).row == Application.model_validate(values)


def test_a_real_request_is_an_application() -> None:
    collected = dialogflow.read(payload(example("dialogflow")), 0.9)
    assert isinstance(collected.row, Application)
    assert collected.row.model_dump() == EXAMPLE


def test_a_score_is_kept_in_the_session_and_not_told_to_the_applicant() -> None:
    answer = asked(dialogflow_request(EXAMPLE, {}), EXPLAINED)
    assert answer["fulfillmentResponse"]["messages"] == [{"text": {"text": [RECEIVED]}}]
    assert answer["sessionInfo"]["parameters"] == {
        "risk_tier": "medium",
        "risk_points": 534,
        "risk_probability": 0.166922,
        "risk_reasons": ["One thing is low", "Another is high"],
        "decision_id": SCORE["decision_id"],
        "risk_error": None,
        "risk_fields": None,
    }
    assert "pageInfo" not in answer


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"amount": 5, "unit": "year"}, 60),
        ({"amount": 2.5, "unit": "yr"}, 30),
        ({"amount": 48, "unit": "mo"}, 48),
        ([24], 24),
        (["24", 24.0, {"original": "24"}][:1], 24),
        ("sixty", 60),
    ],
)
def test_a_duration_is_worth_what_the_field_counts_in(value: object, found: float) -> None:
    assert getattr(row_of(EXAMPLE | {IN_MONTHS.name: value}), IN_MONTHS.name) == found


@pytest.mark.parametrize(
    "value",
    [{"amount": 10, "unit": "day"}, {"amount": 5, "unit": "km"}, {"amount": True}, {}, [[]], {"amount": [5]}, [24, 36]],
)
def test_what_is_no_such_duration_is_refused(value: object) -> None:
    row = row_of(EXAMPLE | {IN_MONTHS.name: value})
    assert isinstance(row, InvalidApplication)
    assert [problem.field for problem in row.detail] == [IN_MONTHS.name]


def test_a_sum_of_money_is_its_amount_in_any_language() -> None:
    for value in ({"amount": 1.234, "currency": "EUR"}, 1.234, "1,234"):
        assert getattr(row_of(EXAMPLE | {MONEY.name: value}, languageCode="de"), MONEY.name) == 1.234


def test_a_parameter_of_form_and_session_is_one_if_it_is_the_same() -> None:
    assert isinstance(row_of(EXAMPLE, {MONEY.name: EXAMPLE[MONEY.name]}), Application)
    both = row_of(EXAMPLE, {MONEY.name: EXAMPLE[MONEY.name] + 1})
    assert [(problem.field, problem.rule) for problem in both.detail] == [(MONEY.name, "duplicate")]


def test_a_parameter_that_its_form_has_emptied_is_missing() -> None:
    row = row_of(EXAMPLE, {MONEY.name: None})
    assert [(problem.field, problem.rule) for problem in row.detail] == [(MONEY.name, "required")]


def test_wrong_parameters_are_emptied_where_they_are_and_asked_again() -> None:
    wrong = {MONEY.name: "much", CATEGORY.name: "a castle"}
    session = {name: value for name, value in (EXAMPLE | wrong).items() if name != IN_MONTHS.name}
    answer = asked(dialogflow_request(session, {MONEY.name: "much", IN_MONTHS.name: None}))
    [parameter] = answer["pageInfo"]["formInfo"]["parameterInfo"]
    assert parameter == {"displayName": MONEY.name, "state": "INVALID", "value": None}
    parameters = answer["sessionInfo"]["parameters"]
    assert {name: parameters[name] for name in wrong} == dict.fromkeys(wrong)
    assert IN_MONTHS.name not in parameters
    assert parameters["risk_error"] == "invalid_application"
    assert set(parameters["risk_fields"]) == {*wrong, IN_MONTHS.name}
    [text] = answer["fulfillmentResponse"]["messages"][0]["text"]["text"]
    assert IN_MONTHS.kind.label in text
    assert answer["fulfillmentResponse"]["mergeBehavior"] == "REPLACE"


def test_a_form_knows_its_parameters_by_its_own_names() -> None:
    label = MONEY.kind.label.lower().replace(" ", "-")
    session = {name: value for name, value in EXAMPLE.items() if name != MONEY.name} | {label: "much"}
    answer = asked(dialogflow_request(session, {label: "much"}))
    assert answer["pageInfo"]["formInfo"]["parameterInfo"][0]["displayName"] == label
    assert answer["sessionInfo"]["parameters"]["risk_fields"] == [label]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"queryResult": {}}', b"nothing"])
def test_what_is_no_request_is_told_so(body: bytes) -> None:
    answer = asked(body)
    assert answer["fulfillmentResponse"]["messages"][0]["text"]["text"] == [NOT_AN_APPLICATION]


def test_our_own_troubles_invalidate_nothing() -> None:
    answer = asked(dialogflow_request(EXAMPLE, EXAMPLE), BUSY)
    assert answer["fulfillmentResponse"]["messages"][0]["text"]["text"] == [LATER]
    assert answer["sessionInfo"]["parameters"]["risk_error"] == "overloaded"
    assert "pageInfo" not in answer
