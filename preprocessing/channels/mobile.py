"""The mobile app: a JSON object with the fields in camelCase, and the version of the app that sends it.

    {"appVersion": "2.4.1", "monthlyIncome": 129, ...}

An app that nobody has updated sends the names of its time, which the schema's `before` has.
"""

import re
import sys
from collections.abc import Callable
from functools import lru_cache

from preprocessing.channels.collected import Collected, Payload, collected, no_application
from preprocessing.channels.json_body import Unreadable, parsed
from preprocessing.channels.names import camel, field_called
from preprocessing.channels.spelling import plain
from preprocessing.channels.values import Reading
from preprocessing.encode import FIELDS
from preprocessing.fields import Field

FORM = "mobile"
VERSION = "appVersion"
_NEWEST = (sys.maxsize,)
_LONGEST_VERSION = 32
_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)", re.ASCII)
_NAMES = {field.name: camel(field.name) for field in FIELDS}
_BEFORE = [
    (tuple(map(int, version.split("."))), plain(name), field)
    for field in FIELDS
    for version, name in field.kind.before.items()
]


def read(payload: Payload, least: float) -> Collected:
    """A payload of the app as an application."""
    said = parsed(payload.body)
    if isinstance(said, Unreadable):
        return no_application(FORM, payload.body, said)
    if not isinstance(said, dict):
        return no_application(FORM, payload.body, "this must be a JSON object with the fields of one application")
    version = said.get(VERSION)
    return collected(
        FORM,
        payload.body,
        [(key, value, None) for key, value in said.items()],
        Reading(payload.language),
        names=_NAMES,
        least=least,
        called=_called_by(version[:_LONGEST_VERSION] if isinstance(version, str) else ""),
    )


@lru_cache(64)
def _called_by(version: str) -> Callable[[str], Field | None]:
    """Which field a key of that version means; what is no version is the newest."""
    found = _VERSION.match(version)
    number = tuple(map(int, found[1].split("."))) if found else _NEWEST
    earlier = {name: field for until, name, field in _BEFORE if number < until}
    if not earlier:
        return field_called
    return lambda key: earlier.get(plain(key)) or field_called(key)
