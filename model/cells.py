"""What cells of an export mean, judged by the whole column that they stand in. Knows no schema.

`1,234` may be two numbers, but seldom in a column that also has `12,500.50`; a verdict may come in five spellings.
"""

import re
from collections.abc import Collection, Iterable, Sequence

from preprocessing.channels.numbers import number
from preprocessing.channels.spelling import MEANS, NOTHING, plain

ABSENT = frozenset({"", "nan", "null", "#n/a", "#na", "<na>", "-", "\u2013", "\u2014", "n/a", "?"})  # in any column …
NO_NUMBER = ABSENT | NOTHING | {"na", "none", "nil", "missing", ".", "not available"}  # … and in one of numbers
ENGLISH, GERMAN = "en", "de"  # which write decimals with a point, and with a comma
YES, NO = "yes", "no"
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DIGITS = re.compile(r"\d[\d.,' ]*\d", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)


def tidy(text: str) -> str:
    """Without case, and with single spaces."""
    return " ".join(text.split()).casefold()


def worth(texts: Sequence[str], unit: str, whole: bool = False) -> dict[str, float | None]:
    """What the distinct texts of a column are worth as numbers, None for nothing; without those that say something
    else. `unit` may stand behind them; `whole` says that only whole numbers make sense."""
    said = [text for text in texts if tidy(text) not in NO_NUMBER]
    found: dict[str, float | None] = dict.fromkeys(set(texts).difference(said))
    if all(_PLAIN.fullmatch(text.strip()) for text in said):
        return found | {text: float(text) for text in said}
    language = language_of(said)
    for text in said:
        if "e" in text.casefold() and _PLAIN.fullmatch(text.strip()):
            found[text] = float(text)
        elif isinstance(value := number(text, language, unit, whole, spoken=False), float):
            found[text] = value
    return found


def language_of(texts: Iterable[str]) -> str:
    """A language whose numbers are written as these are; "" where they contradict each other or say nothing."""
    decimals, doubtful = set(), set()
    for text in texts:
        digits = found[0] if (found := _DIGITS.search(text)) else ""
        separators = [character for character in digits if character in ".,"]
        if not separators:
            continue
        last = separators[-1]
        if len(set(separators)) == 1 and (len(separators) > 1 or _GROUPED.fullmatch(digits)):
            if len(separators) > 1:
                decimals.add("." if last == "," else ",")
            else:
                doubtful.add(last)
        else:
            decimals.add(last)
    if len(decimals) == 1:
        return ENGLISH if decimals == {"."} else GERMAN
    return ENGLISH if not decimals and doubtful == {","} else ""


def verdicts(known: Collection[str]) -> dict[str, str]:
    """Each verdict → the spelling that stands for it, where that makes two of more; what says nothing is left out."""
    said = sorted(text for text in known if tidy(text) not in ABSENT)
    for meaning in (str, tidy, _yes_or_no):
        meant = {text: meaning(text) for text in said}
        if len(set(meant.values())) <= 2:
            first = {meaning: text for text, meaning in reversed(meant.items())}
            return {text: text if meaning is str else first[meant[text]] for text in said}
    return {text: text for text in said}


def _yes_or_no(text: str) -> str:
    yes = MEANS.get(plain(text.removesuffix(".0")))
    return text if yes is None else YES if yes else NO
