"""Paper, as Amazon Textract has read it: AnalyzeDocument's FORMS, or a list of GetDocumentAnalysis' responses.

    KEY_VALUE_SET (KEY) → its words, and by VALUE: KEY_VALUE_SET (VALUE) → words, or boxes that are SELECTED or not

A key is a field's caption, or what is printed beside one of a field's boxes. A box that is not ticked says nothing,
unless it is all that a question of yes or no has.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from preprocessing.channels.collected import Collected, Payload, Sent, collected, no_application
from preprocessing.channels.json_body import Unreadable, parsed
from preprocessing.channels.names import field_called, yes_and_no
from preprocessing.channels.spelling import plain
from preprocessing.channels.values import Reading
from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field, Number

FORM = "textract"
MOST_WORDS = 100  # of a key or a value; a longer one is none
_TICK = "☒ "  # begins the key of a box that is ticked
_TICKS = frozenset(["x", "✓", "✔", "☑", "☒"])  # a tick that was taken for a letter
# beside a box of any question
_SAID_ANYWHERE = frozenset(["yes", "no", "other", "others", "none", "unknown"])
_NAMES = {field.name: field.kind.label for field in FIELDS}
_NO_PAGES = "this must be a response of Amazon Textract, or a list of them, with Blocks"
_NO_FORM = "the pages have no form that could be read; ask Textract for the feature FORMS"
_NOT_DONE = "Textract has not read all the pages"
_PAGES_MISSING = "pages are missing: there is a NextToken, so send the responses of all of them as one list"

_Block = Mapping[str, Any]


class _Part(NamedTuple):
    """A word, or a box: then `selected` is True or False."""

    text: str
    confidence: float | None
    selected: bool | None = None


_Parts = tuple[_Part, ...]
_TOO_MANY = _Part("…", None)


def read(payload: Payload, least: float) -> Collected:
    """What Textract has read, as an application."""
    said = parsed(payload.body)
    if isinstance(said, Unreadable):
        return no_application(FORM, payload.body, said)
    pages: list[Any] = said if isinstance(said, list) else [said]
    if not pages or not all(isinstance(page, dict) and isinstance(page.get("Blocks"), list) for page in pages):
        return no_application(FORM, payload.body, _NO_PAGES)
    if any(page.get("JobStatus", "SUCCEEDED") != "SUCCEEDED" for page in pages):
        return no_application(FORM, payload.body, _NOT_DONE)
    if pages[-1].get("NextToken"):
        return no_application(FORM, payload.body, _PAGES_MISSING)
    blocks = {
        block["Id"]: block
        for page in pages
        for block in page["Blocks"]
        if isinstance(block, dict) and isinstance(block.get("Id"), str)
    }
    parts = {name: _parts(block, blocks) for name, block in blocks.items() if block.get("BlockType") == "KEY_VALUE_SET"}
    keys = [name for name in parts if _is_key(blocks[name])]
    if not keys:
        return no_application(FORM, payload.body, _NO_FORM)
    sent = (one for key in keys for one in _sent(blocks[key], parts[key], _value(blocks[key], parts)))
    return collected(FORM, payload.body, sent, Reading(payload.language), names=_NAMES, least=least, called=_meant)


def _is_key(block: _Block) -> bool:
    entities = block.get("EntityTypes")
    return isinstance(entities, list) and "KEY" in entities


def _parts(block: _Block, blocks: Mapping[str, _Block]) -> _Parts:
    """The words and boxes of a key or of a value."""
    children = (blocks[name] for name in _related(block, "CHILD") if name in blocks)
    return tuple(part for child in children if (part := _part(child)) is not None)


def _part(block: _Block) -> _Part | None:
    confidence = _share(block.get("Confidence"))
    if block.get("BlockType") == "WORD":
        return _Part(text if isinstance(text := block.get("Text"), str) else "", confidence)
    if block.get("BlockType") == "SELECTION_ELEMENT":
        selected = block.get("SelectionStatus") == "SELECTED"
        return _Part("SELECTED" if selected else "NOT_SELECTED", confidence, selected)
    return None


def _value(key: _Block, parts: Mapping[str, _Parts]) -> _Parts:
    """The words and boxes of a key's value; one that is too long ends in a word that spoils it."""
    found = tuple(islice((part for name in _related(key, "VALUE") for part in parts.get(name, ())), MOST_WORDS + 1))
    return found if len(found) <= MOST_WORDS else (*found, _TOO_MANY)


def _related(block: _Block, kind: str) -> Iterator[str]:
    """The ids that a block points to; whether they exist is another matter."""
    related = block.get("Relationships")
    for one in related if isinstance(related, list) else ():
        if isinstance(one, dict) and one.get("Type") == kind and isinstance(ids := one.get("Ids"), list):
            yield from (name for name in ids if isinstance(name, str))


def _share(percent: object) -> float | None:
    """Textract's confidence, from 0 to 1; what is none of its numbers deserves no confidence."""
    if percent is None:
        return None
    return percent / 100 if isinstance(percent, (int, float)) and 0 <= percent <= 100 else 0.0


def _sent(key: _Block, caption: _Parts, value: _Parts) -> Iterator[Sent]:
    """What a key and its value say: one thing, nothing for a box that is left alone, two where two boxes are ticked."""
    name = _text(caption)
    doubts = [_share(key.get("Confidence")), *(part.confidence for part in value)]
    confidence = min((each for each in doubts if each is not None), default=None)
    if field := _captioned(name):
        for each in _values(field, value):
            yield Sent(name, each, confidence)
    elif (box := _BOXES.get(plain(name))) and (ticked := _is_ticked(value)) is not None:
        if ticked:
            yield Sent(_TICK + name, box[1], confidence)
    else:
        yield Sent(name, _text(value), confidence)


def _meant(key: str) -> Field | None:
    box = _BOXES.get(plain(key)) if key.startswith(_TICK) else None
    return box[0] if box else _captioned(key)


def _captioned(key: str) -> Field | None:
    return field_called(key) or _WITH_UNITS.get(plain(key))


def _is_ticked(value: _Parts) -> bool | None:
    """Whether the box beside a caption is ticked; None where it is no box."""
    boxes = {part.selected for part in value if part.selected is not None}
    if len(boxes) == 1:
        return boxes.pop()
    if not boxes and (text := _text(value).strip().casefold()) in _TICKS | {""}:
        return text in _TICKS
    return None


def _values(field: Field, value: _Parts) -> Iterator[object]:
    """The values that a field was given: one, but for two ticks."""
    boxes = [part for part in value if part.selected is not None]
    if not boxes:
        yield _text(value)
    elif len(value) == 1:
        # a lone box answers a question of yes or no; for any other a tick is no answer, and none is none
        has_no = isinstance(field.kind, Category) and bool(yes_and_no(field.kind))
        yield boxes[0].selected if boxes[0].selected or has_no else None
    elif isinstance(field.kind, Number) or (choices := _choices(value)) is None:
        yield _text(value)  # with the box in it, so that no rule takes it
    else:
        ticked: list[object] = [" ".join(words) for words, is_ticked in choices if is_ticked]
        yield from ticked or [None]


def _choices(value: _Parts) -> list[tuple[list[str], bool]] | None:
    """ "☒ Rent ☐ Own" or "Rent ☒ Own ☐" → the words of each choice, and whether it is ticked.

    None where a box has no words, or words have no box: then nobody knows which belongs to which. Nor does anybody if
    a single choice is not ticked: the words may be an answer, and the box another's.
    """
    are_leading = value[0].selected is not None
    choices: list[tuple[list[str], bool]] = []
    words: list[str] = []
    for part in reversed(value) if are_leading else value:
        if part.selected is None:
            words.append(part.text)
        elif words:
            choices.append((words[::-1] if are_leading else words, part.selected))
            words = []
        else:
            return None
    return None if words or [ticked for _, ticked in choices] == [False] else choices


def _text(parts: _Parts) -> str:
    return " ".join(part.text for part in parts)


def _with_units() -> dict[str, Field]:
    """Captions that say the unit: "Term (months)", "Term in months"."""
    found: dict[str, list[Field]] = {}
    for field in FIELDS:
        kind = field.kind
        if isinstance(kind, Number):
            for name in (field.name, kind.label, *kind.also):
                for way in {plain(f"{name}{kind.unit}"), plain(f"{name}in{kind.unit}")}:
                    found.setdefault(way, []).append(field)
    return {way: fields[0] for way, fields in found.items() if len(set(map(id, fields))) == 1}


def _boxes() -> dict[str, tuple[Field, str]]:
    """What is printed beside a box → the field and the word that it means, where that is one field's alone."""
    found: dict[str, list[tuple[Field, str]]] = {}
    for field in FIELDS:
        kind = field.kind
        if isinstance(kind, Category):
            ways = [(word, word) for word in kind.values]
            ways += [(label, word) for word, label in kind.values.items()] + list(kind.words.items())
            for way, word in {(plain(way), word) for way, word in ways}:
                found.setdefault(way, []).append((field, word))
    return {way: meant[0] for way, meant in found.items() if len(meant) == 1 and way and way not in _SAID_ANYWHERE}


_WITH_UNITS, _BOXES = _with_units(), _boxes()
