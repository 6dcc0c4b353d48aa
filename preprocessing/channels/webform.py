"""A web form, as browsers send it: application/x-www-form-urlencoded or multipart/form-data.

Everything is a text. Numbers are read in the language that an input `language` names, else in the browser's. A browser
says nothing of a box that is not ticked; there are two ways to tell that from a question nobody asked:

    <input type="hidden" name="records" value="no"> <input type="checkbox" name="records" value="yes">
    <input type="hidden" name="checkbox" value="records"> <input type="checkbox" name="records">
"""

import email
from collections.abc import Iterator
from email.message import Message
from urllib.parse import parse_qsl

from preprocessing.channels.collected import Collected, Payload, Sent, collected, no_application
from preprocessing.channels.names import field_called, word_called, yes_and_no
from preprocessing.channels.values import Reading
from preprocessing.fields import Category, Field

FORM = "webform"
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MOST_INPUTS = 1000
LANGUAGE, CHECKBOX = "language", "checkbox"  # unless a field is called so


def read(payload: Payload, least: float) -> Collected:
    """A form as an application."""
    is_multipart = payload.media_type.partition(";")[0].strip().lower() == MULTIPART
    inputs = list(_parts(payload) if is_multipart else _pairs(payload))
    if not inputs or len(inputs) > MOST_INPUTS:
        return no_application(
            FORM, payload.body, f"this must be a form of one application, with 1 to {MOST_INPUTS} inputs"
        )
    given: dict[str, list[str]] = {}
    for key, value in inputs:
        given.setdefault(key, []).append(value)
    language = _own(given, LANGUAGE)[:1] or [payload.language]
    unticked = [key for key in _own(given, CHECKBOX) if key not in given]
    return collected(
        FORM,
        payload.body,
        [
            *(Sent(key, value) for key, values in given.items() for value in _ticked(key, values)),
            *(Sent(key, False) for key in unticked),
        ],
        Reading(language[0]),
        least=least,
    )


def _pairs(payload: Payload) -> list[tuple[str, str]]:
    try:
        text = payload.body.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_INPUTS)
    except ValueError:  # too many
        return []


def _parts(payload: Payload) -> Iterator[tuple[str, str]]:
    """The inputs of a multipart form, of files the name alone."""
    head = f"Content-Type: {payload.media_type}\r\n\r\n".encode("latin-1", "replace")
    parts = email.message_from_bytes(head + payload.body).get_payload()
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, Message):
            continue
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        value = part.get_payload(decode=True)
        is_file = part.get_filename() is not None
        yield name, value.decode("utf-8", "replace") if isinstance(value, bytes) and not is_file else ""


def _own(given: dict[str, list[str]], name: str) -> list[str]:
    """What an input says that is the form's own, and no field."""
    return given.get(name, []) if field_called(name) is None else []


def _ticked(key: str, values: list[str]) -> list[str]:
    """The values of an input, where a box and what is hidden behind it count as one."""
    kind = found.kind if (found := field_called(key)) else None
    if len(values) == 2 and found and isinstance(kind, Category) and (words := yes_and_no(kind)):
        hidden, ticked = (_word(found, value) for value in values)
        if (hidden, ticked) == (words[False], words[True]):
            return values[1:]
    return values


def _word(field: Field, value: str) -> str | None:
    return word_called(field.name, value)
