"""What every channel's payload becomes: an application, valid or refused, and where each of its values came from.

    payload → what it says of each field (`Sent`), by a channel's own reader → `collected` → Collected

A reader only takes its form of payload apart. Which field a key means, what a text is worth and whether it is valid is
the same for all: the names follow from the schema, the rules are those of every application.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic_core import to_json

from preprocessing.channels.json_body import Unreadable
from preprocessing.channels.names import field_called
from preprocessing.channels.numbers import AMBIGUOUS
from preprocessing.channels.values import Reading, value_of
from preprocessing.decode import judged
from preprocessing.encode import Row
from preprocessing.errors import LONGEST_NAME_REPEATED, InvalidApplication, MalformedBody, Problem
from preprocessing.fields import Field

MOST_UNUSED = 100  # keys of a payload that mean no field, and are named in the record
LOW_CONFIDENCE = 0.9  # of whoever read a value off paper, or heard it; below it a person should look
_AMBIGUOUS = "{label} can be read as two numbers; write it without a separator for thousands"
_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_NO_READINGS: Mapping[str, Reading] = MappingProxyType({})


class Payload(NamedTuple):
    """What came: its bytes, its media type in lower case with parameters, and the caller's language ("" or "de-CH")."""

    body: bytes
    media_type: str
    language: str = ""


class Sent(NamedTuple):
    """What a payload says of something: `key` as its sender knows it, `value` as JSON has it.

    `confidence` is between 0 and 1 where somebody has read or heard it for us.
    """

    key: str
    value: object
    confidence: float | None = None


class Collected(NamedTuple):
    """A payload as an application. `form` is what it was, `sha256` its hash.

    `sent` is what it says of each field, by the field's name; `unused` are the keys that mean none. `names` is what the
    sender calls a field, where that is not the schema's name. `unsure` are the fields whose values were read with too
    little confidence. `context` is what the form's answer needs of the payload.
    """

    form: str
    sha256: str
    row: Row
    sent: Mapping[str, tuple[str, object, float | None]] = MappingProxyType({})
    unused: tuple[str, ...] = ()
    names: Mapping[str, str] = _NO_NAMES
    unsure: tuple[str, ...] = ()
    context: Any = None

    def source(self) -> bytes:
        """What is recorded of it, as a JSON object."""
        fields = {
            name: {"key": key, "value": value} | ({} if confidence is None else {"confidence": confidence})
            for name, (key, value, confidence) in self.sent.items()
        }
        unsure = {"unsure": self.unsure} if self.unsure else {}
        return to_json({"form": self.form, "sha256": self.sha256, "fields": fields, "unused": self.unused, **unsure})

    def check(self) -> None:
        """MalformedBody where the payload is no JSON at all."""
        if isinstance(self.row, InvalidApplication) and self.row.detail[0].rule == "json":
            raise MalformedBody(self.row.detail[0].message)

    def called(self, detail: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
        """An error's detail, with fields called as the sender knows them."""
        return [
            {**problem, "field": self.names.get(problem["field"], problem["field"])[:LONGEST_NAME_REPEATED]}
            for problem in detail
        ]


def collected(
    form: str,
    payload: bytes,
    said: Iterable[tuple[str, object, float | None]],
    reading: Reading,
    *,
    names: Mapping[str, str] = _NO_NAMES,
    least: float = LOW_CONFIDENCE,
    context: Any = None,
    called: Callable[[str], Field | None] = field_called,
    readings: Mapping[str, Reading] = _NO_READINGS,
) -> Collected:
    """The application that `said` describes; refused if it breaks a rule, or if two things are said of one field.

    `names` is what the sender would call fields that it says nothing of, `called` which field a key of its means,
    `readings` how the values of some keys are read where that is not as all others.
    """
    sent: dict[str, tuple[str, object, float | None]] = {}
    values: dict[str, object] = {}
    keys, unused, doubts, unsure = dict(names), [], {}, []
    for one in said:
        key, value, confidence = one
        meant = called(key)
        if meant is None:
            unused.append(key[:LONGEST_NAME_REPEATED])
            continue
        name = meant.name
        if name in sent:
            doubts[name] = Problem(name, "duplicate", f"{meant.kind.label} was sent more than once")
            continue
        sent[name], keys[name] = one, key
        worth = value_of(meant, value, readings.get(key, reading))
        if worth is AMBIGUOUS:
            doubts[name] = Problem(name, "ambiguous", _AMBIGUOUS.format(label=meant.kind.label))
        if worth is not None:  # an empty box on a form is a missing value, and no wrong one
            values[name] = worth
        if confidence is not None and confidence < least:
            unsure.append(name)
    row = judged(values)
    if doubts:
        others = row.detail if isinstance(row, InvalidApplication) else ()
        row = InvalidApplication([*doubts.values(), *[other for other in others if other.field not in doubts]])
    return Collected(form, _hash(payload), row, sent, tuple(unused[:MOST_UNUSED]), keys, tuple(unsure), context)


def no_application(form: str, payload: bytes, why: Unreadable | str, context: Any = None) -> Collected:
    """A payload that cannot be one of its form at all; a text says what it should be."""
    if isinstance(why, Unreadable):
        problem = Problem(why.key[:LONGEST_NAME_REPEATED], "duplicate" if why.key else "json", why.message)
    else:
        problem = Problem("", "payload", why)
    return Collected(form, _hash(payload), InvalidApplication([problem]), context=context)


def _hash(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
