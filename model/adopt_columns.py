"""What the columns of an unknown table are: numbers, words, or nothing that an application should have.

Judged by the values, with the header for what values do not tell. What cannot be a field is left out with a reason.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.adopt_names import is_identifier, names_of, unit_of
from model.adopt_signal import Bad, Places, binned, direction, rates, strength
from model.cells import ABSENT, NO, NO_NUMBER, YES, tidy, worth
from model.source import rows_named
from preprocessing.channels.spelling import MEANS, plain
from preprocessing.fields import Direction

MOST_WORDS = 100  # of a category
LONGEST_WORD = 60  # characters; what is longer is a text
LARGEST = 1e15  # of a number; what is larger is an identifier or a mistake
LEAKS = 0.985  # AUC of a column alone, from which it must have been written down after the verdict
WHOLE_UP_TO = 1000  # larger numbers that happen to be whole may be money, and have cents another day
_FEW_ODD = 0.1  # share of cells that are no numbers, up to which they are taken for mistakes …
_FEW_NUMBERS = 20  # … unless there are no more numbers than these, as in 0, 1, 2, 3 or more
_DISTINCT = 0.9  # share of distinct values, from which they name something
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?|"
    r"(jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zäé]{0,7}[- ]\d{2,4}",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"[-+\d][\d.,' ]*?\s*([^\d\s.,']{1,12})")
_SENTINELS = (-1, -9, -99, -999, -9999, 99, 999, 9999, 99999, 999999, 9999999)

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A column of numbers from `low` to `high`. `missing_as` is a number that may stand for a missing value."""

    low: float
    high: float
    whole: bool
    unit: str  # "" where nothing tells it
    example: float
    direction: Direction
    missing_as: float | None


@dataclass(frozen=True, slots=True)
class Worded:
    """A column of words, in the order of their bad rates; yes and no in their own."""

    words: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column that becomes the field `name`; `auc` is what it tells of the verdict alone."""

    source: str
    name: str
    is_as: Measured | Worded
    may_be_missing: bool
    auc: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that becomes no field, and why."""

    source: str
    why: str


class _NoFieldError(Exception):
    """The column is none; the message says what it is instead."""


def judge(table: Any, row_numbers: npt.NDArray[np.int64], bad: Bad) -> tuple[list[Column], list[LeftOut]]:
    """The table's columns, without the label's: those that become fields, and the others."""
    columns, left_out = [], []
    names = names_of(table.column_names)
    for source in table.column_names:
        try:
            columns.append(_column(source, names[source], table[source], row_numbers, bad))
        except _NoFieldError as reason:
            left_out.append(LeftOut(source, str(reason)))
        except pa.ArrowException:  # of what only Arrow itself has a name for
            left_out.append(LeftOut(source, f"holds neither numbers nor words, but {table[source].type}"))
    return columns, left_out


def _column(source: str, name: str, cells: Any, row_numbers: npt.NDArray[np.int64], bad: Bad) -> Column:
    cells = _plain_type(cells)
    if pa.types.is_boolean(cells.type):
        cells = pc.if_else(cells, YES, NO)
    if not pa.types.is_string(cells.type):
        return _of_numbers(source, name, _floats(cells), unit_of(source), bad)
    texts, places = _distinct(cells)
    _refuse_nothing(texts)
    unit = unit_of(source) or _unit_of(texts)
    worth = _worth(cells, texts, unit)
    if worth is None:
        return _of_words(source, name, texts, places, bad)
    values, odd = worth
    present = ~np.isnan(values) | odd
    if not odd.any():
        return _of_numbers(source, name, values, unit, bad)
    if odd.sum() > _FEW_ODD * present.sum() or len(texts) <= _FEW_NUMBERS:
        return _of_words(source, name, texts, places, bad)
    raise _NoFieldError(f"holds numbers, but not in {rows_named(row_numbers[odd].tolist())}")


def _plain_type(cells: Any) -> Any:
    """Text, numbers or truth values; _NoFieldError for what is neither."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    type_ = cells.type
    if pa.types.is_temporal(type_):
        raise _NoFieldError("is a date or a time: hand over how long ago it was instead")
    if pa.types.is_null(type_):
        raise _NoFieldError("is always empty")
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return cells.cast(pa.string())
    if not (_is_number(type_) or pa.types.is_boolean(type_) or pa.types.is_string(type_)):
        raise _NoFieldError(f"holds neither numbers nor words, but {type_}")
    return cells


def _is_number(type_: Any) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _floats(cells: Any) -> Numbers:
    found: Numbers = pc.fill_null(pc.cast(cells, pa.float64(), safe=False), np.nan).to_numpy()
    return found


def _distinct(cells: Any) -> tuple[list[str], Places]:
    """The texts of a column, and for each row which of them; -1 for an empty one."""
    coded = cells.dictionary_encode().combine_chunks()
    coded = coded if isinstance(coded, pa.Array) else pa.concat_arrays(coded.chunks)
    places = pc.fill_null(coded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return coded.dictionary.to_pylist(), places


def _refuse_nothing(texts: Sequence[str]) -> None:
    if all(tidy(text) in ABSENT for text in texts):
        raise _NoFieldError("is always empty")
    said = [text for text in texts if tidy(text) not in ABSENT]
    if sum(1 for text in said if _DATE.fullmatch(text.strip())) >= 0.95 * len(said):
        raise _NoFieldError("is a date or a time: hand over how long ago it was instead")


def _unit_of(texts: Sequence[str]) -> str:
    """What stands behind every number, as "%" does."""
    said = [text.strip() for text in texts if tidy(text) not in NO_NUMBER]
    suffixes = {found[1] for text in said[:1000] if (found := _SUFFIX.fullmatch(text))}
    return suffixes.pop() if len(suffixes) == 1 and any(_SUFFIX.fullmatch(text) for text in said) else ""


def _worth(cells: Any, texts: Sequence[str], unit: str) -> tuple[Numbers, npt.NDArray[np.bool_]] | None:
    """What the cells are worth as numbers, NaN for missing ones, and which say something else; None if most do."""
    try:
        return _floats(pc.cast(cells, pa.float64())), np.zeros(len(cells), dtype=bool)
    except pa.ArrowInvalid:
        some = texts[:MOST_WORDS]
    if len(worth(some, unit)) < len(some) / 2:
        return None
    found = worth(texts, unit)
    numbers = np.array([np.nan if (value := found.get(text)) is None else value for text in texts] + [np.nan])
    odd = np.array([text not in found for text in texts] + [False])
    _, places = _distinct(cells)
    return numbers[places], odd[places]


def _of_numbers(source: str, name: str, values: Numbers, unit: str, bad: Bad) -> Column:
    missing = np.isnan(values)
    present = values[~missing]
    if not present.size:
        raise _NoFieldError("is always empty")
    distinct = np.unique(present)
    if distinct.size == 1 and not missing.any():
        raise _NoFieldError("is always the same")
    if not np.isfinite(present).all() or np.abs(distinct).max() > LARGEST:
        raise _NoFieldError(f"holds numbers beyond {LARGEST:.0e}")
    whole = bool((distinct == np.rint(distinct)).all())
    if whole and _are_dates(distinct):
        raise _NoFieldError("is a date or a time: hand over how long ago it was instead")
    if whole and _are_identifiers(source, present, distinct):
        raise _NoFieldError("seems to name an applicant or a row")
    return Column(
        source,
        name,
        Measured(
            low=float(distinct[0]),
            high=float(distinct[-1]),
            whole=whole and float(np.abs(distinct).max()) <= WHOLE_UP_TO,
            unit="0 or 1" if whole and set(distinct) <= {0, 1} else unit,
            example=float(np.sort(present)[present.size // 2]),
            direction=direction(values, bad),
            missing_as=_sentinel(present, distinct),
        ),
        bool(missing.any()),
        _told(binned(values), bad),
    )


def _are_dates(distinct: Numbers) -> bool:
    """As in 20240131."""
    days, months = distinct % 100, distinct // 100 % 100
    calendar = (distinct >= 19_000_101) & (distinct <= 21_001_231) & (days >= 1) & (days <= 31)
    return bool((calendar & (months >= 1) & (months <= 12)).all())


def _are_identifiers(source: str, present: Numbers, distinct: Numbers) -> bool:
    if distinct.size < _DISTINCT * present.size or distinct.size <= MOST_WORDS:
        return False
    steps = np.diff(present)
    in_order = bool((steps > 0).all() or (steps < 0).all())
    counted = distinct.size == present.size and distinct[-1] - distinct[0] < 2 * distinct.size
    return is_identifier(source) or in_order or bool(counted)


def _sentinel(present: Numbers, distinct: Numbers) -> float | None:
    """A number that is often there, far from all others, and looks like nobody's value."""
    for end, neighbour in ((0, 1), (-1, -2)):
        if distinct.size > 2 and distinct[end] in _SENTINELS:
            rest = np.delete(distinct, end)
            often = (present == distinct[end]).mean() >= 0.005
            if often and abs(distinct[end] - distinct[neighbour]) > 0.5 * (rest[-1] - rest[0]):
                return float(distinct[end])
    return None


def _of_words(source: str, name: str, texts: Sequence[str], places: Places, bad: Bad) -> Column:
    counts = np.bincount(places[places >= 0], minlength=len(texts))
    word_of = _merged(dict(zip(texts, counts.tolist(), strict=True)))
    words = sorted(set(word_of.values()))
    present = sum(count for text, count in zip(texts, counts.tolist(), strict=True) if text in word_of)
    if len(words) > MOST_WORDS or max(map(len, words)) > LONGEST_WORD:
        if max(map(len, words)) > LONGEST_WORD:
            raise _NoFieldError("holds texts")
        if len(words) >= _DISTINCT * present or is_identifier(source):
            raise _NoFieldError("seems to name an applicant or a row")
        raise _NoFieldError(f"has {len(words):,} different words: group them into at most {MOST_WORDS} first")
    index = {word: place for place, word in enumerate(words)}
    place_of = np.array([index[word_of[text]] if text in word_of else len(words) for text in [*texts, ""]])
    groups: Places = place_of[places]
    may_be_missing = bool((groups == len(words)).any())
    if len(words) == 1 and not may_be_missing:
        raise _NoFieldError("is always the same")
    told = _told(groups, bad)
    order = np.argsort(rates(groups, bad, len(words) + 1)[:-1], kind="stable")
    ordered = [words[place] for place in order]
    meanings = [MEANS.get(plain(word)) for word in ordered]
    if sorted(map(str, meanings)) == ["False", "True"]:
        ordered.sort(key=lambda word: bool(MEANS[plain(word)]))
    most_frequent = words[int(np.argmax(np.bincount(groups, minlength=len(words))[: len(words)]))]
    return Column(source, name, Worded(tuple(ordered), most_frequent), may_be_missing, told)


def _merged(counts: Mapping[str, int]) -> dict[str, str]:
    """Each text → the word it is: the most frequent of the spellings that differ in case and spaces, or yes and no."""
    said = {text: count for text, count in counts.items() if tidy(text) not in ABSENT}
    meanings = {text: MEANS.get(plain(text)) for text in said}
    if len({tidy(text) for text in said}) > 2 and set(meanings.values()) == {True, False}:
        return {text: YES if meaning else NO for text, meaning in meanings.items()}
    first: dict[str, str] = {}
    for text, _ in Counter(said).most_common():
        first.setdefault(tidy(text), text.strip())
    return {text: first[tidy(text)] for text in said}


def _told(groups: Places, bad: Bad) -> float:
    found = strength(groups, bad)
    if found >= LEAKS:
        raise _NoFieldError(f"tells the verdict by itself (AUC {found:.3f}), so it was written down after it")
    return found
