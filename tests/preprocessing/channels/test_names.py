from collections import Counter

import pytest

from preprocessing.channels.names import (
    LONGEST,
    camel,
    field_called,
    pascal,
    word_called,
    yes_and_no,
)
from preprocessing.channels.spelling import plain
from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field

CATEGORIES = [(field, field.kind) for field in FIELDS if isinstance(field.kind, Category)]
YES_OR_NO = [(field, kind) for field, kind in CATEGORIES if yes_and_no(kind)]
KIND = Category(label="Has a garden", values={"none": "there is none", "y": "there is one"}, example="y")


def spellings(name: str) -> list[str]:
    return [name, camel(name), pascal(name), name.upper(), name.replace("_", "-"), name.replace("_", " "), f" {name}: "]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_is_known_by_its_name_in_any_spelling_and_by_its_label(field: Field) -> None:
    for name in (*spellings(field.name), field.kind.label, f"{field.kind.label.upper()}:", *field.kind.also):
        assert field_called(name) == field


def test_what_means_no_field_or_is_too_long_means_none() -> None:
    for key in ("", "-", "shoe size", f"{FIELDS[0].name}s and more", FIELDS[0].name + " " * LONGEST, "\u0000", "日本"):
        assert field_called(key) is None


def test_no_two_fields_share_a_name() -> None:
    names = Counter(
        name for field in FIELDS for name in {plain(name) for name in (field.kind.label, field.name, *field.kind.also)}
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(("field", "kind"), CATEGORIES, ids=lambda value: getattr(value, "name", ""))
def test_a_word_is_known_by_itself_its_label_and_what_people_say_instead(field: Field, kind: Category) -> None:
    for word, label in kind.values.items():
        for text in (word, word.upper(), f" {word}. ", label, label.title()):
            assert word_called(field.name, text) == word
    for other, word in kind.words.items():
        assert word_called(field.name, other) == word
    for text in ("", "?", "a castle", next(iter(kind.values)) + " " * LONGEST):
        assert word_called(field.name, text) is None


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("yes", "no"),
        ("Yes.", "NO!"),
        ("yeah", "nope"),
        ("yes please", "no, thank you"),
        ("yes, I do", "No, I don't"),
        ("true", "false"),
        ("on", "off"),
        ("1", "0"),
        ("ja", "nein"),
        ("ja", "nee"),
        ("sí", "no"),
        ("sì", "no"),
        ("oui", "non"),
        ("sim", "não"),
        ("s\u0069\u0301", "na\u0303o"),  # with accents of their own
        ("\uff59\uff45\uff53", "\uff4e\uff4f"),
    ],
)
def test_yes_and_no_are_known_in_many_words(yes: str, no: str) -> None:
    for field, kind in YES_OR_NO:
        words = yes_and_no(kind)
        assert (word_called(field.name, yes), word_called(field.name, no)) == (words[True], words[False])
        assert word_called(field.name, "2") is None
        assert word_called(field.name, "yes and no") is None


def test_a_category_is_yes_or_no_if_its_two_words_say_so() -> None:
    assert yes_and_no(KIND) == {True: "y", False: "none"}
    assert yes_and_no(Category(label="x", values={"yes": "", "no": "", "maybe": ""}, example="no")) == {}
    assert yes_and_no(Category(label="x", values={"yes": "", "ja": ""}, example="yes")) == {}
    assert yes_and_no(Category(label="x", values={"small": "", "large": ""}, example="small")) == {}


def test_spellings_follow_from_a_name() -> None:
    assert (camel("monthly_income"), pascal("monthly_income")) == ("monthlyIncome", "MonthlyIncome")
    assert plain("Monthly-Income (€)") == plain("monthlyIncome") == "monthlyincome"
    assert plain("Straße") == plain("STRASSE")
