from typing import Any

import pytest
from hypothesis import given

from loadtest.channel_payloads import lex_event, slot, write_lex, written
from preprocessing.channels import lex
from preprocessing.channels.names import pascal, yes_and_no
from preprocessing.channels.phrases import CANNOT_ASK, LATER, NOT_AN_APPLICATION, NOT_CONFIRMED
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

SLOTS: dict[str, Any] = {pascal(name): slot(written(value)) for name, value in EXAMPLE.items()}
REQUIRED = [pascal(field.name) for field in FIELDS if field.required]
OPTIONAL = [pascal(field.name) for field in FIELDS if not field.required]
NUMBERS = [field for field in FIELDS if isinstance(field.kind, Number) and field.required]
CATEGORIES = [field for field in FIELDS if isinstance(field.kind, Category) and not yes_and_no(field.kind)]
IN_WORDS = next(field for field in CATEGORIES if not field.required)


def asked(event: object, told: dict[str, Any] | None = None) -> Any:
    collected = lex.read(payload(event), 0.9)
    return lex.answer(collected, told or refusal(collected))


def row_of(slots: dict[str, Any], **rest: Any) -> Any:
    return lex.read(payload(lex_event(slots, **rest)), 0.9).row


def is_of_lex(answer: Any) -> bool:
    state, action = answer["sessionState"], answer["sessionState"]["dialogAction"]
    assert all(isinstance(text, str) for text in state["sessionAttributes"].values())
    assert all(message["contentType"] == "PlainText" and message["content"] for message in answer.get("messages", []))
    assert action["type"] in ("Close", "Delegate", "ElicitSlot")
    if action["type"] == "ElicitSlot":
        assert state["intent"]["slots"][action["slotToElicit"]] is None
        assert (state["intent"]["state"], len(answer["messages"])) == ("InProgress", 1)
    return is_json(answer)


@given(gone_wrong(example("lex")))
def test_whatever_is_sent_is_read_and_answered_in_lexs_form(body: bytes) -> None:
    collected = lex.read(payload(body), 0.9)
    collected.source()
    assert all(is_of_lex(lex.answer(collected, told)) for told in tolds(collected))


@given(writable_applications)
def test_an_application_in_slots_is_the_same_application(values: dict[str, Any]) -> None:
    assert lex.read(payload(write_lex(values)), 0.9).row == Application.model_validate(values)


def test_a_real_event_is_an_application() -> None:
    collected = lex.read(payload(example("lex")), 0.9)
    assert isinstance(collected.row, Application)
    assert collected.row.model_dump() == EXAMPLE
    assert (collected.form, collected.unused, collected.unsure) == ("lex", (), ())


def test_a_scored_application_fulfils_the_intent_and_is_kept_in_the_session() -> None:
    answer = asked(lex_event(SLOTS), EXPLAINED)
    state = answer["sessionState"]
    assert state["dialogAction"] == {"type": "Close"}
    assert (state["intent"]["state"], state["intent"]["slots"]) == ("Fulfilled", SLOTS)
    assert state["sessionAttributes"] == {
        "campaign": "spring",
        "riskTier": "medium",
        "riskPoints": "534",
        "riskProbability": "0.166922",
        "riskReasons": "One thing is low; Another is high",
        "decisionId": SCORE["decision_id"],
    }
    assert "medium" not in answer["messages"][0]["content"]


def test_a_complete_turn_of_a_dialogue_is_not_scored_and_taken_on_by_the_bot() -> None:
    event = lex_event(SLOTS, "DialogCodeHook")
    assert isinstance(lex.read(payload(event), 0.9).row, InvalidApplication)
    answer = asked(event)
    assert answer["sessionState"]["dialogAction"] == {"type": "Delegate"}
    assert answer["sessionState"]["intent"]["state"] == "ReadyForFulfillment"
    assert answer["sessionState"]["sessionAttributes"] == {"campaign": "spring"}
    assert "messages" not in answer


@pytest.mark.parametrize("source", ["DialogCodeHook", "FulfillmentCodeHook"])
def test_the_first_required_slot_that_is_missing_is_elicited(source: str) -> None:
    answer = asked(lex_event(SLOTS | dict.fromkeys([*OPTIONAL, *REQUIRED[1:]]), source))
    assert answer["sessionState"]["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": REQUIRED[1]}
    kind = next(field.kind for field in FIELDS if pascal(field.name) == REQUIRED[1])
    assert kind.label in answer["messages"][0]["content"]
    assert answer["sessionState"]["sessionAttributes"]["riskError"] == "invalid_application"


def test_the_intents_own_order_of_slots_decides() -> None:
    slots = dict.fromkeys([pascal(field.name) for field in reversed(FIELDS)])
    action = asked(lex_event(slots))["sessionState"]["dialogAction"]
    assert action["slotToElicit"] == REQUIRED[-1]


def test_a_wrong_slot_is_asked_again_in_words_and_all_wrong_ones_are_emptied() -> None:
    first, number = CATEGORIES[0], NUMBERS[0]
    assert isinstance(first.kind, Category)
    wrong = {pascal(first.name): slot("a castle"), pascal(number.name): slot("9" * 30)}
    answer = asked(lex_event(SLOTS | wrong))
    slots = answer["sessionState"]["intent"]["slots"]
    assert {name for name, value in slots.items() if value is None} == wrong.keys()
    assert answer["sessionState"]["dialogAction"]["slotToElicit"] == pascal(number.name)
    assert answer["messages"][0]["content"] == f"{number.kind.label} must be {number.kind.rule}."
    only = asked(lex_event(SLOTS | {pascal(first.name): slot("a castle")}))["messages"][0]["content"]
    assert all(label in only for label in first.kind.values.values())
    assert "castle" not in only


def test_a_required_field_without_a_slot_cannot_be_asked_for() -> None:
    without = {name: value for name, value in SLOTS.items() if name != REQUIRED[0]}
    answer = asked(lex_event(without))
    assert answer["sessionState"]["dialogAction"] == {"type": "Close"}
    assert answer["sessionState"]["intent"]["state"] == "Failed"
    assert answer["messages"][0]["content"] == CANNOT_ASK
    assert answer["sessionState"]["sessionAttributes"]["riskFields"] != ""


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (lex_event({}), NOT_AN_APPLICATION),
        (lex_event({"Weather": slot("rain")}), NOT_AN_APPLICATION),
        ({"sessionState": {"intent": None}}, NOT_AN_APPLICATION),
        ([], NOT_AN_APPLICATION),
        (b"{", NOT_AN_APPLICATION),
    ],
)
def test_another_intent_fails_in_words(event: object, message: str) -> None:
    answer = asked(event)
    assert answer["sessionState"]["dialogAction"] == {"type": "Close"}
    assert answer["messages"][0]["content"] == message
    assert is_of_lex(answer)


def test_what_the_applicant_does_not_confirm_is_no_application() -> None:
    event = lex_event(SLOTS)
    event["sessionState"]["intent"]["confirmationState"] = "Denied"
    answer = asked(event)
    assert isinstance(lex.read(payload(event), 0.9).row, InvalidApplication)
    assert answer["messages"][0]["content"] == NOT_CONFIRMED
    assert answer["sessionState"]["intent"]["state"] == "Failed"


def test_our_own_troubles_end_the_intent_and_name_no_slot() -> None:
    answer = asked(lex_event(SLOTS), BUSY)
    assert answer["messages"][0]["content"] == LATER
    assert answer["sessionState"]["intent"]["state"] == "Failed"
    assert answer["sessionState"]["intent"]["slots"] == SLOTS


def test_an_answer_of_an_earlier_turn_does_not_outlive_its_slots() -> None:
    event = lex_event(SLOTS | {REQUIRED[0]: None})
    event["sessionState"]["sessionAttributes"] |= {"riskTier": "low", "decisionId": "x"}
    assert asked(event)["sessionState"]["sessionAttributes"].keys() == {"campaign", "riskError", "riskFields"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (slot("twelve", "12"), 12),
        (slot("twelve"), 12),  # a slot of free text
        ({"value": {"originalValue": "twelve"}}, 12),
        ({"value": {"originalValue": "a dozen", "interpretedValue": None, "resolvedValues": ["12"]}}, 12),
        ({"shape": "List", "value": slot("12")["value"], "values": [slot("12")]}, 12),
        ({"shape": "List", "values": [slot("12"), slot("12")]}, 12),
    ],
)
def test_a_slot_is_worth_what_lex_has_made_of_it(value: object, found: float) -> None:
    name = NUMBERS[0].name
    assert getattr(row_of(SLOTS | {pascal(name): value}), name) == found


def test_a_slot_with_two_values_is_refused() -> None:
    row = row_of(SLOTS | {REQUIRED[0]: {"shape": "List", "values": [slot("12"), slot("13")]}})
    assert [problem.rule for problem in row.detail] == ["duplicate"]


def test_a_persons_own_text_is_read_in_the_bots_language() -> None:
    money = next(field for field in NUMBERS if isinstance(field.kind, Number) and not field.kind.whole)
    german = {"bot": {"localeId": "de_DE"}}
    assert getattr(row_of(SLOTS | {pascal(money.name): slot("1.200")}, **german), money.name) == 1200
    assert getattr(row_of(SLOTS | {pascal(money.name): slot("eins Komma zwei", "1.2")}, **german), money.name) == 1.2
    assert getattr(row_of(SLOTS | {pascal(money.name): slot("zweihundert")}, **german), money.name) == 200


def test_yes_no_and_do_not_know_are_understood() -> None:
    both = {field.name: yes_and_no(field.kind) for field in FIELDS if isinstance(field.kind, Category)}
    for name, words in [(name, words) for name, words in both.items() if words]:
        assert getattr(row_of(SLOTS | {pascal(name): slot("yeah", "Yes")}), name) == words[True]
        assert getattr(row_of(SLOTS | {pascal(name): slot("nope", "No")}), name) == words[False]
        assert isinstance(row_of(SLOTS | {pascal(name): slot("perhaps", "Maybe")}), InvalidApplication)
    assert getattr(row_of(SLOTS | {pascal(IN_WORDS.name): slot("no idea", "Don't know")}), IN_WORDS.name) is None


def test_what_was_heard_badly_stays_unsure_in_later_turns() -> None:
    heard = {"inputMode": "Speech", "transcriptions": [{"transcriptionConfidence": 0.6, "resolvedSlots": {}}]}
    heard["transcriptions"][0]["resolvedSlots"] = {REQUIRED[0]: SLOTS[REQUIRED[0]]}  # type: ignore[index]
    first = lex.read(payload(lex_event(SLOTS, "DialogCodeHook", **heard)), 0.9)
    [unsure] = first.unsure
    assert pascal(unsure) == REQUIRED[0]
    assert first.sent[unsure][2] == 0.6
    session = lex.answer(first, refusal(first))["sessionState"]
    later = lex_event(SLOTS)
    later["sessionState"]["sessionAttributes"] = session["sessionAttributes"]  # type: ignore[index]
    assert lex.read(payload(later), 0.9).unsure == (unsure,)
    assert lex.read(payload(later), 0.5).unsure == ()
