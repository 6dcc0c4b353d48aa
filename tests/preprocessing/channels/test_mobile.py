"""The app's JSON: names of its version, two values for one field, and whatever else comes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.channel_payloads import write_mobile
from preprocessing.channels.collected import LOW_CONFIDENCE, Collected, Payload
from preprocessing.channels.mobile import VERSION, read
from preprocessing.channels.names import camel
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.schema import Application
from tests.generated import EXAMPLE, NUMBER, valid_applications
from tests.preprocessing.channels.test_json_body import json_values

OLD = next((field, version, name) for field in FIELDS for version, name in field.kind.before.items())


def collected(body: bytes) -> Collected:
    return read(Payload(body, "application/json"), LOW_CONFIDENCE)


def problems(body: Any) -> list[tuple[str, str]]:
    row = collected(json.dumps(body).encode()).row
    assert isinstance(row, InvalidApplication)
    return [(problem.field, problem.rule) for problem in row.detail]


@given(valid_applications)
def test_an_application_reads_back_as_it_was_written(values: dict[str, Any]) -> None:
    assert collected(write_mobile(values)).row == Application(**values)


@given(json_values | st.dictionaries(st.sampled_from([*map(camel, EXAMPLE), VERSION]), json_values))
def test_any_json_is_read_or_refused(value: Any) -> None:
    found = collected(json.dumps(value).encode("utf-8", "surrogatepass"))
    json.loads(found.source())


@pytest.mark.parametrize(("version", "knows"), [("1.9.3", True), ("1", True), ("v1.4-beta", True), ("2.0", False)])
def test_an_old_name_counts_for_the_versions_that_had_it(version: str, knows: bool) -> None:
    field, until, name = OLD
    assert until == "2.0"
    sent = {VERSION: version, **EXAMPLE}
    sent[name] = sent.pop(field.name)
    found = collected(json.dumps(sent).encode())
    assert (found.row == Application(**EXAMPLE)) is knows
    assert (name in found.unused) is not knows


def test_an_app_that_says_no_version_is_the_newest() -> None:
    field, _, name = OLD
    for version in ({}, {VERSION: 1}, {VERSION: "beta"}, {VERSION: None}):
        assert name in collected(json.dumps({**version, **EXAMPLE, name: 1}).encode()).unused
        assert field.name in collected(json.dumps({**version, **EXAMPLE}).encode()).sent


def test_two_values_for_one_field_are_refused_once() -> None:
    both = {**EXAMPLE, NUMBER.kind.label: 1, NUMBER.name.upper(): 2}
    assert problems(both) == [(NUMBER.name, "duplicate")]


def test_a_missing_field_is_called_as_the_app_calls_it() -> None:
    sent = {name: value for name, value in EXAMPLE.items() if name != NUMBER.name}
    found = collected(json.dumps(sent).encode())
    assert problems(sent) == [(NUMBER.name, "required")]
    assert found.names[NUMBER.name] == camel(NUMBER.name)


def test_what_is_no_application_at_all_says_so() -> None:
    assert problems([]) == [("", "payload")]
    assert problems({})[0][1] == "required"


def test_the_source_has_each_value_as_it_came() -> None:
    body = json.dumps({**EXAMPLE, NUMBER.name: f" {EXAMPLE[NUMBER.name]} "}).encode()
    source = json.loads(collected(body).source())
    assert source["fields"][NUMBER.name] == {"key": NUMBER.name, "value": f" {EXAMPLE[NUMBER.name]} "}
