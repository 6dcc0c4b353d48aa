"""The service's OpenAPI 3.1 document and the page that shows it.

BentoML's generator knows nothing of our errors, and its page loads a tracker from outside. Both are replaced here; the
Swagger UI files that come with BentoML are used as they are.
"""

from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json, to_jsonable_python

from decisions.record import CHANNELS
from preprocessing.decode import decode_application
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.schema import Application
from serving import VERSION
from serving.errors import ErrorAnswer
from serving.explanation import Explanation
from serving.formats import FORMATS, JSON
from serving.gate import OPEN
from serving.openapi_channels import channel_paths
from serving.openapi_operating import OPERATING_MODELS, error, invoke_path, operating_paths
from serving.openapi_reviewing import REVIEWING_MODELS, reviewing_paths
from serving.openapi_v2 import V2_MODELS, v2_error, v2_paths
from serving.routes import Batch, Results
from serving.scorer import Score
from serving.v2 import is_v2

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
        "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Becomes the decision's id, in a batch followed by `-` and the row from 1; the same one again "
        "gives the first decision back.",
        "schema": {"type": "string", "pattern": r"^[!#-\[\]-~]{1,64}$"},
    },
]
CHANNEL = {
    "name": "X-Channel",
    "in": "header",
    "description": "Where the application came from.",
    "schema": {"type": "string", "enum": list(CHANNELS), "default": "api"},
}
SAGEMAKER_HEADERS = [
    {"name": name, "in": "header", "description": description, "schema": {"type": "string", "pattern": pattern}}
    for name, description, pattern in (
        (
            "X-Amzn-SageMaker-Custom-Attributes",
            "Come back with the answer; at most 1,024 visible ASCII characters.",
            "^[ -~]{0,1024}$",
        ),
        (
            "X-Amzn-SageMaker-Inference-Id",
            "Becomes the decision's id, in a batch followed by `-` and the row from 1.",
            r"^[!#-\[\]-~]{1,64}$",
        ),
        (
            "X-Amzn-SageMaker-Enable-Explanations",
            "`true` gives reasons as `?explain=true` does.",
            "^[ -~]*$",
        ),
    )
]
KEY = "An API key: `riskline_<id>_<secret>`. The header X-API-Key may bring it instead."
_REFUSALS = (400, 404, 409, 410, 413, 415, 422, 500, 503, 504)  # 404: of an endpoint that has models by name alone
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
        *OPERATING_MODELS,
        *V2_MODELS,
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
        "paths": _guarded(_paths()),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": KEY}},
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/predict": _scoring(
            "Score one application",
            "Application",
            EXAMPLE,
            "Score",
            SCORE_EXAMPLE,
            _REFUSALS,
        ),
        "/predict_batch": _scoring(
            "Score many applications: each gets its score or its own error, in order",
            "Batch",
            {"applications": [EXAMPLE, REFUSED_EXAMPLE]},
            "Results",
            {"results": [SCORE_EXAMPLE, _error_example()]},
            (406, *_REFUSALS),
            others=tuple(media_type for media_type in FORMATS if media_type != JSON),
        ),
        "/explain": _scoring(
            "Score one application and say what its score consists of, and what would change it",
            "Application",
            EXAMPLE,
            "Explanation",
            None,
            _REFUSALS,
        ),
        **channel_paths(PARAMETERS, EXAMPLE),
        **reviewing_paths(),
        "/invocations": (invocations := _invocations()),
        "/models/{name}/invoke": invoke_path(invocations),
        **v2_paths([*PARAMETERS, CHANNEL]),
        **operating_paths(),
    }


def _guarded(paths: dict[str, Any]) -> dict[str, Any]:
    """The paths, with what those that want a key may answer. A service without keys asks nobody for one."""
    for path in paths.keys() - OPEN:
        for operation in paths[path].values():
            operation["security"] = [{"key": []}, {}]
            for status in (401, 403, 429):
                operation["responses"][str(status)] = v2_error(status) if is_v2(path) else error(status)
    return paths


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
        responses[str(status)] = error(status)
    content = {"required": True, "content": _json(body, body_example) | in_other_forms}
    post = {"summary": summary, "parameters": [*PARAMETERS, CHANNEL], "requestBody": content, "responses": responses}
    return {"post": post}


def _invocations() -> dict[str, Any]:
    one_or_many = {name: {"anyOf": [_reference(schema) for schema in both]} for name, both in _ONE_OR_MANY.items()}
    route = _scoring(
        "SageMaker's route: one application as by /predict, or many as by /predict_batch",
        "Application",
        EXAMPLE,
        "Score",
        SCORE_EXAMPLE,
        (406, *_REFUSALS),
        others=tuple(media_type for media_type in FORMATS if media_type != JSON),
    )
    post = route["post"]
    post["parameters"] = [*post["parameters"], *SAGEMAKER_HEADERS]
    post["requestBody"]["content"][JSON]["schema"] = one_or_many["body"]
    post["responses"]["200"]["content"][JSON]["schema"] = one_or_many["answer"]
    post["responses"]["204"] = {"description": "The body was empty"}
    return route


def _json(schema: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _reference(schema)}
    if example is not None:
        content["example"] = example
    return {JSON: content}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
