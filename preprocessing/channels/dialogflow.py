"""Dialogflow CX: the request that an agent sends its webhook, and the answer for its session.

    {"sessionInfo": {"parameters": {"monthly-income": 129, "term": {"amount": 5, "unit": "year"}, …}}, "pageInfo": …, …}

A parameter is a field by its name, whether a form has it or the session. What is wrong is emptied, in the form too, so
that the agent asks for it again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from preprocessing.channels.collected import Collected, Payload, collected, no_application
from preprocessing.channels.json_body import Unreadable, parsed
from preprocessing.channels.names import field_called
from preprocessing.channels.phrases import LATER, NOT_AN_APPLICATION, RECEIVED, asked, is_refusal
from preprocessing.channels.values import Reading

FORM = "dialogflow"
_NO_REQUEST = "this must be a webhook request of Dialogflow CX"
_OF_A_REQUEST = ("sessionInfo", "pageInfo", "fulfillmentInfo")
_UNSET = ("EMPTY", "INVALID")  # states of a form's parameter
_Said = tuple[str, object, bool]  # parameter, value, and whether that is a text that we have made, in English
_MACHINE = Reading("en")
_SCALARS = {float, int, str, bool}
_UNREADABLE = ()  # no field's value, whatever the field
# what the session keeps of an answer
_OURS = ("risk_tier", "risk_points", "risk_probability", "risk_reasons", "decision_id", "risk_error", "risk_fields")


class _Quantity(NamedTuple):
    """What Dialogflow makes of a duration, an age or a sum of money. The names are its own."""

    amount: object
    unit: object = None


_AMOUNT, _UNIT = _Quantity._fields
_WORTHS = (_AMOUNT, "original", "name")  # of a sum of money, and of a person


class _Request(NamedTuple):
    """What the answer needs of a request: which parameters the form has, and which the session."""

    form: frozenset[str]
    session: frozenset[str]


def read(payload: Payload, least: float) -> Collected:
    """The parameters of a form and its session as an application."""
    request = parsed(payload.body)
    if isinstance(request, Unreadable):
        return no_application(FORM, payload.body, request)
    if not isinstance(request, dict) or not any(part in request for part in _OF_A_REQUEST):
        return no_application(FORM, payload.body, _NO_REQUEST)
    session = _dict(_dict(request.get("sessionInfo")).get("parameters"))
    form, set_in_form = _form(_dict(_dict(request.get("pageInfo")).get("formInfo")).get("parameterInfo"))
    language = request.get("languageCode")
    unset = form - set_in_form.keys()
    meant = {name: field for name in (*session, *form) if (field := field_called(name))}
    said = list(_said(set_in_form, {name: value for name, value in session.items() if name not in unset}))
    return collected(
        FORM,
        payload.body,
        [(name, value, None) for name, value, _ in said],
        Reading(language if isinstance(language, str) else payload.language, spoken=True),
        names={field.name: name for name, field in meant.items()},
        least=least,
        readings={name: _MACHINE for name, _, is_made in said if is_made},
        context=_Request(form, frozenset(session)),
        called=meant.get,
    )


def _form(parameters: object) -> tuple[frozenset[str], dict[str, object]]:
    """The names of a form's parameters, and the values of those that are set."""
    found, names = {}, set()
    for parameter in parameters if isinstance(parameters, list) else ():
        name = _dict(parameter).get("displayName")
        if isinstance(name, str):
            names.add(name)
            if parameter.get("state") not in _UNSET and parameter.get("value") is not None:
                found[name] = parameter["value"]
    return frozenset(names), found


def _said(form: dict[str, object], session: dict[str, object]) -> Iterator[_Said]:
    """The form's parameters, then the session's, which has most of them too."""
    in_form = {name: _each(name, value) for name, value in form.items()}
    for said in in_form.values():
        yield from said
    for name, value in session.items():
        if (said := _each(name, value)) != in_form.get(name):
            yield from said


def _each(name: str, value: object) -> list[_Said]:
    """What a parameter says: one thing, or a list of them; the same twice is one."""
    if type(value) in _SCALARS:
        return [(name, value, False)] if value != "" else []
    said = [
        _worth(name, one) for one in (value if isinstance(value, list) else [value]) if one is not None and one != ""
    ]
    return said if len(said) < 2 else list(dict.fromkeys(said))


def _worth(name: str, value: object) -> _Said:
    """A parameter, which may be what Dialogflow has made of it: an amount of a unit or a currency, a name."""
    if isinstance(value, dict):
        amount, unit = value.get(_AMOUNT), value.get(_UNIT)
        if isinstance(amount, (int, float)) and isinstance(unit, str):
            return name, f"{amount} {unit}", True
        value = next((value[key] for key in _WORTHS if key in value), _UNREADABLE)
    return name, _UNREADABLE if isinstance(value, (dict, list)) else value, False


def answer(collected: Collected, told: Mapping[str, Any]) -> dict[str, object]:
    """What the agent says, and what its session and its form know afterwards."""
    session: dict[str, object] = dict.fromkeys(_OURS)
    if "error" not in told:
        session |= {
            "risk_tier": told.get("tier"),
            "risk_points": told.get("points"),
            "risk_probability": told.get("probability"),
            "risk_reasons": [reason["text"] for reason in told.get("reasons", ())],
            "decision_id": told.get("decision_id"),
        }
        return _answered(RECEIVED, session, "APPEND")
    session["risk_error"] = told["error"]
    request = collected.context
    if not isinstance(request, _Request) or not is_refusal(told):
        return _answered(LATER if not is_refusal(told) else NOT_AN_APPLICATION, session, "REPLACE")
    again = {collected.names.get(one.field.name, one.field.name): one for one in asked(told)}
    session["risk_fields"] = list(again)
    wrong = [name for name, one in again.items() if one.field.name in collected.sent]
    session |= dict.fromkeys([name for name in wrong if name in request.session])
    in_form: list[object] = [
        {"displayName": name, "state": "INVALID", "value": None} for name in wrong if name in request.form
    ]
    sentence = next((one.sentence for one in again.values()), NOT_AN_APPLICATION)
    page: dict[str, object] = {"pageInfo": {"formInfo": {"parameterInfo": in_form}}} if in_form else {}
    return _answered(sentence, session, "REPLACE") | page


def _answered(message: str, session: dict[str, object], merge: str) -> dict[str, object]:
    return {
        "fulfillmentResponse": {"messages": [{"text": {"text": [message]}}], "mergeBehavior": merge},
        "sessionInfo": {"parameters": session},
    }


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
