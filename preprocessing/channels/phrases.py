"""What a dialogue says to the person in it, and what it asks again.

The tier is not among it: the bot or the flow has it and decides what an applicant is told.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from preprocessing.channels.names import yes_and_no
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication, MalformedBody
from preprocessing.fields import Category, Field

RECEIVED = "Thank you, that is everything we need. Your application has been received."
LATER = "Sorry, something went wrong on our side. Please try again later."
NOT_AN_APPLICATION = "Sorry, I can only help with applications here."
NOT_CONFIRMED = "All right, your application has not been sent."
CANNOT_ASK = "Sorry, I cannot take your application here. Please contact us in another way."
_BY_RULE = {
    "required": "What is still missing: {label}. It must be {rule}.",
    "ambiguous": "{label} can be read as two numbers. Please give it again, without a separator for thousands.",
    "duplicate": "There is more than one answer for {label}. Please give it once: {rule}.",
}
_WRONG = "{label} must be {rule}."
_FIELD = {field.name: field for field in FIELDS}
_ORDER = {field.name: place for place, field in enumerate(FIELDS)}


class Asked(NamedTuple):
    """A field that has to be asked for (again), the rule that its value breaks, and the sentence that asks."""

    field: Field
    rule: str
    sentence: str


def is_refusal(told: Mapping[str, Any]) -> bool:
    """Whether what was told is about what was sent, and not about us."""
    return told.get("error") in (InvalidApplication.code, MalformedBody.code)


def asked(told: Mapping[str, Any]) -> list[Asked]:
    """What has to be asked after a refusal: each field once, the required ones first, in the schema's order."""
    rules: dict[str, str] = {}
    for problem in told.get("detail", ()):
        if problem["field"] in _FIELD:
            rules.setdefault(problem["field"], problem["rule"])
    names = sorted(rules, key=lambda name: (not _FIELD[name].required, _ORDER[name]))
    return [Asked(_FIELD[name], rules[name], _sentence(_FIELD[name], rules[name])) for name in names]


def _sentence(field: Field, rule: str) -> str:
    return _BY_RULE.get(rule, _WRONG).format(label=field.kind.label, rule=in_words(field))


def in_words(field: Field) -> str:
    """What a valid value looks like, in words that can be read out."""
    kind = field.kind
    if not isinstance(kind, Category):
        return kind.rule
    return "yes or no" if yes_and_no(kind) else "one of these: " + ", ".join(kind.values.values())
