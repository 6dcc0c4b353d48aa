"""JSON read into columns against the record path: the same verdicts, the same errors, the same bits of the matrix."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocessing import json_columns
from preprocessing.decode import decode_batch, decode_lines
from preprocessing.encode import FIELDS, Batch, encode
from preprocessing.errors import BatchTooLarge, RisklineError
from preprocessing.fields import Number
from preprocessing.json_columns import read_batch, read_lines
from tests.generated import (
    CATEGORY,
    EXAMPLE,
    NUMBER,
    OPTIONAL,
    anything,
    doubtful_applications,
    invalid_value,
    valid_applications,
    valid_value,
)

BROKEN = next(field for field in FIELDS if isinstance(field.kind, Number) and not field.kind.whole)
MOST_ROWS = 4
# JSON texts, and what only looks like them, for any value
ODD_TEXTS = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "0e9", "01", "1.", ".5", "+1", "1E2",
    "1e+2", "9" * 30, "9" * 400, "12345678901234567890", "9007199254740993", "0x10", "1_0", "true", "false", "null",
    '"null"', '"9"', '""', '"\\ud800"', '"\\u0041"', '"a:b"', '"\\""', '"é"', "[]", "{}", "[[[1]]]", '{"a": 1}', "",
    '"' + "\\u006e" + 'o"', "1 2", "[" * 5000,
]  # fmt: skip


def valid_text(name: str) -> st.SearchStrategy[str]:
    field = next(field for field in FIELDS if field.name == name)
    return (valid_value(field) | valid_value(field) | invalid_value(field) | st.none()).map(json.dumps)


def pair(name: str) -> st.SearchStrategy[str]:
    spelt = st.sampled_from([f'"{name}"'] * 9 + [f'"\\u{ord(name[0]):04x}{name[1:]}"', f'"{name} "', name])
    gap = st.sampled_from([":"] * 6 + [" : ", ":\n\t", "::", ""])
    return st.builds("{}{}{}".format, spelt, gap, valid_text(name) | valid_text(name) | st.sampled_from(ODD_TEXTS))


valid_rows = valid_applications.map(json.dumps)
doubtful_rows = doubtful_applications.map(json.dumps)
# a valid row with one pair more: a key that comes twice, an odd number, an escape, an unknown field
odd_rows = st.builds(
    "{{{}, {}}}".format,
    valid_applications.map(lambda application: json.dumps(application)[1:-1]),
    st.sampled_from([field.name for field in FIELDS] + ["other"]).flatmap(
        lambda name: pair(name) if name != "other" else st.just('"other": 1')
    ),
)
rows = valid_rows | valid_rows | doubtful_rows | odd_rows | anything.map(json.dumps)
envelopes = st.sampled_from(
    ['{"applications": [@]}'] * 12
    + [
        '{"applications":[@]} ', '\ufeff{"applications": [@]}', '{"applications": [@]}x', '{"applications": [@]}\0',
        '{"applications": [@,]}', "[@]", "@",
        '{"rows": [@]}', '{"applications": [@], "rows": 1}', '{"applications": null}',
        '{"applications": [@], "applications": [@]}', '{"applications": [], "applications": [@]}',
        '{"applic\\u0061tions": [@]}', '{"applications": {@}}',
    ]
)  # fmt: skip
bodies = st.builds(
    lambda envelope, gap, rows: envelope.replace("@", gap.join(rows)).encode(),
    envelopes,
    st.sampled_from([",", ", ", " ,\n", ",,", " "]),
    st.lists(rows, max_size=MOST_ROWS + 1),
)
harmed = st.builds(
    lambda body, at, cut, put: body[: at % (len(body) + 1)] + put + body[at % (len(body) + 1) + cut :],
    bodies,
    st.integers(0, 10_000),
    st.integers(0, 2),
    st.binary(max_size=2) | st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\", b'"', b"\x00", b"e5", b","]),
)


def outcome(read: Callable[[], Batch]) -> object:
    """Everything that an answer can depend on, bits of zeros and NaN included."""
    try:
        batch = read()
    except RisklineError as error:
        return type(error), error.message, error.detail
    refused = {row: (error.message, error.detail) for row, error in batch.refused.items()}
    return batch.matrix.shape, batch.matrix.tobytes(), refused


def same_as_records(body: bytes, most_rows: int | None = MOST_ROWS) -> object:
    by_record = outcome(lambda: encode(decode_batch(body, most_rows)))
    assert outcome(lambda: read_batch(body, most_rows)) == by_record
    return by_record


@settings(max_examples=400)
@given(bodies | harmed)
@example(b"")
@example(b'{"applications": []}')
@example(b"[" * 100_000)
@example(b'{"applications":' + b"[" * 100_000)
@example(('{"applications": [{"' + "x" * 10_000 + '": 1}]}').encode())
def test_whatever_is_sent_the_outcome_is_that_of_the_record_path(body: bytes) -> None:
    same_as_records(body)


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("name", [NUMBER.name, BROKEN.name, CATEGORY.name, OPTIONAL.name])
def test_odd_values_have_the_outcome_of_the_record_path(name: str, text: str) -> None:
    odd = json.dumps({**EXAMPLE, name: "@"}).replace('"@"', text)
    twice = json.dumps({**EXAMPLE, "@": 0}).replace('"@": 0', f'"{name}": {text}')
    for row in (odd, twice):
        same_as_records(f'{{"applications": [{json.dumps(EXAMPLE)}, {row}]}}'.encode())


@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from(["", " ", "x", ","]))
def test_lines_have_the_outcome_of_the_record_path(rows: list[str], end: str) -> None:
    lines = [row.replace("\n", " ").strip().encode() + end.encode() for row in rows]
    assert outcome(lambda: read_lines(lines)) == outcome(lambda: encode(decode_lines(lines)))


def decimal_texts() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=1, max_size=40)
    whole = st.integers(0, int(BROKEN.kind.high) - 1 if isinstance(BROKEN.kind, Number) else 0)
    plain = st.builds("{}.{}".format, whole, digits)
    scientific = st.builds("{}.{}e{}".format, st.integers(0, 9), digits, st.integers(-330, 3))
    return plain | scientific | st.floats(0, 9_999, allow_subnormal=True).map(repr)


@settings(max_examples=200)
@given(st.lists(decimal_texts(), min_size=20, max_size=200))
def test_a_decimal_becomes_the_same_bits_as_in_the_record_path(texts: list[str]) -> None:
    application = json.dumps({**EXAMPLE, BROKEN.name: "@"})
    rows = ", ".join(application.replace('"@"', text) for text in texts)
    body = f'{{"applications": [{rows}]}}'.encode()
    same_as_records(body, None)
    assert not read_batch(body).refused


def without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Any:
        raise AssertionError("this should not take the record path")

    monkeypatch.setattr(json_columns, "decode_batch", never)
    monkeypatch.setattr(json_columns, "decode_lines", never)


def test_ordinary_bodies_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    without_records(monkeypatch)
    absent = {name: value for name, value in EXAMPLE.items() if name != OPTIONAL.name}
    applications = [EXAMPLE, absent, {**EXAMPLE, OPTIONAL.name: None}]
    refused = [{**EXAMPLE, NUMBER.name: -1}, {**EXAMPLE, CATEGORY.name: "?"}, {}]
    assert not read_batch(json.dumps({"applications": applications}).encode()).refused
    assert list(read_batch(json.dumps({"applications": applications + refused}).encode()).refused) == [3, 4, 5]
    assert len(read_lines([json.dumps(application).encode() for application in applications]).matrix) == 3


def test_a_null_in_any_optional_field_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    without_records(monkeypatch)
    nulls = {**EXAMPLE, **{field.name: None for field in FIELDS if not field.required}}
    left_out = {field.name: EXAMPLE[field.name] for field in FIELDS if field.required}
    batch = read_batch(json.dumps({"applications": [nulls, left_out, EXAMPLE]}).encode())
    assert not batch.refused
    assert batch.matrix[0].tobytes() == batch.matrix[1].tobytes() != batch.matrix[2].tobytes()


def test_too_many_rows_are_refused_before_any_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    without_records(monkeypatch)
    monkeypatch.setattr(json_columns, "judge", without_records)
    with pytest.raises(BatchTooLarge):
        read_batch(json.dumps({"applications": [EXAMPLE] * (MOST_ROWS + 1)}).encode(), MOST_ROWS)
