"""The part of the OpenAPI document for who operates the service: probes, what it shows of itself, models by name."""

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from model.artifact import Manifest
from serving.drift_report import DriftReport
from serving.formats import JSON
from serving.models import Load
from serving.reload import Reloaded
from serving.thresholds import Thresholds

HTML, TEXT = "text/html", "text/plain"
NAMED = "Only on a multi-model endpoint (SAGEMAKER_MULTI_MODEL)."
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": NAMED}
_PAGE = {"name": "next_page_token", "in": "query", "schema": {"type": "string"}, "description": "The page before's."}


class RunningModel(BaseModel):
    """The model that new requests are answered with."""

    version: str
    model_version: str
    policy_version: str
    manifest: Manifest


class ExecutionParameters(BaseModel):
    """What a batch transform job is told to do."""

    MaxConcurrentTransforms: int
    BatchStrategy: Literal["MULTI_RECORD", "SINGLE_RECORD"]
    MaxPayloadInMB: int


class NamedModel(BaseModel):
    """A model that was loaded by a name."""

    modelName: str  # noqa: N815 - SageMaker's word
    modelUrl: str  # noqa: N815 - SageMaker's word


class NamedModels(BaseModel):
    """A page of them; `nextPageToken` where there are more."""

    models: list[NamedModel]
    nextPageToken: str = ""  # noqa: N815 - SageMaker's word


OPERATING_MODELS: list[tuple[str, Any, Any]] = [
    ("Reloaded", "serialization", TypeAdapter(Reloaded)),
    ("RunningModel", "serialization", TypeAdapter(RunningModel)),
    ("ExecutionParameters", "serialization", TypeAdapter(ExecutionParameters)),
    ("Thresholds", "serialization", TypeAdapter(Thresholds)),
    ("DriftReport", "serialization", TypeAdapter(DriftReport)),
    ("Load", "validation", TypeAdapter(Load)),
    ("NamedModel", "validation", TypeAdapter(NamedModel)),
    ("NamedModels", "validation", TypeAdapter(NamedModels)),
]


def operating_paths() -> dict[str, Any]:
    """Each path and what it offers, as plain data."""
    drift = _shown(
        "How far what is scored has moved away from training, over all workers; a page where Accept prefers text/html",
        JSON,
        "DriftReport",
        (404,),
    )
    drift["get"]["responses"]["200"]["content"][HTML] = {"schema": {"type": "string"}}
    return {
        "/": _shown("The page that shows this document", HTML),
        "/docs.json": _shown("This document", JSON),
        "/console/": _shown("The page for people who work with decisions", HTML),
        "/schema.json": _shown("What BentoML's clients read", JSON),
        "/ping": _shown(
            "SageMaker's probe: 200 with an empty body once the model has scored its golden rows right",
            None,
            errors=(503,),
        ),
        "/execution-parameters": _shown(
            "What a batch transform job of SageMaker is told to do", JSON, "ExecutionParameters"
        ),
        "/model": _shown("The running model: its versions and its manifest", JSON, "RunningModel", (404,)),
        "/model/report": _shown("The report that the running model's training wrote", HTML, errors=(404,)),
        "/model/thresholds": _shown(
            "The running model's thresholds, and what became of the test split's applicants up to each probability",
            JSON,
            "Thresholds",
            (404,),
        ),
        "/drift": drift,
        "/reload": {
            "post": {
                "summary": "Look again at model, keys and log level; answers once all workers have taken them up",
                "responses": {"200": {"description": "Taken up", "content": _json("Reloaded")}, "409": error(409)},
            }
        },
        "/livez": _shown("200 while the process answers at all", TEXT),
        "/healthz": _shown("The same", TEXT),
        "/readyz": _shown(
            "200 once the model has scored its golden rows right; 503 while so much waits for the store of "
            "decisions that no more are made",
            TEXT,
            errors=(503,),
        ),
        "/metrics": _shown("Prometheus metrics, summed over all workers", TEXT),
        "/models": {
            "get": {
                "summary": f"List the models that have names. {NAMED}",
                "parameters": [_PAGE],
                "responses": _responses("NamedModels", (404, 503)),
            },
            "post": {
                "summary": f"Load a model under a name. {NAMED}",
                "requestBody": {"required": True, "content": _json("Load")},
                "responses": _responses(None, (400, 404, 409, 413, 503, 507)),
            },
        },
        "/models/{name}": {
            "get": {
                "summary": f"Show a model that has a name. {NAMED}",
                "parameters": [_NAME],
                "responses": _responses("NamedModel", (404, 503)),
            },
            "delete": {
                "summary": f"Unload a model. {NAMED}",
                "parameters": [_NAME],
                "responses": _responses(None, (404, 503)),
            },
        },
    }


def invoke_path(invocations: dict[str, Any]) -> dict[str, Any]:
    """The route of a model by its name, which is /invocations in all else."""
    post = invocations["post"]
    summary = f"As /invocations, by the model of that name. {NAMED}"
    responses = {**post["responses"], "404": error(404)}
    parameters = [_NAME, *post["parameters"]]
    return {"post": {**post, "summary": summary, "parameters": parameters, "responses": responses}}


def error(status: int) -> dict[str, Any]:
    """An answer that is no success."""
    return {"description": HTTPStatus(status).phrase, "content": _json("ErrorAnswer")}


def _shown(summary: str, media_type: str | None, schema: str = "", errors: tuple[int, ...] = ()) -> dict[str, Any]:
    """A GET; without a schema it is text, or in JSON an object, and without a media type it is empty."""
    described = _json(schema)[JSON]["schema"] if schema else {"type": "object" if media_type == JSON else "string"}
    content = {} if media_type is None else {"content": {media_type: {"schema": described}}}
    failures = {str(status): error(status) for status in errors}
    return {"get": {"summary": summary, "responses": {"200": {"description": summary, **content}, **failures}}}


def _responses(answer: str | None, errors: tuple[int, ...]) -> dict[str, Any]:
    content = _json(answer) if answer else {JSON: {"schema": {"type": "object"}}}
    return {"200": {"description": "Done", "content": content}, **{str(status): error(status) for status in errors}}


def _json(schema: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
