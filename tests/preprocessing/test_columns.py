"""The columns' rules against the records' rules: the same verdicts, the same matrix."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.columns import check_header, encode_table, encode_text
from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS, Batch, encode
from preprocessing.errors import InvalidApplication, InvalidBatch
from preprocessing.fields import Number
from tests.generated import CATEGORY, EXAMPLE, NUMBER, doubtful_applications, valid_applications

APPLICATIONS = st.lists(valid_applications | doubtful_applications, min_size=1, max_size=5)


def present(application: dict[str, Any]) -> dict[str, Any]:
    """A missing value and a null are one thing in a column: a record leaves both out."""
    return {name: value for name, value in application.items() if value is not None}


def as_records(applications: list[dict[str, Any]]) -> Batch:
    return encode([decode_application(json.dumps(present(application)).encode())[0] for application in applications])


def as_table(applications: list[dict[str, Any]]) -> pa.Table:
    return pa.table(
        {
            field.name: pa.array(
                [application.get(field.name) for application in applications],
                pa.float64() if isinstance(field.kind, Number) else pa.string(),
            )
            for field in FIELDS
        }
    )


def verdicts(batch: Batch) -> dict[int, object]:
    return {row: (refused.message, refused.detail) for row, refused in batch.refused.items()}


def same(one: Batch, other: Batch) -> None:
    assert verdicts(one) == verdicts(other)
    np.testing.assert_array_equal(one.matrix, other.matrix)


@given(APPLICATIONS)
def test_columns_and_records_come_to_the_same_verdicts_and_the_same_matrix(applications: list[dict[str, Any]]) -> None:
    same(encode_table(as_table(applications)), as_records(applications))


@given(APPLICATIONS)
def test_text_and_records_come_to_the_same_verdicts_and_the_same_matrix(applications: list[dict[str, Any]]) -> None:
    # an empty word and infinity have no text of their own in a CSV
    applications = [
        {n: v for n, v in present(a).items() if v != "" and v not in (np.inf, -np.inf)} for a in applications
    ]
    text = as_table(applications)
    for position, field in enumerate(FIELDS):
        if isinstance(field.kind, Number):
            cells = [None if (v := a.get(field.name)) is None else repr(v) for a in applications]
            text = text.set_column(position, field.name, pa.array(cells, pa.string()))
    same(encode_text(text), as_records(applications))


@pytest.mark.parametrize(
    "type_", [pa.int8(), pa.int64(), pa.uint16(), pa.float32(), pa.float64(), pa.decimal128(12, 3)]
)
def test_a_number_may_come_in_any_type_of_number(type_: Any) -> None:
    table = as_table([EXAMPLE, EXAMPLE])
    position = table.schema.names.index(NUMBER.name)
    typed = table.set_column(position, NUMBER.name, pa.array([EXAMPLE[NUMBER.name]] * 2, type_))
    same(encode_table(typed), as_records([EXAMPLE, EXAMPLE]))


def test_a_word_may_come_as_dictionary_or_large_string_and_nan_is_a_missing_number() -> None:
    optional = next(f for f in FIELDS if isinstance(f.kind, Number) and not f.required)
    table = as_table([EXAMPLE, {**EXAMPLE, CATEGORY.name: None}])
    for cast in (table[CATEGORY.name].dictionary_encode(), table[CATEGORY.name].cast(pa.large_string())):
        typed = table.set_column(table.schema.names.index(CATEGORY.name), CATEGORY.name, cast)
        same(encode_table(typed), encode_table(table))
    nan = table.set_column(table.schema.names.index(optional.name), optional.name, pa.array([np.nan, np.nan]))
    without = table.set_column(table.schema.names.index(optional.name), optional.name, pa.nulls(2, pa.float64()))
    same(encode_table(nan), encode_table(without))


def with_column(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.names.index(name), name, column)


def test_a_word_may_come_as_bytes() -> None:
    rows = [EXAMPLE, {**EXAMPLE, CATEGORY.name: None}, {**EXAMPLE, CATEGORY.name: "no such word"}]
    table = as_table(rows)
    for type_ in (pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.binary())):
        same(encode_table(with_column(table, CATEGORY.name, table[CATEGORY.name].cast(type_))), as_records(rows))


def test_a_dictionary_may_have_nulls_unused_words_and_more_words_than_rows() -> None:
    words = pa.array([None, EXAMPLE[CATEGORY.name], "unused", "no such word", *(f"unused {n}" for n in range(10))])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 3, 1], pa.int8()), words)
    rows = [{**EXAMPLE, CATEGORY.name: word} for word in column.to_pylist()]
    table = with_column(as_table(rows), CATEGORY.name, column)
    same(encode_table(table), as_records(rows))
    many = pa.concat_tables([table] * 20)
    same(encode_table(many), as_records(rows * 20))


def test_what_is_wrong_with_a_row_does_not_depend_on_the_types_of_its_other_columns() -> None:
    rows = [EXAMPLE, {**EXAMPLE, CATEGORY.name: "no such word"}]
    table = as_table(rows)
    exact = with_column(table, NUMBER.name, table[NUMBER.name].cast(pa.decimal128(12, 3)))
    same(encode_table(exact), as_records(rows))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([1, 2], pa.duration("ns")),
        pa.array([1, 2], pa.time64("ns")),
        pa.array([b"\xff", b"9"]),
        pa.array([[1], [2]]),
        pa.array([{"x": 1}, {"x": None}]),
    ],
    ids=lambda column: str(column.type),
)
def test_whatever_is_no_number_is_refused_as_such(column: Any) -> None:
    batch = encode_table(with_column(as_table([EXAMPLE, EXAMPLE]), NUMBER.name, column))
    assert [[(p.field, p.rule) for p in batch.refused[row].detail] for row in (0, 1)] == [[(NUMBER.name, "type")]] * 2


@pytest.mark.parametrize(
    ("name", "column", "rule"),
    [
        (NUMBER.name, pa.array(["9", None]), "type"),
        (NUMBER.name, pa.array([True, False]), "type"),
        (CATEGORY.name, pa.array([1, None]), "category"),
        (CATEGORY.name, pa.array([b"x", None]), "category"),
        (CATEGORY.name, pa.array([b"\xff", None]), "category"),
    ],
)
def test_a_column_of_another_type_is_refused_row_by_row_where_it_says_something(
    name: str, column: Any, rule: str
) -> None:
    table = as_table([EXAMPLE, EXAMPLE])
    batch = encode_table(table.set_column(table.schema.names.index(name), name, column))
    assert (batch.refused[0].detail[0].field, batch.refused[0].detail[0].rule) == (name, rule)


def test_a_cell_that_is_no_number_is_a_wrong_type_and_not_an_infinity() -> None:
    text = pa.table({field.name: pa.array([str(EXAMPLE[field.name])]) for field in FIELDS})
    for cell in ("seven", "1_000", "0x10", "1,5", "--1"):
        wrong = text.set_column(text.schema.names.index(NUMBER.name), NUMBER.name, pa.array([cell]))
        [refused] = encode_text(wrong).refused.values()
        assert [(p.field, p.rule) for p in refused.detail] == [(NUMBER.name, "type")], cell
        assert cell not in repr(refused.detail)


def test_an_optional_column_may_be_absent() -> None:
    optional = [field.name for field in FIELDS if not field.required]
    same(
        encode_table(as_table([EXAMPLE]).drop_columns(optional)),
        as_records([{n: v for n, v in EXAMPLE.items() if n not in optional}]),
    )


@pytest.mark.parametrize(
    ("names", "field", "rule"),
    [
        ([*EXAMPLE, "shoe_size"], "shoe_size", "unknown"),
        ([*EXAMPLE, NUMBER.name], NUMBER.name, "duplicate"),
        ([name for name in EXAMPLE if name != NUMBER.name], NUMBER.name, "required"),
    ],
)
def test_wrong_columns_are_an_error_of_the_whole_table(names: list[str], field: str, rule: str) -> None:
    with pytest.raises(InvalidBatch) as caught:
        check_header(names)
    assert [(p.field, p.rule) for p in caught.value.detail] == [(field, rule)]


def test_a_column_to_keep_needs_to_be_no_field_but_it_must_be_there_once() -> None:
    check_header([*EXAMPLE, "shoe_size"], ["shoe_size", NUMBER.name])
    for names, rule in (([*EXAMPLE], "required"), ([*EXAMPLE, "shoe_size", "shoe_size"], "duplicate")):
        with pytest.raises(InvalidBatch) as caught:
            check_header(names, ["shoe_size"])
        assert [(p.field, p.rule) for p in caught.value.detail] == [("shoe_size", rule)]


def test_a_refusal_is_the_record_paths_own() -> None:
    batch = encode_table(as_table([EXAMPLE, {**EXAMPLE, NUMBER.name: -1.0}]))
    [expected] = decode_application(json.dumps({**EXAMPLE, NUMBER.name: -1.0}).encode())
    assert isinstance(expected, InvalidApplication)
    assert batch.refused[1].detail == expected.detail


@pytest.mark.parametrize(
    "column",
    [
        pa.array([EXAMPLE[NUMBER.name]] * 2).dictionary_encode(),
        pc.run_end_encode(pa.array([EXAMPLE[NUMBER.name]] * 2)),
    ],
)
def test_numbers_may_come_as_a_dictionary_or_as_runs(column: Any) -> None:
    table = as_table([EXAMPLE, EXAMPLE])
    same(encode_table(table.set_column(0, NUMBER.name, column)), encode_table(table))
    assert table.schema.names[0] == NUMBER.name


def test_words_may_come_as_views() -> None:
    table = as_table([EXAMPLE, EXAMPLE])
    position = table.schema.names.index(CATEGORY.name)
    views = pa.array([EXAMPLE[CATEGORY.name]] * 2, pa.string_view())
    same(encode_table(table.set_column(position, CATEGORY.name, views)), encode_table(table))


@pytest.mark.parametrize("name", [NUMBER.name, CATEGORY.name])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1234567890123456789], None], pa.list_(pa.timestamp("ns"))),
        pa.array([1234567890123456789, None], pa.timestamp("ns")),
        pa.array([[b"\xff"], None], pa.list_(pa.binary())),
        pa.array([{"a": 1}, None]),
        pa.array([b"ab", None], pa.binary(2)),
    ],
)
def test_a_column_of_an_outlandish_type_is_refused_row_by_row_without_its_values(name: str, column: Any) -> None:
    table = as_table([EXAMPLE, EXAMPLE])
    batch = encode_table(table.set_column(table.schema.names.index(name), name, column))
    rule = "type" if name == NUMBER.name else "category"
    assert (batch.refused[0].detail[0].field, batch.refused[0].detail[0].rule) == (name, rule)
    assert "123456789" not in repr(batch.refused)


def test_a_text_that_other_readers_take_for_a_number_is_refused_whatever_stands_beside_it() -> None:
    text = pa.table({field.name: pa.array([str(EXAMPLE[field.name])] * 2) for field in FIELDS})
    for cell in ("nan", "NaN", "nan(1)", "inf", "\u0969\u0966"):
        for other in (str(EXAMPLE[NUMBER.name]), "abc"):
            batch = encode_text(
                text.set_column(text.schema.names.index(NUMBER.name), NUMBER.name, pa.array([cell, other]))
            )
            assert [p.rule for p in batch.refused[0].detail] == ["type"], (cell, other)
