"""Requests of the Open Inference Protocol as clients send them, and answers taken apart, with none of our own code."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from preprocessing.encode import FIELDS
from preprocessing.fields import Category

Rows = Sequence[Mapping[str, Any]]
INFER = "/v2/models/{name}/infer"
DATATYPE = {field.name: "BYTES" if isinstance(field.kind, Category) else "FP64" for field in FIELDS}
HEADER = b"inference-header-content-length"


def tensors(rows: Rows) -> list[dict[str, Any]]:
    """A tensor for each field that any row has; what a row has not is null."""
    sent = [name for name in DATATYPE if any(row.get(name) is not None for row in rows)]
    return [
        {"name": name, "shape": [len(rows)], "datatype": DATATYPE[name], "data": [row.get(name) for row in rows]}
        for name in sent
    ]


def as_json(rows: Rows, **more: Any) -> bytes:
    return json.dumps({"inputs": tensors(rows), **more}).encode()


def as_binary(rows: Rows, **more: Any) -> tuple[bytes, dict[bytes, bytes]]:
    """The body, and the header that belongs to it."""
    inputs, after = tensors(rows), b""
    for tensor in inputs:
        raw = packed(tensor["datatype"], tensor.pop("data"))
        tensor["parameters"] = {"binary_data_size": len(raw)}
        after += raw
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + after, {HEADER: b"%d" % len(head), b"content-type": b"application/octet-stream"}


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    if datatype == "FP64":
        return np.array([np.nan if value is None else value for value in values], "<f8").tobytes()
    words = [(value or "").encode() for value in values]
    return b"".join(struct.pack("<I", len(word)) + word for word in words)


def outputs(body: bytes, json_bytes: int | None = None) -> dict[str, list[Any]]:
    """The values of an answer by output."""
    answer = json.loads(body if json_bytes is None else body[:json_bytes])
    at, found = json_bytes or 0, {}
    for output in answer["outputs"]:
        if (size := output.get("parameters", {}).get("binary_data_size")) is None:
            found[output["name"]] = output["data"]
        else:
            found[output["name"]] = unpacked(output["datatype"], body[at : at + size])
            at += size
        assert output["shape"] == [len(found[output["name"]])]
    assert at == (0 if json_bytes is None else len(body))
    return found


def unpacked(datatype: str, raw: bytes) -> list[Any]:
    if datatype != "BYTES":
        values: list[Any] = np.frombuffer(raw, {"FP64": "<f8", "INT64": "<i8"}[datatype]).tolist()
        return [None if value != value else value for value in values]
    words, at = [], 0
    while at < len(raw):
        [size] = struct.unpack_from("<I", raw, at)
        words.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return words
