"""Web forms: urlencoded and multipart, localised numbers, boxes that are not ticked, files, and whatever else comes."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.channel_payloads import write_multipart, write_webform
from preprocessing.channels.collected import LOW_CONFIDENCE, Collected, Payload
from preprocessing.channels.names import yes_and_no
from preprocessing.channels.webform import CHECKBOX, LANGUAGE, URLENCODED, read
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category, Number
from preprocessing.schema import Application
from tests.generated import EXAMPLE, writable_applications

BOUNDARY = "multipart/form-data; boundary=AaB03x"
BOX = next(field for field in FIELDS if isinstance(field.kind, Category) and yes_and_no(field.kind))
BROKEN = next(field for field in FIELDS if isinstance(field.kind, Number) and not field.kind.whole)


def collected(body: bytes | dict[str, Any] | list[tuple[str, Any]], media_type: str = URLENCODED) -> Collected:
    sent = body if isinstance(body, bytes) else urlencode(body).encode()
    return read(Payload(sent, media_type), LOW_CONFIDENCE)


def problems(found: Collected) -> list[tuple[str, str]]:
    assert isinstance(found.row, InvalidApplication)
    return [(problem.field, problem.rule) for problem in found.row.detail]


@given(writable_applications)
def test_an_application_reads_back_as_it_was_written(values: dict[str, Any]) -> None:
    assert collected(write_webform(values)).row == Application(**values)
    body, media_type = write_multipart(values)
    assert collected(body, media_type).row == Application(**values)


@given(
    st.binary(max_size=200),
    st.sampled_from([URLENCODED, BOUNDARY, "multipart/form-data", "multipart/form-data; boundary=\xff"]),
)
@example(b"--AaB03x\r\nContent-Disposition: form-data; name*=x''%ff\r\n\r\n1\r\n--AaB03x--", BOUNDARY)
@example(
    b"--AaB03x\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=a\r\n\r\n!\r\n--AaB03x--",
    BOUNDARY,
)
@example(b"a=" + b"&a=" * 2000, URLENCODED)
def test_any_bytes_are_read_or_refused(body: bytes, media_type: str) -> None:
    json.loads(collected(body, media_type).source())


@given(st.data())
def test_a_damaged_form_is_read_or_refused(data: st.DataObject) -> None:
    body, media_type = write_multipart(EXAMPLE)
    place = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:place] + data.draw(st.binary(max_size=4)) + body[place + data.draw(st.integers(0, 4)) :]
    json.loads(collected(damaged, media_type).source())


@pytest.mark.parametrize(("language", "worth"), [("de", 1200.0), ("en-GB", 1.2), ("de-CH", 1.2), ("fr", 1200.0)])
def test_the_forms_language_says_what_a_separator_means(language: str, worth: float) -> None:
    row = collected({**EXAMPLE, BROKEN.name: "1.200", LANGUAGE: language}).row
    assert getattr(row, BROKEN.name) == worth


def test_a_number_that_may_be_two_is_not_guessed() -> None:
    assert problems(collected({**EXAMPLE, BROKEN.name: "1.200"})) == [(BROKEN.name, "ambiguous")]


def test_a_box_and_what_is_hidden_behind_it_count_as_one() -> None:
    yes, no = (yes_and_no(BOX.kind)[is_yes] for is_yes in (True, False)) if isinstance(BOX.kind, Category) else ("", "")
    others = [(name, value) for name, value in EXAMPLE.items() if name != BOX.name]
    assert getattr(collected([*others, (BOX.name, no), (BOX.name, "on")]).row, BOX.name) == yes
    assert getattr(collected([*others, (BOX.name, no)]).row, BOX.name) == no
    assert getattr(collected([*others, (CHECKBOX, BOX.name)]).row, BOX.name) == no
    assert getattr(collected([*others, (CHECKBOX, BOX.name), (BOX.name, "on")]).row, BOX.name) == yes
    assert problems(collected(others)) == [(BOX.name, "required")]
    for twice in ((yes, no), (yes, yes), (no, yes, yes)):
        assert problems(collected([*others, *((BOX.name, value) for value in twice)])) == [(BOX.name, "duplicate")]


def test_a_file_is_named_and_not_read() -> None:
    body, media_type = write_multipart(EXAMPLE)
    file = b'--%s\r\nContent-Disposition: form-data; name="payslip"; filename="a.pdf"\r\n\r\n\xff\x00\r\n'
    boundary = media_type.partition("boundary=")[2].encode()
    found = collected(file % boundary + body, media_type)
    assert found.unused == ("payslip",)
    assert found.row == Application(**EXAMPLE)


@pytest.mark.parametrize("body", [b"", b"&&&", "&".join(f"a{n}=1" for n in range(1001)).encode()])
def test_what_is_no_form_of_an_application_says_so(body: bytes) -> None:
    assert problems(collected(body)) == [("", "payload")]
