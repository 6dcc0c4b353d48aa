import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decode import RULES, decode_application, decode_batch, decode_lines
from preprocessing.encode import FIELDS, Row
from preprocessing.errors import InvalidApplication, InvalidBatch, MalformedBody, Problem
from preprocessing.schema import Application
from tests.generated import CATEGORY, EXAMPLE, NUMBER, anything, doubtful_applications, valid_applications


def refusal(body: bytes) -> InvalidApplication:
    [row] = decode_application(body)
    assert isinstance(row, InvalidApplication)
    return row


def with_text(name: str, text: str) -> bytes:
    """The example with one field's value replaced by raw JSON text."""
    rest = json.dumps({key: value for key, value in EXAMPLE.items() if key != name})
    return f'{rest[:-1]}, "{name}": {text}}}'.encode()


@given(valid_applications)
def test_a_valid_application_is_decoded_as_it_was_sent(application: dict[str, Any]) -> None:
    [row] = decode_application(json.dumps(application).encode())
    assert isinstance(row, Application)
    assert row.model_dump(exclude_unset=True) == application


@pytest.mark.parametrize(
    ("field", "text", "rule"),
    [
        (NUMBER.name, '"9"', "type"),
        (NUMBER.name, "true", "type"),
        (NUMBER.name, "[9]", "type"),
        (NUMBER.name, "null", "type"),
        (NUMBER.name, "9.5", "whole"),
        (NUMBER.name, "-1", "range"),
        (NUMBER.name, "1e9", "range"),
        (NUMBER.name, "NaN", "finite"),
        (NUMBER.name, "-Infinity", "finite"),
        (NUMBER.name, "1e999", "finite"),
        (NUMBER.name, "9" * 4000, "finite"),
        (CATEGORY.name, '"of gold"', "category"),
        (CATEGORY.name, "7", "category"),
        (CATEGORY.name, '""', "category"),
        ("shoe_size", "44", "unknown"),
        ("", "1", "unknown"),
        ("x" * 10_000, "1", "unknown"),
    ],
)
def test_a_broken_rule_is_named_with_its_field(field: str, text: str, rule: str) -> None:
    [problem] = refusal(with_text(field, text)).detail
    assert (problem.field, problem.rule) == (field[:64], rule)
    assert rule in RULES


def test_every_missing_required_field_is_named_at_once() -> None:
    required = [field.name for field in FIELDS if field.required]
    assert [(p.field, p.rule) for p in refusal(b"{}").detail] == [(name, "required") for name in required]


@given(doubtful_applications)
def test_a_refusal_never_repeats_a_value(application: dict[str, Any]) -> None:
    secret = "1234567.875"
    text = json.dumps({**application, NUMBER.name: "@"}).replace('"@"', secret)
    error = refusal(text.encode())
    assert secret not in repr(error) + repr(error.detail)


def test_ten_megabytes_of_text_are_refused_in_few_words() -> None:
    error = refusal(with_text(CATEGORY.name, '"' + "x" * 10_000_000 + '"'))
    assert len(repr(error.detail)) < 500


def test_a_thousand_unknown_fields_are_counted_and_only_some_told() -> None:
    body = {**EXAMPLE, **{f"extra{number}": 1 for number in range(1000)}}
    error = refusal(json.dumps(body).encode())
    assert "1000 problems" in error.message
    assert len(error.detail) == 50


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"text"', b"true", b"[{}]"])
def test_json_that_is_no_object_is_no_application(body: bytes) -> None:
    assert [(p.field, p.rule) for p in refusal(body).detail] == [("", "object")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a": 1}x',
        b"{'a': 1}",
        b"\xff\xfe{}",
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"a": "\xe4"}',
        b'{"a": "\\ud800"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"\x00",
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
)
def test_bytes_that_are_no_utf8_json_are_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode_application(body)
    with pytest.raises(MalformedBody):
        decode_batch(body)


@pytest.mark.parametrize("again", [f'"{NUMBER.name}": 9', f'"\\u{ord(NUMBER.name[0]):04x}{NUMBER.name[1:]}": 9'])
def test_a_field_sent_twice_is_refused_even_when_one_spelling_is_escaped(again: str) -> None:
    body = json.dumps(EXAMPLE)[:-1] + "," + again + "}"
    assert [(p.field, p.rule) for p in refusal(body.encode()).detail] == [(NUMBER.name, "duplicate")]


@given(st.lists(anything, max_size=6))
def test_each_row_of_a_batch_is_judged_as_if_it_came_alone(elements: list[Any]) -> None:
    rows = decode_batch(json.dumps({"applications": elements}).encode())
    alone = [decode_application(json.dumps(element).encode())[0] for element in elements]
    assert len(rows) == len(elements)
    for row, single in zip(rows, alone, strict=True):
        if isinstance(row, InvalidApplication):
            assert isinstance(single, InvalidApplication)
            assert (row.message, row.detail) == (single.message, single.detail)
        else:
            assert row == single


def test_a_field_sent_twice_costs_only_its_row() -> None:
    good = json.dumps(EXAMPLE)
    twice = good[:-1] + f', "{NUMBER.name}": 9}}'
    huge = "{" + f'"{NUMBER.name}": {"9" * 4000}' + "}"
    body = f'{{"applications": [{good}, {twice}, {huge}, {good}]}}'
    rows = decode_batch(body.encode())
    assert [isinstance(row, Application) for row in rows] == [True, False, False, True]
    assert isinstance(rows[1], InvalidApplication)
    assert [p.rule for p in rows[1].detail] == ["duplicate"]


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ("{}", "applications", "required"),
        ("[]", "", "type"),
        ('{"applications": {}}', "applications", "type"),
        ('{"applications": null}', "applications", "type"),
        ('{"applications": [], "more": 1}', "more", "unknown"),
        ('{"applications": [], "applications": []}', "applications", "duplicate"),
    ],
)
def test_a_wrong_envelope_is_an_error_of_the_whole_batch(body: str, field: str, rule: str) -> None:
    with pytest.raises(InvalidBatch) as caught:
        decode_batch(body.encode())
    assert [(p.field, p.rule) for p in caught.value.detail] == [(field, rule)]


def test_an_empty_batch_has_no_rows() -> None:
    assert decode_batch(b'{"applications": []}') == []


def verdicts(rows: list[Row]) -> list[object]:
    return [(row.message, row.detail) if isinstance(row, InvalidApplication) else row for row in rows]


def alone(line: str) -> object:
    try:
        return verdicts(decode_application(line.encode()))[0]
    except MalformedBody as error:
        return verdicts([InvalidApplication([Problem("", "json", error.message)])])[0]


broken_lines = st.sampled_from(['{"a":', "{", "]", '{"x":[{"y":1}', '{"z":1}]}', "1,2"])


@given(st.lists(anything.map(json.dumps) | broken_lines, max_size=6))
def test_each_json_line_is_judged_as_if_it_came_alone(lines: list[str]) -> None:
    rows = decode_lines([line.encode() for line in lines])
    assert verdicts(rows) == [alone(line) for line in lines]


def test_lines_that_would_only_make_sense_together_are_each_refused() -> None:
    good = json.dumps(EXAMPLE).encode()
    lines = [b'{"x":[{"q":1}', b'{"z":1}]}', good + b"," + good]
    assert all(isinstance(row, InvalidApplication) for row in decode_lines(lines))
    assert [isinstance(row, Application) for row in decode_lines([good, good])] == [True, True]
