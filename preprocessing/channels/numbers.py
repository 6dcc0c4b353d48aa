"""Numbers as people write and say them: "1.200,50", "€ 1,200.50", "eight hundred and forty-six", "5 years".

A single separator before exactly three digits may stand for thousands or for decimals. The writer's language decides,
else the field, if its values are whole numbers. What stays in doubt is AMBIGUOUS and never guessed.
"""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from text_to_num import alpha2digit

from preprocessing.channels.durations import in_unit, is_time, iso_in_unit

LONGEST = 100  # characters
# of the languages that write decimals with a comma, those that an applicant may well write in …
DECIMAL_COMMA = frozenset({
    "bg", "ca", "cs", "da", "de", "el", "es", "et", "fi", "fr", "hr", "hu", "id", "is", "it", "lt", "lv", "nb",
    "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk", "vi",
})  # fmt: skip
DECIMAL_POINT = frozenset({"de-ch", "de-li", "it-ch", "es-mx", "es-us", "es-419"})  # … and where they do not


class Ambiguous:
    """What may be read as two numbers."""


AMBIGUOUS: Final = Ambiguous()
Number = float | Ambiguous | None
# Nobody means thousands by these; \d is ASCII's everywhere here.
_PLAIN = re.compile(r"-?\d+(?:\.\d\d?)?", re.ASCII)
_DIGITS = re.compile(r"[.,]?\d[\d.,' ]*", re.ASCII)
_SPACED = re.compile(r"\d{1,3}(?:[ ']\d{3})+(?![\d '])", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}", re.ASCII)  # the second as India writes it
_BY_FOUR = re.compile(r"\d{1,4},\d{4}", re.ASCII)  # as Japan and China group, or decimals
_NO_CENTS = re.compile(r"(?<=\d)([.,])--?(?!\d)", re.ASCII)  # "1.200,-"
_AS_TYPED = {0x2212: "-", 0x2013: "-", 0x2019: "'"}  # what word processors make of minus and apostrophe
_CURRENCIES = frozenset({
    "eur", "euro", "euros", "usd", "us$", "dollar", "dollars", "gbp", "pound", "pounds", "chf", "fr", "franken",
    "francs", "jpy", "sek", "nok", "dkk", "kr", "pln", "zł", "czk", "kč", "huf", "ft", "inr", "rs", "brl", "r$",
})  # fmt: skip
_THOUSAND = re.compile(r"thousand|tausend|\bmil\b|mille|mila\b|duizend")
_THOUSANDS = frozenset({"thousand", "thousands", "tausend", "tsd", "mil", "mille", "mila", "duizend", "k"})
_LARGER = re.compile(r"milli[oa]|mill[óo]n|milion|miljo|milh|bilh|billi")
_ENDS_IN_THOUSAND = re.compile(rf"(?:{_THOUSAND.pattern}) ?([^\d ]*)")
_AFTER_THOUSANDS = re.compile(r"\b(thousand|million|mil|milh(?:ão|ões)), ")  # a pause, and no second number
_HYPHEN = re.compile(r"(?<=[^\W\d])-(?=[^\W\d])")
_ONE_BY_ONE = re.compile(r"(?<!\d)0*\d(?: 0*\d)+(?=$| \D)", re.ASCII)
_TWO_NUMBERS = re.compile(r"\d \d", re.ASCII)


class _Tongue:
    """What text2num leaves to us of a language: its minus, its nothing, and words and parts that it knows otherwise."""

    def __init__(
        self,
        minus: str,
        nothing: str,
        words: Mapping[str, str] = MappingProxyType({}),
        parts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.minus = tuple([f"{word} " for word in minus.split()])
        self.nothing = frozenset(nothing.split())
        self.words, self.parts = words, tuple(parts.items())

    def as_known(self, said: list[str]) -> str:
        """Words, as text2num knows them."""
        known = " ".join([self.words.get(word, word) for word in said])
        for part, other in self.parts:
            known = known.replace(part, other)
        return known


_TONGUES = {
    "de": _Tongue("minus negativ", "nichts keine keinen keins", {"eine": "ein", "eineinhalb": "ein komma fünf"}),
    "en": _Tongue(
        "minus negative",
        "none nothing nil nought",
        {"oh": "zero"},
        {"a hundred": "one hundred", "a thousand": "one thousand", "a million": "one million"},
    ),
    "es": _Tongue("menos", "nada ninguno ninguna ningún", {"veintiún": "veintiuno"}),
    "fr": _Tongue("moins", "rien aucun aucune", {"point": "virgule"}),
    "it": _Tongue("meno", "niente nulla nessuno nessuna", {"punto": "virgola"}, {"centott": "centoott"}),
    "nl": _Tongue("min minus", "niets geen", {"punt": "komma"}),
    "pt": _Tongue("menos", "nada nenhum nenhuma", {"ponto": "vírgula"}),
}
SPOKEN = frozenset(_TONGUES)


def number(text: str, language: str, unit: str, whole: bool, spoken: bool) -> Number:
    """What a text is worth; None where it is no number.

    `language` is its writer's ("" where nobody knows, else as "de" or "de-CH"), `unit` what may stand behind it,
    `whole` whether only whole numbers make sense. With `spoken` it may be in words.
    """
    if _PLAIN.fullmatch(text):
        return float(text)
    if len(text) > LONGEST:
        return None
    if not text.isascii():
        if any(unicodedata.category(character) == "No" for character in text):
            return None  # "5²" is no 52
        text = unicodedata.normalize("NFKC", text).translate(_AS_TYPED)
        text = "".join([str(unicodedata.decimal(character, character)) for character in text])
    text = text.strip()
    if text.startswith("P"):
        return iso_in_unit(text, unit)
    found = _written(text, language, unit, whole)
    return _spoken(text, language, unit, whole) if found is None and spoken else found


def _written(text: str, language: str, unit: str, whole: bool) -> Number:
    if (place := _DIGITS.search(text)) is None:
        return None
    if "-" in text and (place := _DIGITS.search(text := _NO_CENTS.sub(r"\g<1>00", text))) is None:
        return None
    before, after = text[: place.start()], text[place.end() :]
    sign = -1 if "-" in before else 1
    if not _is_beside_numbers(before.replace("-", "", 1).replace("+", "", sign > 0), unit):
        return None
    found = _digits(place[0].strip(), language, whole)
    if not _is_beside_numbers(after, unit):
        found = in_unit(found, after, unit) if isinstance(found, float) else None
    return sign * found if isinstance(found, float) else found


def _is_beside_numbers(text: str, unit: str) -> bool:
    """Whether a text is nothing, or currency and unit."""
    said = text.strip(" .").casefold()
    if not said or _is_unit(said, unit):
        return True
    return not is_time(unit) and all(_is_unit(word, unit) or _is_currency(word) for word in said.split())


def _is_unit(word: str, unit: str) -> bool:
    return word.rstrip("s") == unit.casefold().rstrip("s") or (word.rstrip(".") in _THOUSANDS and _in_thousands(unit))


def _is_currency(word: str) -> bool:
    return word in _CURRENCIES or all(unicodedata.category(character) == "Sc" for character in word)


def _in_thousands(unit: str) -> bool:
    return unit.casefold().startswith("thousand")


def _digits(text: str, language: str, whole: bool) -> Number:
    if " " in text or "'" in text:
        if not (spaced := _SPACED.match(text)):
            return None
        text = text.replace(" ", "").replace("'", "")
        if "," in text[: spaced.end()] and "." in text:
            return None
        return _float(text.replace(",", "."))
    separators = [character for character in text if character in ".,"]
    if not separators:
        return float(text)
    last = separators[-1]
    if len(set(separators)) == 2:
        head, _, tail = text.rpartition(last)
        other = "," if last == "." else "."
        return _float(f"{head.replace(other, '')}.{tail}") if _is_grouped(head, other) else None
    if len(separators) > 1:
        return float(text.replace(last, "")) if _is_grouped(text, last) else None
    as_decimal = _float(text.replace(",", "."))
    is_decimal = language != "" and last == _decimal_of(language)
    if not _is_grouped(text, last) or text[0] == "0":
        return AMBIGUOUS if _BY_FOUR.fullmatch(text) and not is_decimal else as_decimal
    as_group = float(text.replace(last, ""))
    if whole and as_decimal is not None and not as_decimal % 1:
        return AMBIGUOUS if is_decimal or not language else as_group  # nobody writes a whole number as "1.000"
    if language:
        return as_decimal if is_decimal else as_group
    return as_group if whole else AMBIGUOUS


def _is_grouped(text: str, separator: str) -> bool:
    return _GROUPED.fullmatch(text.replace(separator, ",")) is not None


def _decimal_of(language: str) -> str:
    language = language.replace("_", "-").casefold()
    return "," if language.partition("-")[0] in DECIMAL_COMMA and language not in DECIMAL_POINT else "."


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "1.2.3", or a separator alone
        return None


def _spoken(text: str, language: str, unit: str, whole: bool) -> Number:
    base = language.replace("_", "-").casefold().partition("-")[0]
    base = base if base in SPOKEN else "en"
    tongue = _TONGUES[base]
    said = text.casefold()
    if "-" in said:
        said = _HYPHEN.sub(" ", said)
    said = tongue.as_known(said.strip(" .!?").split())
    if said in tongue.nothing:
        return 0.0
    sign = 1
    if said.startswith(tongue.minus):
        sign, said = -1, said.partition(" ")[2]
    if "," in said:
        said = _AFTER_THOUSANDS.sub(r"\1 ", said)
    digits: str = alpha2digit(said, base, threshold=0)
    if " " in digits:
        digits = _ONE_BY_ONE.sub(lambda found: found[0].replace(" ", ""), digits, count=1)
        if _TWO_NUMBERS.search(digits):  # "twenty twenty", "one hundred two hundred"
            return None
    found = _written(digits, base, unit, whole)
    if isinstance(found, float) and _in_thousands(unit):
        found = _of_thousands(found, said)
    return sign * found if isinstance(found, float) else found


def _of_thousands(found: float, said: str) -> Number:
    """A number whose unit are thousands: "eight hundred thousand" names the unit; "one thousand and five" does not."""
    if not _THOUSAND.search(said) and not _LARGER.search(said):
        return found
    ends = _ENDS_IN_THOUSAND.search(said)
    named = ends is not None and ends.end() == len(said) and (not ends[1] or _is_currency(ends[1]))
    return found / 1000 if named and found % 1000 == 0 and not _LARGER.search(said) else AMBIGUOUS
