"""A table of numbers as people write them, and what they are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.channels.numbers import AMBIGUOUS, LONGEST, number

DOUBT = "doubt"


def written(text: str, language: str = "", unit: str = "pieces", whole: bool = False) -> object:
    found = number(text, language, unit, whole, False)
    return DOUBT if found is AMBIGUOUS else found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("129", 129),
        ("-129", -129),
        ("+129", 129),
        ("129.5", 129.5),
        ("129,5", 129.5),
        (" 12,75 ", 12.75),
        (".5", 0.5),
        ("5.", 5),
        ("0.125", 0.125),
        ("0,125", 0.125),
        # two separators tell which is which
        ("1.200,50", 1200.5),
        ("1,200.50", 1200.5),
        ("1.234.567,8", 1234567.8),
        ("1,234,567.8", 1234567.8),
        ("1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("12,34,567", 1234567),  # as India groups
        ("12,34,567.5", 1234567.5),
        ("1'200.50", 1200.5),
        ("1\u2019200,50", 1200.5),
        ("1 200,50", 1200.5),
        ("1 234 567", 1234567),
        ("1\u202f200,50", 1200.5),  # a narrow space, as French typesetters have it
        ("1\u00a0200", 1200),
        # one before three digits does not
        ("1,234", DOUBT),
        ("1.234", DOUBT),
        ("1.000", DOUBT),
        ("1234.567", 1234.567),
        ("12,3456", DOUBT),  # Japan groups by four
        ("12.3456", 12.3456),
        # digits of other scripts and widths, and what a word processor makes of a minus
        ("\uff11\uff12\uff19", 129),
        ("١٢٩", 129),
        ("\u2212129", -129),
        ("\u2013129", -129),
        ("- 129", -129),
        # currencies
        ("€ 1,200.50", 1200.5),
        ("1.200,50 EUR", 1200.5),
        ("$5", 5),
        ("US$ 5.5", 5.5),
        ("Rs. 500", 500),
        ("₹12,34,567", 1234567),
        ("-€5", -5),
        ("€-5", -5),
        ("1.200,- €", 1200),
        ("500.--", 500),
        ("99 zł", 99),
        # the unit
        ("12 pieces", 12),
        ("1 piece", 1),
        ("12 Pieces.", 12),
    ],
)
def test_a_written_number_is_read(text: str, found: object) -> None:
    assert written(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *["", "-", ".", ",", "'", "--5", "+-5", "5-", "5-7", "5 - 7", "1.2.3", "1,2,3", "12.345.67", "1,23,45", "1 2"],
        *["1 2 9", "1 20 300", "5 EUR 6", "5 apples", "about 5", "5²", "½", "2½", "①", "0x10", "1e5", "nan", "inf"],
        *["sixty", "12 days", "P5Y", "1_000", "\uff11.\uff12.\uff13", "5;6", "5%", "(5)"],
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert written(text) is None


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("1.234", "de", 1234),
        ("1,234", "de", 1.234),
        ("1.234", "DE-at", 1234),
        ("1.234", "de_DE", 1234),
        ("1.234", "de-CH", 1.234),
        ("1,234", "de-CH", 1234),
        ("1.234", "en", 1.234),
        ("1,234", "en-GB", 1234),
        ("1,234", "es", 1.234),
        ("1,234", "es-MX", 1234),
        ("1,234", "xx", 1234),
        ("12,3456", "de", 12.3456),
        ("1.000", "en", 1),
    ],
)
def test_the_writers_language_decides_what_a_separator_is(text: str, language: str, found: float) -> None:
    assert written(text, language) == found
    assert written(f"€ {text}", language) == found


def test_a_field_of_whole_numbers_decides_where_nobody_knows_the_language() -> None:
    assert written("1,234", whole=True) == 1234
    assert written("1,000", whole=True) == DOUBT  # one or a thousand
    assert written("1,234", "de", whole=True) == 1.234  # for the schema to refuse
    assert written("1,000", "de", whole=True) == DOUBT  # a whole number with three decimals?
    assert written("1.000", "de", whole=True) == 1000


@pytest.mark.parametrize(
    ("text", "unit", "found"),
    [
        ("60 months", "months", 60),
        ("60 Monate", "months", 60),
        ("5 years", "months", 60),
        ("2,5 Jahre", "months", 30),
        ("1 year", "months", 12),
        ("18 months", "years", 1.5),
        ("30 years old", "years", 30),
        ("30 años", "years", 30),
        ("2 semanas", "days", 14),
        ("7 months", "years", None),  # 0.58333…
        ("10 days", "months", None),
        ("5 years", "thousands", None),
        ("60 euros", "months", None),  # the answer to another question
        ("5 years", "calendar year", None),
        ("P5Y", "months", 60),
        ("P1Y6M", "months", 18),
        ("P18M", "years", 1.5),
        ("P0.5Y", "months", 6),
        ("P2W", "days", 14),
        ("P2W1D", "days", 15),
        ("P1Y1D", "days", None),
        ("P", "months", None),
        ("PT10M", "months", None),
        ("P5Y", "thousands", None),
    ],
)
def test_a_duration_is_read_in_the_fields_unit_or_not_at_all(text: str, unit: str, found: float | None) -> None:
    assert written(text, "", unit) == found


@pytest.mark.parametrize("unit", ["thousands", "thousand euros"])
@pytest.mark.parametrize(
    "text", ["84.5", "84.5 thousand", "84.5k", "84,5 Tsd. €", "€84.5 thousand", "84.5 thousand euros"]
)
def test_thousands_may_be_named_where_they_are_the_unit(unit: str, text: str) -> None:
    assert written(text, "", unit) == 84.5
    assert written("84.5 thousand") is None


def test_text_beyond_the_limit_is_no_number_and_digits_may_be_many() -> None:
    assert written("1 " * LONGEST) is None
    assert written("9" * 100_000) == float("inf")


@given(st.text(max_size=LONGEST + 5), st.sampled_from(["", "de", "en", "fr"]), st.sampled_from(["months", "thousands"]))
def test_any_text_is_a_number_or_in_doubt_or_none(text: str, language: str, unit: str) -> None:
    for spoken in (False, True):
        found = number(text, language, unit, True, spoken)
        assert found is None or found is AMBIGUOUS or isinstance(found, float)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{:,}", "{:_}", "{}"]), st.booleans())
def test_a_grouped_number_with_decimals_is_itself_in_either_way_of_writing(n: int, form: str, comma: bool) -> None:
    decimal, group = (",", ".") if comma else (".", ",")
    text = form.format(abs(n)).replace("_", "\u00a0").replace(",", group) + f"{decimal}25"
    assert written(f"{'-' if n < 0 else ''}{text}") == (abs(n) + 0.25) * (-1 if n < 0 else 1)
