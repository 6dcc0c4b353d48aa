"""Amazon Connect: the event that a flow sends with what a caller has typed or said, and the flat answer it can use.

    {"Details": {"ContactData": {"Attributes": {"term": "sixty months"}, …}, "Parameters": {"monthlyIncome": "129"}}}

A parameter of the block that calls, or else an attribute of the contact, is a field by its name. A flat object of them
does as well, for other phone systems. The answer is texts alone, under keys that a flow may use, and below 32 KB.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from preprocessing.channels.collected import Collected, Payload, collected, no_application
from preprocessing.channels.json_body import Unreadable, parsed
from preprocessing.channels.names import camel, field_called
from preprocessing.channels.phrases import LATER, NOT_AN_APPLICATION, RECEIVED, asked, is_refusal
from preprocessing.channels.values import Reading
from preprocessing.encode import FIELDS

FORM = "connect"
LONGEST_TEXT = 4096  # bytes of each of the answer's seven texts
_NO_EVENT = "this must be an event of Amazon Connect, or an object of its attributes"
_NAMES = {field.name: camel(field.name) for field in FIELDS}


def read(payload: Payload, least: float) -> Collected:
    """A contact's attributes as an application."""
    event = parsed(payload.body)
    if isinstance(event, Unreadable):
        return no_application(FORM, payload.body, event)
    if not isinstance(event, dict):
        return no_application(FORM, payload.body, _NO_EVENT)
    details = event.get("Details")
    if isinstance(details, dict):
        contact = _dict(details.get("ContactData"))
        parameters, attributes = _dict(details.get("Parameters")), _dict(contact.get("Attributes"))
        language = contact.get("LanguageCode")
    else:
        parameters, attributes, language = {}, event, None
    return collected(
        FORM,
        payload.body,
        _said(parameters, attributes),
        Reading(language if isinstance(language, str) and language else payload.language, spoken=True),
        names=_NAMES,
        least=least,
    )


def _said(parameters: dict[str, object], attributes: dict[str, object]) -> Iterator[tuple[str, object, None]]:
    taken: set[str] = set()
    for key, value in parameters.items():
        if not _is_empty(value):
            taken.add(_field(key))
            yield key, value, None
    for key, value in attributes.items():
        if not _is_empty(value) and (not (name := _field(key)) or name not in taken):
            yield key, value, None


def _field(key: str) -> str:
    return meant.name if (meant := field_called(key)) else ""


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def answer(collected: Collected, told: Mapping[str, Any]) -> dict[str, str]:
    """What the flow can use: a score, or an error with a prompt that can be played."""
    if "error" not in told:
        return _short(
            tier=told.get("tier", ""),
            points=told.get("points", ""),
            probability=told.get("probability", ""),
            decisionId=told.get("decision_id", ""),
            message=RECEIVED,
            warnings="; ".join([warning["message"] for warning in told.get("warnings", ())]),
            reasons="; ".join([reason["text"] for reason in told.get("reasons", ())]),
        )
    first = {"field": "", "rule": "", "prompt": LATER}
    if is_refusal(told):
        detail = told.get("detail", ())
        first |= {"rule": detail[0]["rule"] if detail else "", "prompt": NOT_AN_APPLICATION}
        if again := asked(told):
            name = again[0].field.name
            first = {"field": collected.names.get(name, name), "rule": again[0].rule, "prompt": again[0].sentence}
    return _short(error=told["error"], message=told.get("message", ""), **first)


def _short(**texts: object) -> dict[str, str]:
    return {key: str(text).encode()[:LONGEST_TEXT].decode("utf-8", "ignore") for key, text in texts.items()}


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
