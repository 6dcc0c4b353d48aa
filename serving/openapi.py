"""The service's OpenAPI 3.1 document and the page that shows it.

BentoML's generator knows nothing of our errors, and its page loads a tracker from outside. Both are replaced here; the
Swagger UI files that come with BentoML are used as they are.
"""

from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json, to_jsonable_python

from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.schema import Application
from serving import VERSION
from serving.api import Batch, Results
from serving.errors import ErrorAnswer
from serving.explanation import Explanation
from serving.formats import FORMATS, JSON
from serving.openapi_reviewing import REVIEWING_MODELS, reviewing_paths
from serving.scorer import Score

EXAMPLE = {field.name: field.kind.example for field in FIELDS}
REFUSED_EXAMPLE = {**EXAMPLE, "unheard_of": 1}
SCORE_EXAMPLE = {
    "probability": 0.166922,
    "tier": "medium",
    "points": 534,
    "model_version": "0123456789ab",
    "policy_version": "ba9876543210",
    "decision_id": "01a209b3-117e-7530-8ca4-a96cd0dd9bb1",
    "warnings": [],
}

PARAMETERS = [
    {
        "name": "explain",
        "in": "query",
        "description": "`true` gives each score its reasons; the default is RISKLINE_EXPLAIN.",
        "schema": {"type": "boolean"},
    },
    {
        "name": "timing",
        "in": "query",
        "description": "`true` adds a Server-Timing header with the milliseconds of each stage.",
        "schema": {"type": "boolean"},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Comes back with the answer; one is made where none is sent. At most 128 ASCII characters.",
        "schema": {"type": "string"},
    },
]
SAGEMAKER_HEADERS = [
    {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
    for name, description in (
        ("X-Amzn-SageMaker-Custom-Attributes", "Come back with the answer; at most 1,024 visible ASCII characters."),
        ("X-Amzn-SageMaker-Inference-Id", "Becomes the decision's id, in a batch followed by `-` and the row from 1."),
        ("X-Amzn-SageMaker-Enable-Explanations", "`true` gives reasons as `?explain=true` does."),
    )
]
_ONE_OR_MANY = {"body": ("Application", "Batch"), "answer": ("Score", "Results")}

# The page that BentoML serves at "/" without its tracker and its banner
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Riskline</title>
<link rel="stylesheet" href="./static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script src="./static_content/swagger-ui-standalone-preset.js"></script>
<script src="./static_content/swagger-initializer.js"></script>
</body>
</html>
"""


def document() -> dict[str, Any]:
    """The document as plain data, ready for JSON."""
    models: list[tuple[str, Any, Any]] = [
        ("Application", "validation", TypeAdapter(Application)),
        ("Batch", "validation", TypeAdapter(Batch)),
        ("Score", "serialization", TypeAdapter(Score)),
        ("Explanation", "serialization", TypeAdapter(Explanation)),
        ("Results", "serialization", TypeAdapter(Results)),
        ("ErrorAnswer", "serialization", TypeAdapter(ErrorAnswer)),
        *REVIEWING_MODELS,
    ]
    _, definitions = TypeAdapter.json_schemas(models, ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Riskline",
            "version": VERSION,
            "description": "Scores applications into low, medium or high risk, with the probability behind it.",
        },
        "servers": [{"url": "."}],
        "paths": {
            "/predict": _scoring(
                "Score one application", "Application", EXAMPLE, "Score", SCORE_EXAMPLE, (400, 413, 415, 422, 500, 504)
            ),
            "/predict_batch": _scoring(
                "Score many applications: each gets its score or its own error, in order",
                "Batch",
                {"applications": [EXAMPLE, REFUSED_EXAMPLE]},
                "Results",
                {"results": [SCORE_EXAMPLE, _error_example()]},
                (400, 406, 413, 415, 422, 500, 504),
                others=tuple(media_type for media_type in FORMATS if media_type != JSON),
            ),
            "/explain": _scoring(
                "Score one application and say what its score consists of, and what would change it",
                "Application",
                EXAMPLE,
                "Explanation",
                None,
                (400, 413, 415, 422, 500, 504),
            ),
            **reviewing_paths(),
            "/ping": _probe(
                "SageMaker's probe: 200 with an empty body once the model has scored its golden rows right"
            ),
            "/invocations": _invocations(),
            "/execution-parameters": _shown("What a batch transform job of SageMaker is told to do", JSON, "object"),
            "/model": _shown("The running model: its versions and its manifest", JSON, "object"),
            "/model/report": _shown("The report that the running model's training wrote", "text/html"),
            "/drift": _drift(),
            "/livez": _probe("200 while the process answers at all"),
            "/readyz": _probe(
                "200 once the model has scored its golden rows right; 503 while so much waits for the store of "
                "decisions that no more are made"
            ),
            "/metrics": _probe("Prometheus metrics, summed over all workers"),
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _error_example() -> Any:
    [refused] = decode_application(to_json(REFUSED_EXAMPLE))
    assert isinstance(refused, InvalidApplication), "no schema knows this field"
    return to_jsonable_python(ErrorAnswer.of(refused))


def _scoring(
    summary: str,
    body: str,
    body_example: Any,
    answer: str,
    answer_example: Any,
    errors: tuple[int, ...],
    others: tuple[str, ...] = (),
) -> dict[str, Any]:
    """`others` are the media types besides JSON that the body and its answer may come in."""
    in_other_forms = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in others}
    responses = {"200": {"description": "Scored", "content": _json(answer, answer_example) | in_other_forms}}
    for status in errors:
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": _json("ErrorAnswer")}
    content = {"required": True, "content": _json(body, body_example) | in_other_forms}
    return {"post": {"summary": summary, "parameters": PARAMETERS, "requestBody": content, "responses": responses}}


def _invocations() -> dict[str, Any]:
    one_or_many = {name: {"anyOf": [_reference(schema) for schema in both]} for name, both in _ONE_OR_MANY.items()}
    route = _scoring(
        "SageMaker's route: one application as by /predict, or many as by /predict_batch",
        "Application",
        EXAMPLE,
        "Score",
        SCORE_EXAMPLE,
        (400, 406, 413, 415, 422, 500, 503, 504),
        others=tuple(media_type for media_type in FORMATS if media_type != JSON),
    )
    post = route["post"]
    post["parameters"] = [*PARAMETERS, *SAGEMAKER_HEADERS]
    post["requestBody"]["content"][JSON]["schema"] = one_or_many["body"]
    post["responses"]["200"]["content"][JSON]["schema"] = one_or_many["answer"]
    post["responses"]["204"] = {"description": "The body was empty"}
    return route


def _drift() -> dict[str, Any]:
    summary = (
        "How far what is scored has moved away from training, over all workers; a page where Accept prefers text/html"
    )
    route = _shown(summary, JSON, "object")
    route["get"]["responses"]["200"]["content"]["text/html"] = {"schema": {"type": "string"}}
    return route


def _probe(summary: str) -> dict[str, Any]:
    return _shown(summary, "text/plain")


def _shown(summary: str, media_type: str, schema_type: str = "string") -> dict[str, Any]:
    response = {"description": summary, "content": {media_type: {"schema": {"type": schema_type}}}}
    return {"get": {"summary": summary, "responses": {"200": response}}}


def _json(schema: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _reference(schema)}
    if example is not None:
        content["example"] = example
    return {JSON: content}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
