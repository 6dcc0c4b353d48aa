"""The part of the OpenAPI document for the people who look at decisions."""

from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from decisions.review import Outcome, Query, Review
from serving.errors import ErrorAnswer
from serving.formats import JSON
from serving.outcomes import OUTCOME_FORMATS, Taken
from serving.proving import More
from serving.reviewing import LIST, ONE_DECISION, OUTCOMES, REVIEW, Decision, Decisions

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "description": "A `decision_id`."}


class Outcomes(BaseModel):
    """Many outcomes in one request."""

    model_config = ConfigDict(extra="forbid")

    outcomes: Annotated[list[Outcome], Field(description="At most RISKLINE_MAX_ROWS of them.")]


class OutcomeResults(BaseModel):
    """For each outcome, in order, that it is recorded or what is wrong with it."""

    results: list[Taken | ErrorAnswer]


REVIEWING_MODELS: list[tuple[str, Any, Any]] = [
    ("Decisions", "serialization", TypeAdapter(Decisions)),
    ("Decision", "serialization", TypeAdapter(Decision)),
    ("Review", "validation", TypeAdapter(Review)),
    ("Outcomes", "validation", TypeAdapter(Outcomes)),
    ("OutcomeResults", "serialization", TypeAdapter(OutcomeResults)),
]


def reviewing_paths() -> dict[str, Any]:
    """Each path and what it offers, as plain data."""
    in_other_forms = {
        media_type: {"schema": {"type": "string"}} for media_type in OUTCOME_FORMATS if media_type != JSON
    }
    return {
        LIST: {
            "get": {
                "summary": "List decisions, page by page",
                "parameters": _query_parameters(Query),
                "responses": _responses("Decisions", (422, 501, 503, 504)),
            }
        },
        ONE_DECISION: {
            "get": {
                "summary": "Show a decision with its application, its place in the record, reviews and outcomes",
                "parameters": [_ID, *_query_parameters(More)],
                "responses": _responses("Decision", (404, 422, 501, 503, 504)),
            }
        },
        REVIEW: {
            "post": {
                "summary": "Add a reviewer's verdict to a decision",
                "parameters": [_ID],
                "requestBody": {"required": True, "content": _json("Review")},
                "responses": _responses("Decision", (400, 404, 409, 410, 413, 415, 422, 501, 503, 504)),
            }
        },
        OUTCOMES: {
            "post": {
                "summary": "Say what became of decisions: each row gets its own result, in order",
                "requestBody": {"required": True, "content": _json("Outcomes") | in_other_forms},
                "responses": _responses("OutcomeResults", (400, 413, 415, 422, 501, 503, 504), in_other_forms),
            }
        },
    }


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a query, each as a parameter of its own."""
    schema = query.model_json_schema()
    return [
        {"name": name, "in": "query", "description": described.pop("description", ""), "schema": described}
        for name, described in schema["properties"].items()
    ]


def _responses(answer: str, errors: tuple[int, ...], others: dict[str, Any] | None = None) -> dict[str, Any]:
    failures = {
        str(status): {"description": HTTPStatus(status).phrase, "content": _json("ErrorAnswer")} for status in errors
    }
    return {"200": {"description": "Done", "content": _json(answer) | (others or {})}, **failures}


def _json(schema: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
