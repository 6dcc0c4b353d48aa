"""Amazon Lex V2: the event that a bot sends its code hook, and the answer that takes the dialogue on.

    {"sessionState": {"intent": {"slots": {"MonthlyIncome": {"value": {"interpretedValue": "129", …}}, …}, …}}, …}

A slot is a field by its name. What is missing or wrong is elicited, required fields first. In a turn of the dialogue
nothing is scored, since nobody has confirmed anything yet: where no slot is wrong the bot goes on as it was built. To
fulfil the intent is to score the application.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from preprocessing.channels.collected import Collected, Payload, collected, no_application
from preprocessing.channels.json_body import Unreadable, parsed
from preprocessing.channels.names import field_called
from preprocessing.channels.phrases import (
    CANNOT_ASK,
    LATER,
    NOT_AN_APPLICATION,
    NOT_CONFIRMED,
    RECEIVED,
    asked,
    is_refusal,
)
from preprocessing.channels.values import Reading
from preprocessing.errors import InvalidApplication, Problem

FORM = "lex"
_DIALOG, _DENIED = "DialogCodeHook", "Denied"  # what an event is for, what was said to a confirmation
_NO_EVENT = "this must be an event of Amazon Lex V2 with the slots of an intent"
_NO_SLOTS = "no slot of this intent is a field of an application"
_IS_DENIED = "the applicant has not confirmed the application"
_UNFINISHED = "this is a turn of a dialogue: the application is scored when its intent is fulfilled"
_MACHINE = Reading("en")
_UNREADABLE = ()  # no field's value, whatever the field
# what the session keeps of an answer, as texts
_CONFIDENCES = "riskConfidences"  # of slots heard in earlier turns: "Age=0.62 Income=0.88"
_OURS = {"riskTier", "riskPoints", "riskProbability", "riskReasons", "decisionId", "riskError", "riskFields"}
_VALUES = ("originalValue", "interpretedValue")


class _Event(NamedTuple):
    """What the answer needs of an event."""

    is_dialog: bool
    name: str
    state: str
    confirmation: str
    slots: dict[str, object]
    session: dict[str, str]
    request: dict[str, str]


def read(payload: Payload, least: float) -> Collected:
    """The slots of an intent as an application."""
    event = parsed(payload.body)
    if isinstance(event, Unreadable):
        return no_application(FORM, payload.body, event)
    state = _dict(_dict(event).get("sessionState"))
    intent = _dict(state.get("intent"))
    slots = _dict(intent.get("slots"))
    if not intent or not isinstance(event, dict):
        return no_application(FORM, payload.body, _NO_EVENT)
    language = _text(_dict(event.get("bot")).get("localeId")) or payload.language
    session = _texts(state.get("sessionAttributes"))
    confidences = _confidences(event, session)
    context = _Event(
        event.get("invocationSource") == _DIALOG,
        _text(intent.get("name")),
        _text(intent.get("state")) or "InProgress",
        _text(intent.get("confirmationState")) or "None",
        slots,
        {name: text for name, text in session.items() if name not in _OURS and name != _CONFIDENCES}
        | ({_CONFIDENCES: " ".join([f"{n}={c:g}" for n, c in confidences.items()])} if confidences else {}),
        _texts(event.get("requestAttributes")),
    )
    meant = {name: field for name in slots if (field := field_called(name))}
    if context.confirmation == _DENIED or not meant:
        return no_application(FORM, payload.body, _IS_DENIED if meant else _NO_SLOTS, context)
    said = list(_said(slots))
    found = collected(
        FORM,
        payload.body,
        [(name, value, confidences.get(name)) for name, value, _ in said],
        Reading(language, spoken=True),
        readings={name: _MACHINE for name, _, is_own in said if not is_own},
        names={field.name: name for name, field in meant.items()},
        least=least,
        context=context,
        called=meant.get,
    )
    if context.is_dialog and not isinstance(found.row, InvalidApplication):
        return found._replace(row=InvalidApplication([Problem("", "payload", _UNFINISHED)]))
    return found


def _said(slots: dict[str, object]) -> Iterator[tuple[str, object, bool]]:
    """Slot, value, and whether that is the person's own text, of which Lex has made nothing."""
    for name, slot in slots.items():
        if not isinstance(slot, dict):
            continue
        several = slot.get("values") if slot.get("shape") == "List" else None
        if isinstance(several, list):
            values = dict.fromkeys([_worth(_dict(one).get("value")) for one in several])
            yield from ((name, text, is_own) for text, is_own in values if text is not None)
        else:
            text, is_own = _worth(slot.get("value"))
            if text is not None:
                yield name, text, is_own


def _worth(value: object) -> tuple[object, bool]:
    if not isinstance(value, dict):
        return None, False
    original, text = value.get("originalValue"), value.get("interpretedValue")
    if not text:
        resolved = value.get("resolvedValues")
        text = (resolved[0] if isinstance(resolved, list) and resolved else None) or original or None
    return (_UNREADABLE, False) if isinstance(text, (dict, list)) else (text, text == original)


def _confidences(event: dict[str, object], session: Mapping[str, str]) -> dict[str, float]:
    """How sure a speech recogniser was of slots: of this turn, and of the turns before, which the session keeps."""
    heard: dict[str, float] = {}
    if event.get("inputMode") != "Speech" and _CONFIDENCES not in session:
        return heard
    for part in session.get(_CONFIDENCES, "").split():
        name, _, number = part.rpartition("=")
        if name and (found := _share(number)) is not None:
            heard[name] = found
    transcriptions = event.get("transcriptions")
    first = _dict(transcriptions[0]) if isinstance(transcriptions, list) and transcriptions else {}
    sure = _share(first.get("transcriptionConfidence")) if event.get("inputMode") == "Speech" else None
    if sure is not None:
        heard |= {name: sure for name in _dict(first.get("resolvedSlots")) if " " not in name}
    return heard


def answer(collected: Collected, told: Mapping[str, Any]) -> dict[str, object]:
    """What Lex is to do next, and what it says."""
    event = collected.context
    if not isinstance(event, _Event):
        return _answered(None, {"type": "Close"}, "Failed", {}, NOT_AN_APPLICATION)
    if "error" not in told:
        kept = {
            "riskTier": told.get("tier"),
            "riskPoints": told.get("points"),
            "riskProbability": told.get("probability"),
            "riskReasons": "; ".join([reason["text"] for reason in told.get("reasons", ())]),
            "decisionId": told.get("decision_id"),
        }
        session = {name: str(value) for name, value in kept.items() if value not in (None, "")}
        return _answered(event, {"type": "Close"}, "Fulfilled", session, RECEIVED)
    error = {"riskError": str(told["error"])}
    if event.confirmation == _DENIED:
        return _answered(event, {"type": "Close"}, "Failed", error, NOT_CONFIRMED)
    if not is_refusal(told):
        return _answered(event, {"type": "Close"}, "Failed", error, LATER)
    if _is_unfinished(told):
        return _answered(event, {"type": "Delegate"}, event.state, {})
    return _elicited(event, collected.names, told, error)


def _is_unfinished(told: Mapping[str, Any]) -> bool:
    return [problem["message"] for problem in told.get("detail", ())] == [_UNFINISHED]


def _elicited(
    event: _Event, names: Mapping[str, str], told: Mapping[str, Any], error: dict[str, str]
) -> dict[str, object]:
    places = {name: place for place, name in enumerate(event.slots)}
    again = {names.get(one.field.name, one.field.name): one for one in asked(told)}
    error |= {"riskFields": ", ".join(again)} if again else {}
    slots = sorted((name for name in again if name in places), key=lambda n: (not again[n].field.required, places[n]))
    if not slots:
        return _answered(event, {"type": "Close"}, "Failed", error, CANNOT_ASK if again else NOT_AN_APPLICATION)
    emptied = event._replace(slots=event.slots | dict.fromkeys(slots), confirmation="None")
    elicit = {"type": "ElicitSlot", "slotToElicit": slots[0]}
    return _answered(emptied, elicit, "InProgress", error, again[slots[0]].sentence)


def _answered(
    event: _Event | None, action: dict[str, str], state: str, session: dict[str, str], message: str = ""
) -> dict[str, object]:
    intent: dict[str, object] = {}
    if event:
        slots, confirmation = {name: _slot(slot) for name, slot in event.slots.items()}, event.confirmation
        intent = {"intent": {"name": event.name, "slots": slots, "state": state, "confirmationState": confirmation}}
    attributes = event.session | session if event else session
    return {
        "sessionState": {"sessionAttributes": attributes, "dialogAction": action, **intent},
        **({"messages": [{"contentType": "PlainText", "content": message}]} if message else {}),
        "requestAttributes": event.request if event else {},
    }


def _slot(slot: object) -> dict[str, object] | None:
    """A slot as Lex wants it back: its texts, and nothing else that somebody has put there."""
    if not isinstance(slot, dict):
        return None
    told = _value(slot)
    if isinstance(values := slot.get("values"), list):
        told["values"] = [_value(_dict(one)) for one in values]
    return told


def _value(slot: dict[str, object]) -> dict[str, object]:
    told: dict[str, object] = {"shape": slot["shape"]} if isinstance(slot.get("shape"), str) else {}
    if isinstance(value := slot.get("value"), dict):
        texts: dict[str, object] = {name: value[name] for name in _VALUES if isinstance(value.get(name), str)}
        if isinstance(resolved := value.get("resolvedValues"), list):
            texts["resolvedValues"] = [text for text in resolved if isinstance(text, str)]
        told["value"] = texts
    return told


def _share(value: object) -> float | None:
    try:
        share = float(value) if isinstance(value, (int, float, str)) else -1
    except (ValueError, OverflowError):
        return None
    return share if 0 <= share <= 1 else None


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    return {name: text for name, text in _dict(value).items() if isinstance(text, str)}
