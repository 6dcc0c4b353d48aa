"""The part of the OpenAPI document for the Open Inference Protocol, whose errors have a form of their own."""

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from preprocessing.encode import FIELDS
from serving import v2
from serving.formats import JSON
from serving.v2_outputs import NAME, OUTPUTS
from serving.v2_tensors import datatype_of

_Parameters = dict[str, bool | int | str]


class V2Tensor(BaseModel):
    """One field of all applications, or one output of all of them. With `binary_data_size` among its parameters its
    values follow the JSON of the body."""

    name: str
    datatype: str
    shape: list[int] = Field(description="[n] or [n, 1], with as many values as there are applications.")
    data: list[Any] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)


class V2Output(BaseModel):
    """An output that the answer shall have."""

    name: Literal[tuple(OUTPUTS)]  # type: ignore[valid-type]
    parameters: _Parameters = Field(default_factory=dict, description="`binary_data`: whether it comes as bytes.")


class V2Request(BaseModel):
    """Applications by columns."""

    id: str = Field("", description="Comes back with the answer.")
    inputs: list[V2Tensor]
    outputs: list[V2Output] = Field(default_factory=list, description="All, where none is named.")
    parameters: _Parameters = Field(
        default_factory=dict,
        description="`explain`: with reasons. `binary_data_output`: outputs come as bytes unless they say otherwise.",
    )


class V2Answer(BaseModel):
    """Scores by columns. A refused row has its error in `error` and a probability of null."""

    model_name: str
    model_version: str
    id: str = ""
    parameters: dict[str, str]
    outputs: list[V2Tensor]


class V2Server(BaseModel):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class V2Described(BaseModel):
    """An input or an output."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = Field(default_factory=dict)


class V2Model(BaseModel):
    """The model's metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[V2Described]
    outputs: list[V2Described]


class V2Health(BaseModel):
    """Whether the server lives, or it or the model is ready."""

    live: bool = True
    ready: bool = True
    name: str = ""


class V2Error(BaseModel):
    """An error, in one sentence."""

    error: str


V2_MODELS: list[tuple[str, Any, Any]] = [
    ("V2Request", "validation", TypeAdapter(V2Request)),
    *((model.__name__, "validation", TypeAdapter(model)) for model in (V2Answer, V2Server, V2Model, V2Health, V2Error)),
]
_VERSION = "/versions/{version}"
_NAME, _OF_VERSION = (
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": description}
    for name, description in (("name", f"`{NAME}`"), ("version", "The model's `model_version`."))
)
_JSON_BYTES = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "schema": {"type": "integer"},
    "description": "Where the JSON of a body with binary tensors ends.",
}
_REFUSALS = (400, 404, 413, 415, 422, 500, 503, 504)


def v2_paths(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Each path; `parameters` are those of all scoring routes."""
    infer = {
        "summary": "Score one application or many, a tensor a field: Open Inference Protocol (V2)",
        "requestBody": {"required": True, "content": _json("V2Request", _EXAMPLE) | _BYTES},
        "responses": _responses("V2Answer", _REFUSALS, _BYTES),
    }
    asked = [*parameters, _JSON_BYTES]
    of_models = {
        v2.MODEL: ("The model's inputs and outputs", "V2Model", (404, 503)),
        v2.MODEL_READY: ("200 where the model can be asked", "V2Health", (404, 503)),
    }
    paths = {
        v2.SERVER: {"get": _shown("Who answers, by the Open Inference Protocol", "V2Server", (503,))},
        v2.LIVE: {"get": _shown("200 while the process answers at all", "V2Health", ())},
        v2.READY: {"get": _shown("As /readyz", "V2Health", ())},
        v2.INFER: {"post": {**infer, "parameters": [_NAME, *asked]}},
        _versioned(v2.INFER): {"post": {**infer, "parameters": [_NAME, _OF_VERSION, *asked]}},
    }
    paths[v2.READY]["get"]["responses"]["503"] = {"description": "Not ready", "content": _json("V2Health")}
    for path, (summary, schema, errors) in of_models.items():
        paths[path] = {"get": {**_shown(summary, schema, errors), "parameters": [_NAME]}}
        paths[_versioned(path)] = {"get": {**_shown(summary, schema, errors), "parameters": [_NAME, _OF_VERSION]}}
    return paths


def v2_error(status: int) -> dict[str, Any]:
    """An answer that is no success."""
    return {"description": HTTPStatus(status).phrase, "content": _json("V2Error")}


def _versioned(path: str) -> str:
    return path.replace(v2.MODEL, v2.MODEL + _VERSION)


def _shown(summary: str, schema: str, errors: tuple[int, ...]) -> dict[str, Any]:
    return {"summary": summary, "responses": _responses(schema, errors)}


def _responses(schema: str, errors: tuple[int, ...], others: dict[str, Any] | None = None) -> dict[str, Any]:
    found = {"description": "Done", "content": _json(schema) | (others or {})}
    return {"200": found, **{str(status): v2_error(status) for status in errors}}


def _json(schema: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {JSON: content if example is None else {**content, "example": example}}


_BYTES = {v2.BINARY: {"schema": {"type": "string", "format": "binary"}}}
_EXAMPLE = {
    "inputs": [
        {"name": field.name, "shape": [1], "datatype": datatype_of(field), "data": [field.kind.example]}
        for field in FIELDS
    ]
}
