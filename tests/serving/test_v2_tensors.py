"""Tensors that should not be, each refused with its name and the rule, and what else may stand for a value."""

import json
from typing import Any

import numpy as np
import pytest

from preprocessing.channels.names import yes_and_no
from preprocessing.encode import FIELDS
from preprocessing.errors import MalformedBody, RisklineError
from preprocessing.fields import Category
from preprocessing.schema import Application
from serving.errors import InvalidTensor
from serving.v2_known import MOST_KNOWN, Known
from serving.v2_outputs import Wanted
from serving.v2_tensors import read
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL
from tests.v2 import as_binary, as_json, tensors

SECRET = 424242.5
YES_NO = next(f for f in FIELDS if isinstance(f.kind, Category) and yes_and_no(f.kind))


def changed(of: str, **how: Any) -> bytes:
    """A request with two applications in which the tensor of a field is another."""
    inputs = tensors([EXAMPLE, EXAMPLE])
    [tensor] = [tensor for tensor in inputs if tensor["name"] == of]
    tensor.update(how)
    return json.dumps({"inputs": inputs}).encode()


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ({"name": "unheard of"}, "input unheard of: no input has this name"),
        ({"name": CATEGORY.name}, f"input {CATEGORY.name}: the datatype must be one of BYTES"),
        ({"datatype": "BYTES"}, f"input {NUMBER.name}: the datatype must be one of FP64, "),
        ({"datatype": "FP99"}, f"input {NUMBER.name}: the datatype must be one of FP64, "),
        ({"shape": [3], "data": [1, 2, 3]}, "the same number of rows"),
        ({"shape": []}, "the shape must be [n] or [n, 1]"),
        ({"shape": [0]}, "the shape must be [n] or [n, 1]"),
        ({"shape": [-1]}, "the shape must be [n] or [n, 1]"),
        ({"shape": [1, 2]}, "the shape must be [n] or [n, 1]"),
        ({"shape": [2, 1, 1]}, "the shape must be [n] or [n, 1]"),
        ({"data": [SECRET]}, "as many values as the shape says"),
        ({"data": [SECRET] * 3}, "as many values as the shape says"),
        ({"data": None}, "neither data nor a binary_data_size"),
        ({"data": [SECRET, str(SECRET)]}, "every value must be one of FP64, or null"),
        ({"data": [SECRET, True]}, "every value must be one of FP64, or null"),
        ({"data": [[SECRET], [SECRET]]}, "every value must be one of FP64, or null"),
        ({"datatype": "INT64", "data": [1, SECRET]}, "every value must be one of INT64, or null"),
        ({"parameters": {"binary_data_size": 16}}, "binary_data_size is more than there is of the body"),
        ({"parameters": {"binary_data_size": -1}}, "binary_data_size must be a number of bytes"),
        ({"parameters": {"binary_data_size": "16"}}, "binary_data_size must be a number of bytes"),
        ({"parameters": {"binary_data_size": 0}}, "either data or a binary_data_size"),
    ],
)
def test_a_wrong_tensor_is_refused_by_its_name_and_the_rule(how: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidTensor) as refused:
        read(changed(NUMBER.name, **how), None)
    assert rule in refused.value.message
    assert str(SECRET) not in refused.value.message


def test_a_tensor_that_comes_twice_or_not_at_all_is_refused() -> None:
    inputs = tensors([EXAMPLE])
    with pytest.raises(InvalidTensor, match="sent more than once"):
        read(json.dumps({"inputs": [*inputs, inputs[0]]}).encode(), None)
    others = [tensor for tensor in inputs if tensor["name"] != NUMBER.name]
    with pytest.raises(InvalidTensor, match=f"input {NUMBER.name}: this input is required"):
        read(json.dumps({"inputs": others}).encode(), None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"inputs":3}',
        b'{"inputs":[3]}',
        b'{"inputs":[{"name":"a"}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body, None)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"outputs": [{"name": "unheard of"}]}, "output unheard of: no output has this name"),
        ({"outputs": [{"name": "tier"}, {"name": "tier"}]}, "an output was asked for more than once"),
        ({"outputs": [{"name": "tier", "parameters": {"classification": 1}}]}, "classification is not supported"),
        ({"outputs": [{"name": "tier", "parameters": {"binary_data": 1}}]}, "binary_data must be true or false"),
        ({"parameters": {"binary_data_output": "yes"}}, "binary_data_output must be true or false"),
        ({"parameters": {"explain": 1}}, "explain must be true or false"),
    ],
)
def test_what_cannot_be_answered_is_refused(asked: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidTensor, match=rule):
        read(as_json([EXAMPLE], **asked), None)


def test_what_an_answer_has_to_be_is_read() -> None:
    outputs = [{"name": "tier"}, {"name": "points", "parameters": {"binary_data": True}}]
    asked = read(as_json([EXAMPLE], id="a", outputs=outputs, parameters={"priority": 1, "explain": True}), None)
    assert (asked.id, asked.rows, asked.explain, asked.binary) == ("a", 1, True, False)
    assert asked.wanted == (Wanted("tier", None), Wanted("points", True))
    assert read(as_json([EXAMPLE], outputs=[{"name": "reasons"}]), None).explain is True


def test_binary_tensors_are_held_to_their_sizes() -> None:
    body, headers = as_binary([EXAMPLE, EXAMPLE])
    json_bytes = int(headers[b"inference-header-content-length"])
    assert read(body, json_bytes).rows == 2
    for wrong in (body[:-1], body + b"?", body[:json_bytes]):
        with pytest.raises(RisklineError):
            read(wrong, json_bytes)
    for wrong_json_bytes in (json_bytes - 1, json_bytes + 1, len(body) + 1, 0):
        with pytest.raises(RisklineError):
            read(body, wrong_json_bytes)


def test_words_that_say_another_length_are_refused() -> None:
    head = {"name": CATEGORY.name, "shape": [2], "datatype": "BYTES"}
    for raw in (b"\x01\x00\x00\x00a", b"\x00" * 12, b"\x01\x00\x00\x00a\xff\xff\xff\xffb", b"\x00"):
        text = json.dumps({"inputs": [{**head, "parameters": {"binary_data_size": len(raw)}}]}).encode()
        with pytest.raises(InvalidTensor, match="four bytes that say its length"):
            read(text + raw, len(text))


@pytest.mark.parametrize("datatype", ["FP32", "FP16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64"])
def test_a_number_may_come_in_any_datatype_of_numbers(datatype: str) -> None:
    kind = {"F": "f", "I": "i", "U": "u"}[datatype[0]]
    size = int(datatype.lstrip("FPUINT")) // 8
    raw = np.array([9, 20], f"<{kind}{size}").tobytes()
    inputs = tensors([EXAMPLE, EXAMPLE])
    [tensor] = [tensor for tensor in inputs if tensor["name"] == NUMBER.name]
    tensor.update(datatype=datatype, data=[9, 20], shape=[2, 1])
    assert read(json.dumps({"inputs": inputs}).encode(), None).columns[NUMBER.name] == [9, 20]
    tensor.pop("data")
    tensor["parameters"] = {"binary_data_size": len(raw)}
    text = json.dumps({"inputs": inputs}).encode()
    assert read(text + raw, len(text)).columns[NUMBER.name] == [9, 20]


def test_a_word_of_yes_and_no_may_come_as_bool() -> None:
    assert isinstance(YES_NO.kind, Category)
    words = yes_and_no(YES_NO.kind)
    how = {"datatype": "BOOL", "data": [True, False]}
    assert read(changed(YES_NO.name, **how), None).columns[YES_NO.name] == [words[True], words[False]]
    inputs = [{"name": YES_NO.name, "shape": [1], "datatype": "BOOL", "parameters": {"binary_data_size": 1}}]
    text = json.dumps({"inputs": inputs}).encode()
    with pytest.raises(InvalidTensor, match="must be 0 or 1"):
        read(text + b"\x02", len(text))


def test_nan_null_and_an_empty_word_are_missing_values() -> None:
    for missing in (float("nan"), None):
        assert read(changed(NUMBER.name, data=[missing, 1]), None).columns[NUMBER.name] == [None, 1]
    assert read(changed(CATEGORY.name, data=["", None]), None).columns[CATEGORY.name] == [None, None]


def test_nested_values_are_those_of_a_column() -> None:
    assert read(changed(NUMBER.name, shape=[2, 1], data=[[1], [2]]), None).columns[NUMBER.name] == [1, 2]


def test_a_request_is_read_alike_whether_one_like_it_came_before() -> None:
    known = Known()
    inputs = tensors([EXAMPLE])
    first, row = known.read(as_json([EXAMPLE], id="a"), None)
    assert isinstance(row, Application)
    assert first.id == "a"
    assert len(known._known) == 1
    assert known.read(as_json([EXAMPLE], id="b"), None) == (first._replace(id="b", columns={}), row)
    others: list[Any] = [9.5, 1e400, float("nan"), None, "9", "", [], {}, True, '"', "]", ":", "\u00e4", 10**400]
    for place, tensor in enumerate(inputs):
        for other in others:
            some = [*inputs[:place], {**tensor, "data": [other]}, *inputs[place + 1 :]]
            body = json.dumps({"inputs": some, "id": "c"}, ensure_ascii=False).encode()
            assert outcome(known, body) == outcome(Known(), body)
    assert len(known._known) == 1


def test_more_than_a_value_does_not_pass_for_one() -> None:
    known = Known()
    without = {name: value for name, value in EXAMPLE.items() if name != OPTIONAL.name}
    body = as_json([without])
    known.read(body, None)
    assert len(known._known) == 1
    value = json.dumps([EXAMPLE[NUMBER.name]]).encode()
    for more in (b"[%s, %s]", b'[%s, "' + OPTIONAL.name.encode() + b'": %s]'):
        injected = body.replace(b'"data": ' + value, b'"data": ' + more % (value[1:-1], value[1:-1]), 1)
        with pytest.raises(RisklineError):
            known.read(injected, None)


def test_what_is_known_does_not_grow_for_ever() -> None:
    known = Known()
    for number in range(MOST_KNOWN + 3):
        known.read(as_json([EXAMPLE], parameters={"n": number}), None)
    assert len(known._known) == 3


def outcome(known: Known, body: bytes) -> str:
    try:
        asked, row = known.read(body, None)
    except RisklineError as error:
        return error.message
    return f"{asked._replace(columns={})} {row!r} {getattr(row, 'detail', '')}"
