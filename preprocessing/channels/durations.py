"""How long: "5 years", "P5Y" → what a field counts in, where that is exact.

Years are months and weeks are days; a month is no number of days, so the two never meet.
"""

import re

_IN_BASE = {"year": ("month", 12), "month": ("month", 1), "week": ("day", 7), "day": ("day", 1)}
# as people say them in the languages that numbers are understood in, and as dialogue systems write them
_CALLED = {
    word: unit
    for unit, words in {
        "year": "year years yr yrs jahr jahre jahren año años ano anos an ans année années anno anni jaar jaren",
        "month": "month months mo mos monat monate monaten mes meses mois mese mesi maand maanden mês",
        "week": "week weeks wk wks woche wochen semana semanas semaine semaines settimana settimane weken",
        "day": "day days tag tage tagen día días dia dias jour jours journée giorno giorni dag dagen",
    }.items()
    for word in words.split()
}  # fmt: skip
_OLD = (" old", " alt")  # "thirty years old"
_ISO = re.compile(r"P(?=\d)" + "".join(rf"(?:(\d+(?:\.\d+)?){letter})?" for letter in "YMWD"), re.ASCII)
_ISO_UNITS = ("year", "month", "week", "day")
_DECIMALS = 3  # what a unit cannot say with so many it does not say exactly


def is_time(unit: str) -> bool:
    """Whether a field counts in a unit of time."""
    return unit.casefold() in _CALLED


def in_unit(amount: float, said: str, unit: str) -> float | None:
    """An amount of a unit of time in another one; None where one of them is none, or it cannot be said exactly."""
    said = said.strip(" .").casefold()
    for old in _OLD:
        said = said.removesuffix(old)
    if (word := _CALLED.get(said)) is None or (wanted := _CALLED.get(unit.casefold())) is None:
        return None
    return amount if word == wanted else _converted([(amount, word)], wanted)


def iso_in_unit(text: str, unit: str) -> float | None:
    """An ISO 8601 duration of years, months, weeks and days in a unit of time; None where `in_unit` has none."""
    found, wanted = _ISO.fullmatch(text), _CALLED.get(unit.casefold())
    if found is None or wanted is None:
        return None
    return _converted([(float(n), word) for n, word in zip(found.groups(), _ISO_UNITS, strict=True) if n], wanted)


def _converted(amounts: list[tuple[float, str]], wanted: str) -> float | None:
    base, factor = _IN_BASE[wanted]
    if any(_IN_BASE[word][0] != base for _, word in amounts):
        return None
    found = sum(amount * _IN_BASE[word][1] for amount, word in amounts) / factor
    return found if round(found, _DECIMALS) == found else None
