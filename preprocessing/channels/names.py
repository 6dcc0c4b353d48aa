"""What channels call the fields and their words: a map that follows from the schema.

A field is known by its name in any spelling (`monthly_income`, `monthlyIncome`, `Monthly-Income`), by its label, and by
the other names that the schema gives it (`also`). So are the words of a category. What two of them share means neither.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from preprocessing.channels.spelling import MEANS, plain
from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field

LONGEST = 256  # characters of a key or a word; what is longer means nothing
_MOST_KNOWN = 4096  # keys
_WORD_BEGINS = re.compile(r"_+(.)")
_Meaning = TypeVar("_Meaning")


def camel(name: str) -> str:
    """`monthly_income` → `monthlyIncome`."""
    return _WORD_BEGINS.sub(lambda found: found[1].upper(), name)


def pascal(name: str) -> str:
    """`monthly_income` → `MonthlyIncome`."""
    return camel(f"_{name}")


def _known(meanings: Iterable[tuple[Iterable[str], _Meaning]]) -> dict[str, _Meaning]:
    """Each name in its plain spelling → what it means, unless it means two things."""
    known: dict[str, _Meaning | None] = {}
    for names, meaning in meanings:
        for name in {plain(name) for name in names}:
            known[name] = None if name in known else meaning
    return {name: meaning for name, meaning in known.items() if meaning is not None and name}


_OWN = _known(([field.name], field) for field in FIELDS)
_FIELDS = {**_known(([field.kind.label, *field.kind.also], field) for field in FIELDS), **_OWN}


class _Called(dict[str, Field | None]):
    """What keys mean, as far as they have come up; a caller could send others for ever."""

    def __missing__(self, key: str) -> Field | None:
        if len(key) > LONGEST:
            return None
        found = _FIELDS.get(plain(key))
        if len(self) < _MOST_KNOWN:
            self[key] = found
        return found


field_called: Callable[[str], Field | None] = _Called().__getitem__
"""The field that a key means; None if it means none."""


def yes_and_no(kind: Category) -> dict[bool, str]:
    """Which word of a category is its yes and which its no; empty where it has others."""
    if len(kind.values) != 2:
        return {}
    says = {MEANS.get(plain(word)): word for word in kind.values}
    return {yes: says[yes] for yes in (True, False)} if says.keys() == {True, False} else {}


def _words(kind: Category) -> dict[str, str]:
    others: dict[str, list[str]] = {word: [label] for word, label in kind.values.items()}
    for other, word in kind.words.items():
        others[word].append(other)
    yes_or_no = yes_and_no(kind)
    said = {way: yes_or_no[yes] for way, yes in MEANS.items()} if yes_or_no else {}
    return {**said, **_known((names, word) for word, names in others.items()), **_known(([w], w) for w in kind.values)}


_WORDS = {field.name: _words(field.kind) for field in FIELDS if isinstance(field.kind, Category)}


def word_called(name: str, text: str) -> str | None:
    """The word that a text means for the category of that name; None if it means none."""
    return _WORDS[name].get(plain(text)) if len(text) <= LONGEST else None  # personal data: kept in no cache
