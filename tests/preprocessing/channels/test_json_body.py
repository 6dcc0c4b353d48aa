"""JSON that channels send: taken as it is, or unreadable with a reason; never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.channels.json_body import Unreadable, parsed

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_whatever_is_json_is_taken_as_it_is(value: Any, ascii_only: bool) -> None:
    assert parsed(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == value


@given(st.binary(max_size=60))
def test_bytes_never_raise(body: bytes) -> None:
    parsed(body)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b"1" * 5000, b'{"a":1}x', '{"a":1}'.encode("utf-16")]
)
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    assert isinstance(parsed(body), Unreadable)


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'{"b":{"a": 1, "\\u0061": 2}}', b'[{"a":1,"x":":","a":2}]'])
def test_a_key_that_comes_twice_is_named(body: bytes) -> None:
    found = parsed(body)
    assert isinstance(found, Unreadable)
    assert found.key == "a"
