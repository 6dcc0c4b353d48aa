"""Requests of the Open Inference Protocol: one tensor a field → applications, judged as those of all other ways in.

A body is a JSON object. With the binary tensor extension the bytes of some of its tensors follow it, little-endian and
in order; `Inference-Header-Content-Length` says where the JSON ends. Tensors are [n] or [n, 1], n applications.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from pydantic_core import from_json

from preprocessing.channels.names import yes_and_no
from preprocessing.decode import judged
from preprocessing.encode import FIELDS, Batch, Row
from preprocessing.errors import LONGEST_NAME_REPEATED, MalformedBody
from preprocessing.fields import Category, Field
from serving.errors import InvalidTensor
from serving.v2_outputs import OUTPUTS, Wanted

Values = Sequence[float | str | None]

# each datatype as numpy reads its bytes; BYTES have a length of their own before each
_FLOATS = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"}
_WHOLE = {f"{kind}{8 * size}": f"<{kind[0].lower()}{size}" for kind in ("INT", "UINT") for size in (1, 2, 4, 8)}
_BINARY = {**_FLOATS, **_WHOLE, "BOOL": "u1"}
_NOTHING = type(None)
_IN_JSON: dict[str, frozenset[type]] = {
    **dict.fromkeys(_FLOATS, frozenset({float, int, _NOTHING})),
    **dict.fromkeys(_WHOLE, frozenset({int, _NOTHING})),
    "BOOL": frozenset({bool, _NOTHING}),
    "BYTES": frozenset({str, _NOTHING}),
}
_REQUIRED = tuple(field.name for field in FIELDS if field.required)
_NAMES = frozenset(field.name for field in FIELDS)
_WORDS = frozenset(field.name for field in FIELDS if isinstance(field.kind, Category))
_PLAIN = frozenset({*_FLOATS, "BYTES"})
_ONE = ([1], [1, 1])
_ELSEWHERE = ("shared_memory_region", "classification")  # of Triton: the answer would not be what was asked for


class _Tensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class _Output(msgspec.Struct, gc=False):
    name: str
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct, gc=False):
    inputs: list[_Tensor]
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Request)


class Asked(NamedTuple):
    """A request, taken apart: `columns` by field, each of as many values as there are `rows`; `explain` None where it
    does not say. A plain one has its values in JSON, as floats and as words."""

    id: str | None
    rows: int
    columns: Mapping[str, Values]
    is_plain: bool
    wanted: tuple[Wanted, ...] | None
    binary: bool
    explain: bool | None

    def row(self) -> Row:
        """The application of a request with one."""
        return judged({name: value for name, [value] in self.columns.items() if value is not None})

    def batches(self, rows: int) -> Iterator[Batch]:
        """All applications, `rows` at a time."""
        from preprocessing.columns import encode_values  # not before somebody sends many

        columns = {
            name: values if name in _WORDS else [None if value is None else _as_float(value) for value in values]
            for name, values in self.columns.items()
        }
        for start in range(0, self.rows, rows):
            yield encode_values({name: values[start : start + rows] for name, values in columns.items()})


def datatype_of(field: Field) -> str:
    """What the metadata say of a field's tensor; others that hold the same are taken too."""
    return "BYTES" if isinstance(field.kind, Category) else "FP64"


def _numbers(values: Sequence[Any]) -> Values:
    return [None if value is None or value != value else value for value in values]


def _words(values: Sequence[Any]) -> Values:
    return [value or None for value in values]


def _as_it_is(values: Sequence[Any]) -> Values:
    return values


def _readers(field: Field) -> dict[str, Callable[[Sequence[Any]], Values]]:
    """For each datatype that a field's tensor may have: what its values mean. NaN, null and an empty word are missing
    values."""
    if not isinstance(field.kind, Category):
        return dict.fromkeys((*_FLOATS, *_WHOLE), _numbers)
    readers: dict[str, Callable[[Sequence[Any]], Values]] = {"BYTES": _as_it_is if "" in field.kind.values else _words}
    if words := yes_and_no(field.kind):
        readers["BOOL"] = lambda values: [words.get(value) for value in values]
    return readers


_READERS = {
    (field.name, datatype): (_IN_JSON[datatype], meant)
    for field in FIELDS
    for datatype, meant in _readers(field).items()
}


def read(body: bytes, json_bytes: int | None) -> Asked:
    """MalformedBody for what is no request at all, InvalidTensor naming the tensor and what it has to be."""
    if json_bytes is not None and json_bytes > len(body):
        raise MalformedBody("Inference-Header-Content-Length is larger than the body")
    request = _decoded(body if json_bytes is None else body[:json_bytes])
    at = len(body) if json_bytes is None else json_bytes
    rows = 0
    columns: dict[str, Values] = {}
    for tensor in request.inputs:
        name = tensor.name
        reader = _READERS.get((name, tensor.datatype))
        if reader is None or name in columns:
            raise _unknown(tensor)
        count = 1 if tensor.shape in _ONE else _rows(tensor)
        if count != (rows or count):
            raise _wrong(name, "the inputs must all have the same number of rows")
        rows = count
        allowed, meant = reader
        if (size := tensor.parameters and tensor.parameters.get("binary_data_size")) is None:
            values: Sequence[Any] = _in_json(tensor, count)
            if not allowed.issuperset(map(type, values)):
                raise _wrong(name, f"every value must be one of {tensor.datatype}, or null")
        else:
            raw = _taken_out(name, body, at, size)
            values = _in_binary(tensor, count, raw)
            at += len(raw)
        columns[name] = meant(values)
    if at != len(body):
        raise MalformedBody("after the JSON there are more bytes than the inputs' binary_data_size says")
    for name in _REQUIRED:
        if name not in columns:
            raise _wrong(name, "this input is required")
    if not columns:
        raise MalformedBody("there are no inputs")
    is_plain = json_bytes is None and all(tensor.datatype in _PLAIN for tensor in request.inputs)
    return Asked(request.id, rows, columns, is_plain, *_answer_asked(request))


def _answer_asked(request: _Request) -> tuple[tuple[Wanted, ...] | None, bool, bool | None]:
    """The outputs, whether in binary, and whether with reasons."""
    if not request.outputs and not request.parameters:
        return None, False, None
    wanted = tuple(map(_wanted, request.outputs or ()))
    names = {each.name for each in wanted}
    if len(names) < len(wanted):
        raise InvalidTensor("an output was asked for more than once")
    said = request.parameters or {}
    explain = _flag(said, "explain", "parameters")
    binary = _flag(said, "binary_data_output", "parameters") or False
    return wanted or None, binary, True if "reasons" in names else explain


def _decoded(text: bytes) -> _Request:
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:  # NaN and infinities, which Triton's client writes as JSON has no words for them
        return msgspec.convert(from_json(text), _Request)
    except msgspec.ValidationError as error:
        raise MalformedBody(f"the body is no inference request: {error}") from None
    except (ValueError, RecursionError):
        raise MalformedBody("the body is not valid UTF-8 JSON") from None


def _unknown(tensor: _Tensor) -> InvalidTensor:
    """Why there is no reading a tensor, or not another time."""
    name = tensor.name
    if name not in _NAMES:
        return _wrong(name, "no input has this name")
    datatypes = [datatype for known, datatype in _READERS if known == name]
    if tensor.datatype not in datatypes:
        return _wrong(name, f"the datatype must be one of {', '.join(datatypes)}")
    return _wrong(name, "this input was sent more than once")


def _rows(tensor: _Tensor) -> int:
    shape = tensor.shape
    if not 1 <= len(shape) <= 2 or shape[0] < 1 or shape[1:] not in ([], [1]):
        raise _wrong(tensor.name, "the shape must be [n] or [n, 1], with n of 1 or more")
    return shape[0]


def _in_json(tensor: _Tensor, rows: int) -> list[Any]:
    data = tensor.data
    if data is None:
        raise _wrong(tensor.name, "there is neither data nor a binary_data_size")
    if len(tensor.shape) == 2 and all(type(row) is list and len(row) == 1 for row in data):
        data = [value for [value] in data]
    if len(data) != rows:
        raise _wrong(tensor.name, "there must be as many values as the shape says")
    return data


def _taken_out(name: str, body: bytes, at: int, size: object) -> bytes:
    if type(size) is not int or size < 0:
        raise _wrong(name, "binary_data_size must be a number of bytes")
    if size > len(body) - at:
        raise _wrong(name, "binary_data_size is more than there is of the body")
    return body[at : at + size]


def _in_binary(tensor: _Tensor, rows: int, raw: bytes) -> Sequence[Any]:
    if tensor.data is not None:
        raise _wrong(tensor.name, "there must be either data or a binary_data_size")
    if tensor.datatype == "BYTES":
        return _words_of(tensor.name, rows, raw)
    dtype = np.dtype(_BINARY[tensor.datatype])
    if len(raw) != rows * dtype.itemsize:
        raise _wrong(tensor.name, f"binary_data_size must be {dtype.itemsize} bytes a value")
    values = np.frombuffer(raw, dtype)
    if tensor.datatype == "BOOL":
        if values.max() > 1:
            raise _wrong(tensor.name, "every byte of BOOL must be 0 or 1")
        values = values.astype(bool)
    found: Sequence[Any] = values.tolist()
    return found


def _words_of(name: str, rows: int, raw: bytes) -> list[str]:
    words: list[str] = []
    at = 0
    while at + 4 <= len(raw) and len(words) <= rows:
        [size] = struct.unpack_from("<I", raw, at)
        words.append(raw[at + 4 : at + 4 + size].decode(errors="replace"))
        at += 4 + size
    if at != len(raw) or len(words) != rows:
        raise _wrong(name, "BYTES must be, for each value, four bytes that say its length and then the value")
    return words


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return float("inf")


def _wanted(output: _Output) -> Wanted:
    if output.name not in OUTPUTS:
        raise InvalidTensor(f"output {output.name[:LONGEST_NAME_REPEATED]}: no output has this name")
    parameters = output.parameters or {}
    for name in _ELSEWHERE:
        if name in parameters:
            raise InvalidTensor(f"output {output.name}: {name} is not supported")
    return Wanted(output.name, _flag(parameters, "binary_data", f"output {output.name}"))


def _flag(parameters: dict[str, Any], name: str, where: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and type(value) is not bool:
        raise InvalidTensor(f"{where}: {name} must be true or false")
    return value


def _wrong(name: str, rule: str) -> InvalidTensor:
    return InvalidTensor(f"input {name[:LONGEST_NAME_REPEATED]}: {rule}")
