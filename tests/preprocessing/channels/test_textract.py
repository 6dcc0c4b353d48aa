"""Paper as Textract has read it: captions, boxes, confidence, pages, and what is no form."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.channel_paper import Paper
from loadtest.channel_payloads import write_textract, written
from preprocessing.channels import textract
from preprocessing.channels.collected import Collected, Payload
from preprocessing.channels.names import yes_and_no
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category, Field, Number
from preprocessing.schema import Application
from tests.generated import EXAMPLE, writable_applications

LEAST = 0.9
EXPECTED = Application(**EXAMPLE)
SCANNED = (Path(__file__).parent / "examples" / "textract.json").read_bytes()
CHOICES: dict[str, Category] = {
    field.name: field.kind for field in FIELDS if isinstance(field.kind, Category) and not yes_and_no(field.kind)
}
CHOICE, WORDS = next((name, kind.values) for name, kind in CHOICES.items())
CAPTION = CHOICES[CHOICE].label
ASKED = next(field for field in FIELDS if isinstance(field.kind, Category) and yes_and_no(field.kind))
NUMBER = next(field for field in FIELDS if isinstance(field.kind, Number) and field.required)
NO_FORM = [("", "payload")]


def read(sent: bytes | Paper | list[Any] | dict[str, Any], language: str = "") -> Collected:
    if isinstance(sent, Paper):
        sent = sent.response()
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return textract.read(Payload(body, "application/json", language), LEAST)


def paper(without: str, seed: int = 0) -> Paper:
    """The example with one field left for the test to write."""
    form = Paper(seed)
    for field in FIELDS:
        if field.name != without:
            value = EXAMPLE[field.name]
            form.write(field.kind.label, value if isinstance(value, str) else written(value))
    return form


def value(found: Collected, name: str) -> object:
    assert isinstance(found.row, Application)
    return getattr(found.row, name)


def told(found: Collected) -> list[tuple[str, str]]:
    assert isinstance(found.row, InvalidApplication)
    return [(problem.field, problem.rule) for problem in found.row.detail]


@given(writable_applications)
def test_what_is_written_is_read(values: dict[str, Any]) -> None:
    assert read(write_textract(values)).row == Application(**values)


def test_a_scanned_form_is_read() -> None:
    found = read(SCANNED)
    assert found.row == EXPECTED
    assert found.unsure == ()
    assert {"Full name:", "Date:"} < set(found.unused)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("caption", ["{label}:", "{name}", "{label} .....", "{LABEL} *"])
def test_captions_are_known_in_any_spelling(field: Field, caption: str) -> None:
    form = paper(field.name)
    label, answer = field.kind.label, EXAMPLE[field.name]
    form.write(
        caption.format(label=label, name=field.name, LABEL=label.upper()),
        answer if isinstance(answer, str) else written(answer),
    )
    assert read(form).row == EXPECTED


@pytest.mark.parametrize("caption", ["{label} ({unit}):", "{label} (in {unit})", "{label}, {unit}", "{label} [{unit}]"])
def test_a_caption_may_say_the_unit(caption: str) -> None:
    assert isinstance(NUMBER.kind, Number)
    form = paper(NUMBER.name)
    form.write(caption.format(label=NUMBER.kind.label, unit=NUMBER.kind.unit), written(EXAMPLE[NUMBER.name]))
    assert read(form).row == EXPECTED


def test_a_caption_with_another_unit_is_another_caption() -> None:
    form = paper(NUMBER.name)
    form.write(f"{NUMBER.kind.label} (furlongs)", written(EXAMPLE[NUMBER.name]))
    assert told(read(form)) == [(NUMBER.name, "required")]


@pytest.mark.parametrize("word", WORDS)
def test_a_ticked_box_chooses_the_word_beside_it(word: str) -> None:
    form = paper(CHOICE)
    for each, label in WORDS.items():
        form.write(label, each == word)
    assert value(read(form), CHOICE) == word


def test_boxes_that_are_left_alone_say_nothing() -> None:
    form = paper(CHOICE)
    for label in WORDS.values():
        form.write(label, False)
    assert value(read(form), CHOICE) is None
    assert read(form).unused == ()


@pytest.mark.parametrize("tick", ["X", "x", "\u2713", "\u2612"])
def test_a_tick_that_was_taken_for_a_letter_is_a_tick(tick: str) -> None:
    form = paper(CHOICE)
    for word, label in WORDS.items():
        form.write(label, tick if word == EXAMPLE[CHOICE] else "")
    assert read(form).row == EXPECTED


def test_two_ticks_for_one_field_are_refused() -> None:
    form = paper(CHOICE)
    for label in list(WORDS.values())[:2]:
        form.write(label, True)
    assert told(read(form)) == [(CHOICE, "duplicate")]


def test_a_box_beside_the_field_that_says_it_too_is_refused() -> None:
    form = paper("")
    form.write(WORDS[EXAMPLE[CHOICE]], True)
    assert told(read(form)) == [(CHOICE, "duplicate")]


def test_what_is_written_beside_the_name_of_a_choice_is_no_tick() -> None:
    form = paper(CHOICE)
    form.write(WORDS[EXAMPLE[CHOICE]], "since 2019")
    assert value(read(form), CHOICE) is None
    assert read(form).unused == (WORDS[EXAMPLE[CHOICE]],)


@pytest.mark.parametrize("caption", ["Yes", "No", "Other", "None"])
def test_a_box_that_could_belong_to_any_question_says_nothing(caption: str) -> None:
    form = paper("")
    form.write(caption, True)
    assert read(form).row == EXPECTED
    assert read(form).unused == (caption,)


@pytest.mark.parametrize("yes", [True, False])
def test_a_question_of_yes_or_no_may_have_one_box_or_two(yes: bool) -> None:
    assert isinstance(ASKED.kind, Category)
    expected = yes_and_no(ASKED.kind)[yes]
    for boxes in ([yes], ["Yes", yes, "No", not yes], [yes, "Yes", not yes, "No"], ["yes" if yes else "no"]):
        form = paper(ASKED.name)
        form.write(f"{ASKED.kind.label}?", *boxes)
        assert value(read(form), ASKED.name) == expected


@pytest.mark.parametrize("leading", [True, False])
def test_choices_may_stand_in_one_value(leading: bool) -> None:
    form, boxes = paper(CHOICE), list[str | bool]()
    for word, label in WORDS.items():
        boxes += [word == EXAMPLE[CHOICE], label] if leading else [label, word == EXAMPLE[CHOICE]]
    form.write(CAPTION, *boxes)
    assert read(form).row == EXPECTED


@pytest.mark.parametrize(
    ("boxes", "rules"),
    [
        ([True, "rent", True, "owner"], ["duplicate"]),
        ([True, "rent", "owner"], ["category"]),
        (["rent", True, "owner"], ["category"]),  # a box was overlooked, but which?
        ([True, True, "rent"], ["category"]),
        (["rent", False], ["category"]),  # a word that was written, beside the box of something else?
        (["rent", True], []),
        ([True], ["category"]),
        ([False, "rent", False, "owner"], []),
        ([False], []),
        ([], []),
    ],
)
def test_boxes_that_do_not_add_up_are_refused(boxes: list[str | bool], rules: list[str]) -> None:
    form, words = paper(CHOICE), list(WORDS)
    names = {"rent": words[3], "owner": words[0]}
    form.write(CAPTION, *(names.get(each, each) if isinstance(each, str) else each for each in boxes))
    found = read(form)
    if rules:
        assert told(found) == [(CHOICE, rule) for rule in rules]
    else:
        assert value(found, CHOICE) == (words[3] if boxes == ["rent", True] else None)


def test_a_box_is_no_number() -> None:
    for boxes in ([True], [False], ["9", False], [True, "9"], ["9", True, "10", False]):
        form = paper(NUMBER.name)
        form.write(NUMBER.kind.label, *boxes)
        assert [name for name, _ in told(read(form))] == [NUMBER.name]


@pytest.mark.parametrize(
    ("pair", "words", "unsure"),
    [(98.0, 99.0, False), (98.0, 89.9, True), (89.9, 99.0, True), (90.0, 90.0, False), (250.0, 99.0, True)],
)
def test_the_least_sure_part_counts(pair: float, words: float, unsure: bool) -> None:
    form = paper(NUMBER.name)
    form.write(NUMBER.kind.label, written(EXAMPLE[NUMBER.name]), confidence=pair, sure_of_words=words)
    found = read(form)
    assert found.row == EXPECTED
    assert found.unsure == ((NUMBER.name,) if unsure else ())
    _, _, confidence = found.sent[NUMBER.name]
    assert confidence is not None
    assert 0 <= confidence <= 1


def test_a_box_that_textract_is_not_sure_of_is_told() -> None:
    form = paper(ASKED.name)
    form.write(ASKED.kind.label, "Yes", False, "No", True, sure_of_words=55.0)
    assert read(form).unsure == (ASKED.name,)


def test_numbers_are_read_in_the_senders_language() -> None:
    field = next(field for field in FIELDS if isinstance(field.kind, Number) and not field.kind.whole)
    form = paper(field.name)
    form.write(field.kind.label, "1.234,5")
    assert value(read(form, "de-DE"), field.name) == 1234.5


def pages() -> list[dict[str, Any]]:
    """The example on two pages, as GetDocumentAnalysis gives them."""
    first, second = Paper(1), Paper(2)
    for place, field in enumerate(FIELDS):
        answer = EXAMPLE[field.name]
        (first if place < 5 else second).write(field.kind.label, answer if isinstance(answer, str) else written(answer))
    job = {"JobStatus": "SUCCEEDED"}
    return [{**job, "NextToken": "1ABC", **first.response()}, {**job, **second.response()}]


def test_a_list_of_responses_is_one_document() -> None:
    assert read(pages()).row == EXPECTED


def test_a_document_that_is_not_whole_is_refused() -> None:
    first, second = pages()
    for sent in (first, [first], [second, first], [first, {**second, "JobStatus": "FAILED"}]):
        assert told(read(sent)) == NO_FORM
    for status in ("IN_PROGRESS", "PARTIAL_SUCCESS", None):
        assert told(read({**Paper().response(), "JobStatus": status})) == NO_FORM


@pytest.mark.parametrize(
    "sent",
    [
        [],
        {},
        [{}],
        {"Blocks": None},
        {"Blocks": []},
        {"Blocks": [None, 7, "KEY", {}, {"Id": 7}]},
        {"Blocks": [{"Id": "a", "BlockType": "KEY_VALUE_SET", "EntityTypes": "KEY"}]},
        Paper().response(),
        [Paper().response(), 7],
    ],
)
def test_pages_without_a_form_are_refused_whole(sent: Any) -> None:
    assert told(read(sent)) == NO_FORM


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"Blocks": [], "Blocks": []}', b"[" * 100_000])
def test_what_is_no_json_is_refused_whole(body: bytes) -> None:
    assert [rule for _, rule in told(read(body))] in (["json"], ["duplicate"])


def test_pointers_to_nothing_and_in_circles_are_harmless() -> None:
    form = paper("")
    for block in form.blocks:
        related = block.setdefault("Relationships", [])
        related += [
            {"Type": "CHILD", "Ids": [block["Id"], "nobody", None, 7]},
            {"Type": "CHILD", "Ids": "abc"},
            {"Type": "VALUE", "Ids": ["nobody", {}]},
            {"Type": "MERGED_CELL"},
            None,
        ]
    assert read(form).row == EXPECTED
    form.blocks[1]["Relationships"] = {"Type": "VALUE"}
    assert isinstance(read(form).row, InvalidApplication)


def test_two_megabytes_of_pointers_at_one_another_are_read_in_one_go() -> None:
    words = [{"Id": f"w{n}", "BlockType": "WORD", "Text": "9"} for n in range(1000)]
    children = [{"Type": "CHILD", "Ids": [word["Id"] for word in words]}]
    answers = [{"Id": f"v{n}", "BlockType": "KEY_VALUE_SET", "Relationships": children} for n in range(100)]
    to_all = [{"Type": "VALUE", "Ids": [answer["Id"] for answer in answers]}]
    keys = [
        {"Id": f"k{n}", "BlockType": "KEY_VALUE_SET", "EntityTypes": ["KEY"], "Relationships": to_all}
        for n in range(1500)
    ]
    body = json.dumps({"Blocks": [*words, *answers, *keys]}).encode()
    assert len(body) > 1_800_000
    found = read(body)
    assert isinstance(found.row, InvalidApplication)
    assert len(found.source()) < 10_000


def test_a_value_that_goes_on_and_on_is_no_value() -> None:
    form = paper(CHOICE)
    form.write(CAPTION, EXAMPLE[CHOICE], *[""] * 3)
    assert read(form).row == EXPECTED
    form = paper(NUMBER.name)
    form.write(NUMBER.kind.label, *["9"] * (textract.MOST_WORDS + 1))
    assert [name for name, _ in told(read(form))] == [NUMBER.name]


def test_problems_are_told_with_the_captions_of_the_paper() -> None:
    form, detail = paper(NUMBER.name), [{"field": NUMBER.name, "rule": "", "message": ""}]
    assert read(form).called(detail)[0]["field"] == NUMBER.kind.label
    form.write(f"{NUMBER.name.upper()}:", "many")
    assert read(form).called(detail)[0]["field"] == f"{NUMBER.name.upper()}:"


scraps = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from(["KEY", "VALUE", "CHILD", "WORD", "KEY_VALUE_SET", "SELECTED", "a", "b", CAPTION, "9"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["Blocks", "BlockType", "Id", "EntityTypes", "Relationships", "Type", "Ids", "Text", "Confidence"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(scraps | scraps.map(lambda inner: {"Blocks": [inner]}) | scraps.map(lambda inner: {"Blocks": inner}))
def test_any_json_is_read_to_something(sent: Any) -> None:
    found = read(json.dumps(sent).encode())
    assert isinstance(found.row, (Application, InvalidApplication))
    assert json.loads(found.source())["form"] == textract.FORM


@settings(max_examples=30)
@given(st.data())
def test_a_damaged_document_is_read_to_something(data: st.DataObject) -> None:
    document = json.loads(SCANNED)
    for _ in range(data.draw(st.integers(1, 6))):
        block = data.draw(st.sampled_from(document["Blocks"]))
        block[data.draw(st.sampled_from(sorted(block) or ["Id"]))] = data.draw(scraps)
    found = read(document)
    assert isinstance(found.row, (Application, InvalidApplication))
    assert json.loads(found.source())["form"] == textract.FORM


@given(st.binary(), st.integers(0, len(SCANNED)))
def test_any_bytes_are_read_to_something(scrap: bytes, at: int) -> None:
    for body in (scrap, SCANNED[:at] + scrap, SCANNED[:at] + scrap + SCANNED[at:]):
        found = read(body)
        assert isinstance(found.row, (Application, InvalidApplication))
