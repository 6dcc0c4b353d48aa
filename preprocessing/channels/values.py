"""What a value is worth that a channel sends as a text or as JSON: a number, a word of the schema, or nothing.

What it cannot be is left as it came, so that the schema's own rules refuse it, in their own words.
"""

from typing import NamedTuple

from preprocessing.channels.names import word_called, yes_and_no
from preprocessing.channels.numbers import Ambiguous, number
from preprocessing.channels.spelling import NOTHING
from preprocessing.fields import Category, Field


class Reading(NamedTuple):
    """How texts are to be read: in which language ("" where nobody knows), and whether numbers may be in words."""

    language: str = ""
    spoken: bool = False


def value_of(field: Field, value: object, reading: Reading) -> object:
    """What `value` means for the field: a float, a word, None for nothing; AMBIGUOUS; else `value` itself."""
    kind = field.kind
    if isinstance(kind, Category):
        if isinstance(value, str):
            return value if value in kind.values else word_called(field.name, value) or _or_nothing(value)
        return yes_and_no(kind).get(value, value) if isinstance(value, bool) else value
    if isinstance(value, str):
        found: float | Ambiguous | None = number(value, reading.language, kind.unit, kind.whole, reading.spoken)
        return _or_nothing(value) if found is None else found
    return _as_float(value) if type(value) is int else value


def _or_nothing(text: str) -> str | None:
    return None if text.strip().casefold() in NOTHING else text


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")
