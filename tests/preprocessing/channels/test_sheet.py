"""A clerk's sheet: separators, decimals, encodings, headers, and what is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.channel_payloads import write_sheet
from preprocessing.channels import sheet
from preprocessing.channels.collected import Collected, Payload
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication, Problem
from preprocessing.fields import Number
from preprocessing.schema import Application
from tests.generated import EXAMPLE, NUMBER, writable_applications

EXPECTED = Application(**EXAMPLE)
NAMES = [field.name for field in FIELDS]
LABELS = [field.kind.label for field in FIELDS]
CELLS = [str(EXAMPLE[name]) for name in NAMES]
BROKEN = next(field for field in FIELDS if isinstance(field.kind, Number) and field.required and not field.kind.whole)


def read(body: str | bytes, language: str = "") -> Collected:
    return sheet.read(Payload(body.encode() if isinstance(body, str) else body, "text/csv", language), 0.9)


def table(*rows: list[str], separator: str = ",", ends: str = "\r\n") -> str:
    return ends.join(separator.join(row) for row in rows) + ends


def problems(body: str | bytes) -> list[Problem]:
    row = read(body).row
    assert isinstance(row, InvalidApplication)
    return list(row.detail)


def with_cell(text: str) -> list[str]:
    return [text if name == BROKEN.name else cell for name, cell in zip(NAMES, CELLS, strict=True)]


@given(writable_applications, st.sampled_from([",", ";", "\t"]))
def test_what_is_written_is_read(values: dict[str, Any], separator: str) -> None:
    assert read(write_sheet(values, separator)).row == Application(**values)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "header", [NAMES, LABELS, [name.upper() for name in NAMES], [f' "{each}" ' for each in LABELS]]
)
def test_a_header_names_fields_in_any_spelling(header: list[str], ends: str, separator: str) -> None:
    assert read(table(header, CELLS, separator=separator, ends=ends)).row == EXPECTED


def test_columns_come_in_any_order_and_strangers_are_named() -> None:
    body = table(["Clerk", *reversed(LABELS)], ["M. Weber", *reversed(CELLS)])
    assert read(body).row == EXPECTED
    assert read(body).unused == ("Clerk",)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_without_a_header_is_in_the_schemas_order(separator: str) -> None:
    assert read(table(CELLS, separator=separator)).row == EXPECTED


@pytest.mark.parametrize(
    ("separator", "cell", "language", "means"),
    [
        (";", "1,5", "", 1.5),
        (";", "1.200,50", "", 1200.5),
        (";", "1.200", "", 1200),
        (";", "1,234", "en-US", 1.234),  # the language of a browser says less than the sheet does
        (";", "1.234", "de-CH", 1.234),
        (",", "1.234", "de", 1.234),
        (",", '"1,200.50"', "", 1200.5),
        ("\t", "1,234", "de", 1.234),
        ("\t", "1,234", "en", 1234),
    ],
)
def test_the_separator_tells_how_decimals_are_written(separator: str, cell: str, language: str, means: float) -> None:
    row = read(table(LABELS, with_cell(cell), separator=separator), language).row
    assert isinstance(row, Application)
    assert getattr(row, BROKEN.name) == means


def test_what_could_be_two_numbers_is_refused_where_nothing_tells() -> None:
    [problem] = problems(table(LABELS, with_cell("1,234"), separator="\t"))
    assert (problem.field, problem.rule) == (BROKEN.name, "ambiguous")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_of_excel_is_read(encoding: str) -> None:
    body = table(["Bemerkung für später", *LABELS], ["geprüft, 5 €", *CELLS], separator=";").encode(encoding)
    assert read(body).row == EXPECTED
    assert read(body).unused == ("Bemerkung für später",)


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_the_line_that_tells_excel_the_separator_is_no_row(line: str) -> None:
    assert read(line + table(LABELS, CELLS, separator=";")).row == EXPECTED


def test_blank_rows_and_columns_are_none() -> None:
    blank = [""] * (len(FIELDS) + 2)
    body = table(blank, [*LABELS, "", ""], [" "], [*CELLS, "", ""], blank, blank, separator=";")
    assert read(body).row == EXPECTED
    assert read(body).unused == ()


def test_an_empty_cell_is_a_missing_value() -> None:
    optional = {field.name for field in FIELDS if not field.required}
    row = read(table(LABELS, ["" if name in optional else cell for name, cell in zip(NAMES, CELLS, strict=True)])).row
    assert row == Application(**{name: value for name, value in EXAMPLE.items() if name not in optional})


def test_an_empty_cell_of_a_field_that_must_be_there_is_no_wrong_value() -> None:
    [problem] = problems(table(LABELS, with_cell("")))
    assert (problem.field, problem.rule) == (BROKEN.name, "required")


@pytest.mark.parametrize("rows", [[LABELS, CELLS, CELLS], [CELLS, CELLS]])
def test_more_rows_are_refused_and_told_where_to_go(rows: list[list[str]]) -> None:
    [problem] = problems(table(*rows))
    assert (problem.field, problem.rule) == ("", "payload")
    assert "/predict_batch" in problem.message


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n",
        table(LABELS),
        table(CELLS[:-1]),
        table(LABELS, CELLS[:-1]),
        table(LABELS, [*CELLS, "9"]),
        table(LABELS, ['"9' if cell == CELLS[0] else cell for cell in CELLS]),
        table(LABELS, ["9" * 200_000, *CELLS[1:]]),
        ";" * 100_000,
        "{}",
        b"PK\x03\x04\x14\x00\x06\x00",
    ],
)
def test_what_is_no_sheet_of_one_application_is_refused_whole(body: str | bytes) -> None:
    assert [(problem.field, problem.rule) for problem in problems(body)] == [("", "payload")]


def test_a_field_in_two_columns_is_refused() -> None:
    body = table([*LABELS, NUMBER.name], [*CELLS, "7"])
    assert [(problem.field, problem.rule) for problem in problems(body)] == [(NUMBER.name, "duplicate")]


def test_problems_are_told_in_the_sheets_own_words() -> None:
    header = ["Preis  (PRICE)" if label == LABELS[0] else label for label in LABELS]
    found = read(table(header, CELLS))
    assert isinstance(found.row, InvalidApplication)
    told = found.called([{"field": problem.field, "rule": problem.rule} for problem in found.row.detail])
    assert told == [{"field": LABELS[0], "rule": "required"}]


@given(
    st.binary() | st.text(alphabet=';,\t"\n\r =9a-' + LABELS[0]).map(str.encode), st.sampled_from(["", "de", "ab-cd"])
)
def test_any_bytes_are_read_to_something(body: bytes, language: str) -> None:
    found = read(body, language)
    assert isinstance(found.row, (Application, InvalidApplication))
    assert json.loads(found.source())["form"] == sheet.FORM


@given(st.data())
def test_a_damaged_sheet_is_read_to_something(data: st.DataObject) -> None:
    body = bytearray(write_sheet(EXAMPLE, data.draw(st.sampled_from([",", ";", "\t"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = read(bytes(body))
    assert isinstance(found.row, (Application, InvalidApplication))
    assert json.loads(found.source())["form"] == sheet.FORM
