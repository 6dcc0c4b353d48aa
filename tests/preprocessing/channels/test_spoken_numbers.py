"""A table of numbers as people say them in several languages, and what they are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.channels.numbers import AMBIGUOUS, number

DOUBT = "doubt"
_ONES = [
    *["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
    *["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"],
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_english(whole: int) -> str:
    """A number below a million in words."""
    if whole < 20:
        return _ONES[whole]
    if whole < 100:
        return _TENS[whole // 10 - 2] + (f"-{_ONES[whole % 10]}" if whole % 10 else "")
    size, word = (1000, "thousand") if whole >= 1000 else (100, "hundred")
    rest = whole % size
    joint = " and " if 0 < rest < 100 else " "
    return f"{in_english(whole // size)} {word}{joint + in_english(rest) if rest else ''}"


def said(text: str, language: str, unit: str = "pieces", whole: bool = False) -> object:
    found = number(text, language, unit, whole, True)
    return DOUBT if found is AMBIGUOUS else found


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("en", "sixty", 60),
        ("en", "eight hundred and forty-six", 846),
        ("en", "eight hundred and forty-six euros", 846),
        ("en", "one thousand, two hundred and five", 1205),
        ("en", "a hundred", 100),
        ("en", "twelve hundred", 1200),
        ("en", "one two nine", 129),
        ("en", "one oh five", 105),
        ("en", "1 2 9", 129),
        ("en", "two point five", 2.5),
        ("en", "minus five", -5),
        ("en", "none", 0),
        ("en", "Sixty.", 60),
        ("en-GB", "sixty pieces", 60),
        ("en", "three million two hundred thousand", 3_200_000),
        ("", "sixty", 60),
        ("ja", "sixty", 60),
        ("de", "sechzig", 60),
        ("de", "fünfundzwanzig", 25),
        ("de", "dreißig Euro", 30),
        ("de-CH", "dreissig Franken", 30),
        ("de", "zwölfhundert", 1200),
        ("de", "eintausendzweihundertsechsundvierzig", 1246),
        ("de", "eins zwei neun", 129),
        ("de", "zwei Komma fünf", 2.5),
        ("de", "eineinhalb", 1.5),
        ("de", "eine Million", 1_000_000),
        ("de", "minus fünf", -5),
        ("de", "keine", 0),
        ("es", "ochocientos cuarenta y seis", 846),
        ("es", "mil doscientos", 1200),
        ("es", "veintiún euros", 21),
        ("es", "uno dos nueve", 129),
        ("es", "dos coma cinco", 2.5),
        ("es-MX", "dos punto cinco", 2.5),
        ("es", "menos cinco", -5),
        ("fr", "huit cent quarante-six", 846),
        ("fr", "quatre-vingt-dix-neuf", 99),
        ("fr-BE", "nonante", 90),
        ("fr", "soixante et onze", 71),
        ("fr", "un deux neuf", 129),
        ("fr", "deux virgule cinq", 2.5),
        ("fr", "moins cinq", -5),
        ("it", "centoventinove", 129),
        ("it", "milleduecento", 1200),
        ("it", "duecentottantuno", 281),
        ("it", "centotto", 108),
        ("it", "due virgola cinque", 2.5),
        ("nl", "honderdnegenentwintig", 129),
        ("nl", "twee komma vijf", 2.5),
        ("nl", "min vijf", -5),
        ("pt", "cento e vinte e nove", 129),
        ("pt", "dois vírgula cinco", 2.5),
    ],
)
def test_a_spoken_number_is_read(language: str, text: str, found: float) -> None:
    assert said(text, language) == found


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "twenty twenty"),
        ("en", "one hundred two hundred"),
        ("en", "sixty one two"),
        ("en", "sixty, five"),
        ("en", "sixty or seventy"),
        ("en", "about sixty"),
        ("en", "first"),
        ("en", "min 5"),
        ("en", "5-7"),
        ("en", "for"),
        ("en", "minus"),
        ("en", "no"),
        ("", "sechzig"),  # nobody knows that it is German
        ("de", "zwei oder drei"),
    ],
)
def test_what_may_be_two_numbers_or_none_is_not_guessed(language: str, text: str) -> None:
    assert said(text, language) is None


@given(st.integers(0, 999_999))
def test_every_number_in_english_words_is_itself(whole: int) -> None:
    assert said(in_english(whole), "en") == whole
    assert said(in_english(whole).replace("-", " ").replace(" and ", " ").upper(), "en") == whole


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("en", "eight hundred thousand", 800),
        ("en", "eight hundred thousand euros", 800),
        ("en", "eight hundred", 800),
        ("de", "achthunderttausend Euro", 800),
        ("es", "ochocientos mil", 800),
        ("fr", "huit cent mille euros", 800),
        ("it", "ottocentomila", 800),
        ("nl", "achthonderdduizend", 800),
        ("pt", "oitocentos mil", 800),
        ("en", "one thousand two hundred", DOUBT),  # of them, or 1.2 of them
        ("de", "tausendzweihundert", DOUBT),
        ("es", "mil doscientos", DOUBT),
        ("en", "two million", DOUBT),
        ("de", "zwei Millionen", DOUBT),
        ("fr", "deux millions", DOUBT),
    ],
)
def test_thousands_are_not_counted_twice_where_they_are_the_unit(language: str, text: str, found: object) -> None:
    assert said(text, language, "thousands") == found


def test_a_spoken_duration_is_read_in_the_fields_unit() -> None:
    assert said("five years", "en", "months", True) == 60
    assert said("fünf Jahre", "de", "months", True) == 60
    assert said("cinco años", "es", "months", True) == 60
    assert said("cinq ans", "fr", "months", True) == 60
