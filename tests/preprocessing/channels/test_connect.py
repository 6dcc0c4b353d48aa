import json
import re
from typing import Any

import pytest
from hypothesis import given

from loadtest.channel_payloads import connect_event, write_connect, written
from preprocessing.channels import connect
from preprocessing.channels.names import camel, yes_and_no
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
    payload,
    refusal,
    tolds,
)

LIMIT = 32 * 1024  # bytes that Connect takes as an answer
TEXTS = {camel(name): written(value) for name, value in EXAMPLE.items()}
NUMBERS = [field for field in FIELDS if isinstance(field.kind, Number) and field.required]
IN_MONTHS = next(field for field in NUMBERS if isinstance(field.kind, Number) and field.kind.unit == "months")
MONEY = next(field for field in NUMBERS if isinstance(field.kind, Number) and "thousand" in field.kind.unit)


def answered(event: object, told: dict[str, Any] | None = None) -> dict[str, str]:
    collected = connect.read(payload(event), 0.9)
    return connect.answer(collected, told or refusal(collected))


def row_of(texts: dict[str, Any], language: str = "en-US") -> Any:
    return connect.read(payload(connect_event(TEXTS, texts, language)), 0.9).row


def is_of_connect(answer: dict[str, str]) -> bool:
    assert all(re.fullmatch("[A-Za-z0-9_]+", key) for key in answer)
    assert all(isinstance(value, str) for value in answer.values())
    return len(json.dumps(answer, ensure_ascii=False).encode()) < LIMIT


@given(gone_wrong(example("connect")))
def test_whatever_is_sent_is_read_and_answered_in_connects_form(body: bytes) -> None:
    collected = connect.read(payload(body), 0.9)
    collected.source()
    assert all(is_of_connect(connect.answer(collected, told)) for told in tolds(collected))


@given(writable_applications)
def test_an_application_in_attributes_is_the_same_application(values: dict[str, Any]) -> None:
    assert connect.read(payload(write_connect(values)), 0.9).row == Application.model_validate(values)


def test_a_real_event_is_an_application() -> None:
    collected = connect.read(payload(example("connect")), 0.9)
    assert isinstance(collected.row, Application)
    assert collected.row.model_dump() == EXAMPLE
    assert collected.unused == ("greeting",)


def test_attributes_alone_do_as_well() -> None:
    assert connect.read(payload(TEXTS), 0.9).row == Application.model_validate(EXAMPLE)


def test_a_parameter_goes_before_an_attribute_in_any_spelling() -> None:
    assert getattr(row_of({MONEY.name.upper(): "7"}), MONEY.name) == 7
    assert getattr(row_of({MONEY.name: " "}), MONEY.name) == EXAMPLE[MONEY.name]  # an empty one says nothing


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("60", "en-US", 60),
        ("sixty", "en-US", 60),
        ("six oh", "en-US", 60),
        ("sixty months", "en-GB", 60),
        ("five years", "en-GB", 60),
        ("sechzig Monate", "de-DE", 60),
        ("fünf Jahre", "de-DE", 60),
        ("soixante mois", "fr-FR", 60),
        ("cinco años", "es-ES", 60),
        ("sessenta meses", "pt-BR", 60),
    ],
)
def test_a_caller_types_or_says_a_number(text: str, language: str, found: float) -> None:
    assert getattr(row_of({IN_MONTHS.name: text}, language), IN_MONTHS.name) == found


def test_a_caller_says_a_sum_of_money() -> None:
    assert getattr(row_of({MONEY.name: "eight hundred and forty-six euros"}), MONEY.name) == 846
    assert getattr(row_of({MONEY.name: "one two nine"}), MONEY.name) == 129
    assert getattr(row_of({MONEY.name: "eight hundred thousand"}), MONEY.name) == 800
    [problem] = row_of({MONEY.name: "one thousand two hundred"}).detail
    assert (problem.field, problem.rule) == (MONEY.name, "ambiguous")


def test_a_caller_says_yes_or_no() -> None:
    both = {field.name: yes_and_no(field.kind) for field in FIELDS if isinstance(field.kind, Category)}
    for name, words in [(name, words) for name, words in both.items() if words]:
        assert getattr(row_of({name: "yes please"}), name) == words[True]
        assert getattr(row_of({name: "nein"}, "de-DE"), name) == words[False]
        assert getattr(row_of({name: "1"}), name) == words[True]
        assert isinstance(row_of({name: "2"}), InvalidApplication)


def test_a_score_is_flat_texts() -> None:
    assert answered(connect_event(TEXTS, {}), EXPLAINED) == {
        "tier": "medium",
        "points": "534",
        "probability": "0.166922",
        "decisionId": SCORE["decision_id"],
        "message": RECEIVED,
        "warnings": "something is missing",
        "reasons": "One thing is low; Another is high",
    }


def test_an_error_has_a_prompt_for_the_attribute_as_the_flow_calls_it() -> None:
    label = re.sub("[^A-Za-z]", "_", MONEY.kind.label)
    texts = {name: text for name, text in TEXTS.items() if name != camel(MONEY.name)} | {label: "a lot"}
    assert answered(connect_event(texts, {})) == {
        "error": "invalid_application",
        "message": "the application has 1 problem",
        "field": label,
        "rule": "type",
        "prompt": f"{MONEY.kind.label} must be {MONEY.kind.rule}.",
    }
    missing = answered(connect_event({}, {}))
    assert missing["field"] == camel(next(field.name for field in FIELDS if field.required))
    assert missing["rule"] == "required"


@pytest.mark.parametrize(
    ("body", "rule"), [(b"", "json"), (b"[1]", "payload"), (b'{"a": "1", "a": "2"}', "duplicate"), (b"{", "json")]
)
def test_what_is_no_event_is_told_so(body: bytes, rule: str) -> None:
    answer = answered(body)
    assert (answer["prompt"], answer["rule"], answer["field"]) == (NOT_AN_APPLICATION, rule, "")


def test_a_body_that_is_no_json_is_not_our_trouble() -> None:
    collected = connect.read(payload(b"{"), 0.9)
    told = {"error": "malformed_body", "message": "the body is not valid UTF-8 JSON", "detail": []}
    assert connect.answer(collected, told)["prompt"] == NOT_AN_APPLICATION


def test_our_own_troubles_name_no_field() -> None:
    answer = answered(connect_event(TEXTS, {}), BUSY)
    assert (answer["error"], answer["field"], answer["prompt"]) == ("overloaded", "", LATER)


def test_an_answer_stays_within_what_connect_takes() -> None:
    many = {"field": "x", "code": "missing", "contribution": 1.0, "message": "ü" * 2000, "text": "語" * 2000}
    assert is_of_connect(answered(connect_event(TEXTS, {}), {**SCORE, "warnings": [many] * 50, "reasons": [many] * 50}))
