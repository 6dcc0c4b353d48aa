"""Dialogues as tests need them: applications in a channel's form, real payloads gone wrong, and what may be told."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from preprocessing.channels.collected import Collected, Payload
from preprocessing.channels.names import camel
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication

EXAMPLES = Path(__file__).parent / "examples"
SCORE: dict[str, Any] = {
    "probability": 0.166922,
    "tier": "medium",
    "points": 534,
    "model_version": "2a18b540a176",
    "policy_version": "ef4432637565",
    "decision_id": "01a209b3-117e-7530-8ca4-a96cd0dd9bb1",
    "warnings": [],
}
EXPLAINED: dict[str, Any] = {
    **SCORE,
    "warnings": [{"field": FIELDS[0].name, "code": "missing", "message": "something is missing"}],
    "reasons": [
        {"field": FIELDS[0].name, "contribution": 0.4, "code": "a", "text": "One thing is low"},
        {"field": FIELDS[-1].name, "contribution": 0.2, "code": "b", "text": "Another is high"},
    ],
}
BUSY: dict[str, Any] = {"error": "overloaded", "message": "the service has more to do than it can", "detail": []}


def refusal(collected: Collected) -> dict[str, Any]:
    """What is told of a payload that was refused."""
    assert isinstance(collected.row, InvalidApplication), "it is valid"
    detail = [{"field": p.field, "rule": p.rule, "message": p.message} for p in collected.row.detail]
    return {"error": collected.row.code, "message": collected.row.message, "detail": detail}


def tolds(collected: Collected) -> list[dict[str, Any]]:
    """All that may be told of a payload."""
    return [refusal(collected), BUSY] if isinstance(collected.row, InvalidApplication) else [SCORE, EXPLAINED, BUSY]


def payload(body: object, language: str = "") -> Payload:
    return Payload(body if isinstance(body, bytes) else json.dumps(body).encode(), "application/json", language)


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_bytes())


def is_json(value: object) -> bool:
    """Whether a value is written as strict JSON, and read back as the same."""
    return bool(json.loads(json.dumps(value, allow_nan=False).encode()) == value)


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["", "60", "1.200,50", "sixty", "P5Y", "yes", "1,000", "9" * 400, "\ud7ff", "List", "Speech", "en_US"]
)  # fmt: skip
_keys = st.text(max_size=6) | st.sampled_from([camel(FIELDS[0].name), "value", "amount", "unit", "interpretedValue"])
anything = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=8
)


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(deeper for key, one in inner for deeper in _paths(one, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], other: object) -> Any:
    if not path:
        return other
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _replaced(value[path[0]], path[1:], other)
    return changed


@st.composite
def gone_wrong(draw: st.DrawFn, real: object) -> bytes:
    """A real payload in which something stands that does not belong there, or of which bytes are lost; or anything."""
    body: object = draw(anything)
    if draw(st.integers(0, 9)):
        body = real
        for _ in range(draw(st.integers(1, 3))):
            body = _replaced(body, draw(st.sampled_from(_paths(body))), draw(anything))
    written = json.dumps(body).encode()
    if draw(st.integers(0, 4)):
        return written
    place = draw(st.integers(0, len(written)))
    return written[:place] + draw(st.binary(max_size=3)) + written[place + draw(st.integers(0, 9)) :]
