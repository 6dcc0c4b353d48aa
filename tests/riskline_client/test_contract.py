"""The client against the OpenAPI document, both ways: what one knows the other has, but for what is named here."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from riskline_client import Outcome, calls
from riskline_client.answers import Channel, Tier
from riskline_client.calls import ROUTES, Route
from riskline_client.errors import CLASS_OF, PASSING, LimitReached, Unavailable
from riskline_client.sending import Find, Order
from serving import openapi
from serving.errors import STATUS

SAID = openapi.document()
SCHEMAS = SAID["components"]["schemas"]

# Every path that the client does not ask, and why
LACKS = {
    "the sources of channels call these themselves": {f"/channels/{name}" for name in get_args(Channel)[1:]},
    "SageMaker's SDK asks these": {
        "/invocations", "/ping", "/execution-parameters", "/models", "/models/{name}", "/models/{name}/invoke",
    },
    "clients of the Open Inference Protocol ask these": {path for path in SAID["paths"] if path.startswith("/v2")},
    "pages, for people": {"/", "/console/", "/model/report"},
    "for who operates the service, and their tools": {
        "/livez", "/healthz", "/readyz", "/metrics", "/drift", "/reload", "/model/thresholds",
    },
    "BentoML's clients read this": {"/schema.json"},
}  # fmt: skip
# of the routes that it does ask; the rest is for who looks into the service
LACKED_PARAMETERS = {"timing", "X-Request-Id"}
LACKED_CODES = {
    "invalid_tensor", "bad_artifact", "reload_refused", "already_loaded", "no_room", "answer_too_large",
}  # fmt: skip
# no route names these statuses, which requests get that are no requests of it
UNSAID = {405, 431}


def operation(route: Route) -> Any:
    return SAID["paths"][route.path][route.method.lower()]


def parameters(route: Route, where: str) -> dict[str, Any]:
    return {each["name"]: each for each in operation(route).get("parameters", ()) if each["in"] == where}


def test_every_path_is_asked_or_named_as_lacking() -> None:
    lacking = [path for paths in LACKS.values() for path in paths]
    assert sorted([*lacking, *(route.path for route in ROUTES)]) == sorted(SAID["paths"])
    assert {len(SAID["paths"][route.path]) for route in ROUTES} == {1}, "a method that the client does not know"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_takes_the_parameters_that_the_client_may_send(route: Route) -> None:
    lacked = LACKED_PARAMETERS | ({"explain"} if route is calls.EXPLAIN else set())  # which does so in any case
    assert parameters(route, "query").keys() - lacked == route.query
    assert parameters(route, "header").keys() - lacked == route.headers
    assert parameters(route, "path").keys() == ({"id"} if "{id}" in route.path else set())


def test_the_words_of_parameters_are_the_documents() -> None:
    of_list = parameters(calls.DECISIONS, "query")
    for words, said in (
        (Find, of_list["state"]),
        (Tier, of_list["tier"]),
        (Channel, of_list["channel"]),
        (Order, of_list["order"]),
        (Channel, parameters(calls.PREDICT, "header")[calls.CHANNEL]),
    ):
        assert set(get_args(words)) == enumerated(said["schema"])


def enumerated(schema: Mapping[str, Any]) -> set[str]:
    return set(schema.get("enum", ())) | {word for part in schema.get("anyOf", ()) for word in enumerated(part)}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_each_status_of_a_route_is_an_error_that_the_client_knows(route: Route) -> None:
    known = {STATUS[code] for code in CLASS_OF}
    assert {int(status) for status in operation(route)["responses"]} - {200} <= known


def test_the_client_knows_the_codes_of_the_service_and_no_others() -> None:
    assert CLASS_OF.keys() | LACKED_CODES == STATUS.keys()
    assert CLASS_OF.keys().isdisjoint(LACKED_CODES)
    said = {int(status) for route in ROUTES for status in operation(route)["responses"]}
    assert {STATUS[code] for code in CLASS_OF} - said == UNSAID
    passing = {code for code in CLASS_OF if STATUS[code] in PASSING}
    assert passing == {*LimitReached.codes, *Unavailable.codes}


@pytest.mark.parametrize(
    ("call", "schema"),
    [
        (calls.predict_batch([], 0, None, None, "key"), "Batch"),
        (calls.review("id", "ann", "approve", None, None), "Review"),
        (calls.outcomes([Outcome("id", "good", date(2026, 11, 25))]), "Outcomes"),
    ],
)
def test_a_body_has_the_documents_properties(call: calls.Call[Any], schema: str) -> None:
    content = operation(call.route)["requestBody"]["content"]
    assert content[call.headers["Content-Type"]]["schema"] == {"$ref": f"#/components/schemas/{schema}"}
    assert call.body is not None
    sent = json.loads(call.body)
    assert sent.keys() == SCHEMAS[schema]["properties"].keys()
    for row in sent.get("outcomes", ()):
        assert row.keys() == SCHEMAS["Outcome"]["properties"].keys()


def test_columns_are_taken_and_answered() -> None:
    said = operation(calls.PREDICT_BATCH)
    assert calls.ARROW in said["requestBody"]["content"]
    assert calls.ARROW in said["responses"]["200"]["content"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_an_answer_has_the_documents_properties(route: Route) -> None:
    schema = operation(route)["responses"]["200"]["content"][calls.JSON]["schema"]
    if route in (calls.PREDICT_BATCH, calls.OUTCOMES):  # the client gives the rows alone
        envelope = resolved(schema)
        assert list(envelope["properties"]) == ["results"]
        schema = envelope["properties"]["results"]["items"]
    compare(route.answers, schema, route.path)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema


def compare(kind: Any, schema: Mapping[str, Any], where: str) -> None:
    """AssertionError where the client's annotation and the document's schema do not say the same."""
    schema, origin, parts = resolved(schema), get_origin(kind), get_args(kind)
    if "anyOf" in schema:
        assert origin in (Union, UnionType), where
        choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        present = [part for part in parts if part is not NoneType]
        assert (NoneType in parts) == (len(choices) < len(schema["anyOf"])), where
        assert len(present) == len(choices), where
        for part, choice in zip(present, choices, strict=True):
            compare(part, choice, where)
    elif "enum" in schema:
        assert origin is Literal, where
        assert set(parts) == set(schema["enum"]), where
    elif schema["type"] == "array":
        assert origin is tuple, where
        compare(parts[0], schema["items"], f"{where}[]")
    elif is_dataclass(kind) and "properties" in schema:
        hints = get_type_hints(kind)
        assert hints.keys() == schema["properties"].keys(), where
        optional = {each.name for each in fields(kind) if (each.default, each.default_factory) != (MISSING, MISSING)}
        assert hints.keys() - optional == set(schema["required"]), where
        for name, part in hints.items():
            compare(part, schema["properties"][name], f"{where}.{name}")
    elif schema["type"] == "object":  # of which the client may know more than the document
        assert is_dataclass(kind) or origin is Mapping, where
        if isinstance(schema.get("additionalProperties"), dict):
            compare(parts[1], schema["additionalProperties"], f"{where}.*")
    else:
        assert kind is {"string": str, "number": float, "integer": int, "boolean": bool}[schema["type"]], where
