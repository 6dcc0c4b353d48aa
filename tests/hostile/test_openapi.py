"""The OpenAPI document against the service, in both lanes: what is answered is what the document says can be answered.

By hand, with the JSON Schema validator that is installed already: schemathesis found no more, and would bring a dozen
packages into the lock for it.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from loadtest.server import Server
from serving import v2
from serving.decisions import route_of
from serving.formats import FORMATS
from serving.gate import SCOPE_OF
from serving.openapi import document
from tests.generated import EXAMPLE, anything
from tests.v2 import tensors

SAID = document()
JSON = "application/json"
OPERATIONS = [(method, path) for path, methods in SAID["paths"].items() for method in methods]
OURS = ("/decisions", "/outcomes", "/channels")  # before both lanes
MULTI_MODEL = "/models"  # its routes are not there without a setting
few = settings(max_examples=10, derandomize=True)

words = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&=#+%"), max_size=12)
bodies = (
    anything.map(json.dumps)
    | st.lists(anything, max_size=3).map(lambda rows: json.dumps({"applications": rows}))
    | st.fixed_dictionaries(
        {},
        optional={
            "reviewer": words, "verdict": st.sampled_from(["approve", "decline", "?"]), "note": words,
            "seen": st.integers(-1, 2), "outcomes": st.lists(anything, max_size=2),
        },
    ).map(json.dumps)
    | st.text(max_size=20)
    | st.lists(anything, max_size=2).map(lambda inputs: json.dumps({"inputs": inputs}))
)  # fmt: skip
queries = st.dictionaries(
    st.sampled_from([parameter["name"] for parameter in SAID["paths"]["/decisions"]["get"]["parameters"]])
    | st.sampled_from(["explain", "timing", "proof", "replay", "unheard-of"]),
    words | st.sampled_from(["true", "1", "-1", "queued", "low", "2026-11-25T00:00:00Z", "0.5", "9" * 30, "newest"]),
    max_size=3,
)
media_types = st.sampled_from([*FORMATS, JSON, JSON, JSON, "text/plain", "application/json; charset=utf-16"])


@pytest.fixture(scope="module")
def http(lane: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lane.url, timeout=30) as client:
        yield client


def fits(method: str, path: str, answer: httpx.Response) -> None:
    """AssertionError for a status, a media type or a body that the document does not know."""
    assert answer.status_code < 500, answer.text
    responses = SAID["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} {answer.text[:200]}"
    content = responses[str(answer.status_code)].get("content", {})
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if not content or not answer.content:
        assert not answer.content
        return
    assert media_type in content
    if media_type == JSON:
        schema = {**content[JSON]["schema"], "components": SAID["components"]}
        assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []


def filled(path: str) -> str:
    if v2.is_v2(path):
        return path.replace("{name}", "riskline").replace("{version}", "some-version")
    return path.replace("{id}", "some-id").replace("{name}", "some-name")


def test_every_schema_that_is_referred_to_is_there_and_is_a_schema() -> None:
    schemas = SAID["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(SAID)
    referred = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= schemas.keys()


def test_every_route_is_described() -> None:
    described = set(SAID["paths"])
    assert SCOPE_OF.keys() <= described
    for method, path in OPERATIONS:
        if path.startswith(OURS):
            found = route_of(method.upper(), filled(path))
            assert found is not None
            assert (found.route, found.method) == (path, method.upper())
        if (inference := v2.route_of(filled(path))) is not None:
            assert (inference.route, inference.method) == (path.replace("/versions/{version}", ""), method.upper())
    assert all(route_of("GET", path) is None for path in described if not path.startswith(OURS))
    assert all(v2.route_of(filled(path)) is not None for path in described if v2.is_v2(path))


@pytest.mark.slow
def test_what_the_document_describes_is_served_and_nothing_else_of_it(http: httpx.Client) -> None:
    assert http.get("/docs.json").json() == SAID
    for method, path in OPERATIONS:
        answer = http.request(method, filled(path), content=b"", headers={"content-type": JSON})
        if not path.startswith(MULTI_MODEL):
            assert answer.status_code != 405, path
        fits(method, path, answer)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@few
@given(body=bodies, query=queries, media_type=media_types, accept=media_types | st.just("*/*"))
def test_answers_are_as_described(
    http: httpx.Client, method: str, path: str, body: str, query: dict[str, str], media_type: str, accept: str
) -> None:
    headers = {"content-type": media_type, "accept": accept}
    if path in ("/", "/docs.json", "/schema.json", "/model/report", "/metrics"):
        headers, query = {}, {}
    content = body.encode() if method == "post" else b""
    fits(method, path, http.request(method, filled(path), content=content, params=query, headers=headers))


@pytest.mark.slow
def test_a_decision_from_its_making_to_its_outcome_is_answered_as_described(http: httpx.Client) -> None:
    def ask(method: str, path: str, where: str, **what: Any) -> Any:
        answer = http.request(method, where, **what)
        fits(method, path, answer)
        assert answer.status_code == 200
        return answer.json()

    id_ = ask("post", "/predict", "/predict?explain=true&timing=true", json=EXAMPLE)["decision_id"]
    ask("post", "/explain", "/explain", json=EXAMPLE)
    ask("post", "/predict_batch", "/predict_batch", json={"applications": [EXAMPLE, {}]})
    ask("post", "/invocations", "/invocations", json={"applications": [EXAMPLE]})
    infer = "/v2/models/{name}/infer"
    ask("post", infer, filled(infer), json={"inputs": tensors([EXAMPLE, EXAMPLE])})
    ask("post", "/decisions/{id}/review", f"/decisions/{id_}/review", json={"reviewer": "a", "verdict": "approve"})
    told = {"decision_id": id_, "outcome": "good", "date": "2026-11-25"}
    ask("post", "/outcomes", "/outcomes", json={"outcomes": [told, {}]})
    shown = ask("get", "/decisions/{id}", f"/decisions/{id_}")
    assert (shown["state"], len(shown["outcomes"])) == ("approved", 1)
    more = ask("get", "/decisions/{id}", f"/decisions/{id_}?proof=true&replay=true")
    assert (more.pop("proof")["holds"], more.pop("replay")["equal"], more) == (True, True, shown)
    assert ask("get", "/decisions", "/decisions?limit=2&order=newest")["decisions"]
    assert ask("get", "/model/thresholds", "/model/thresholds")["outcomes"]
    assert ask("get", "/model", "/model")["model_version"] == shown["facts"]["model_version"]
    assert set(ask("get", "/drift", "/drift")["windows"]) == {"1h", "24h"}
    ask("post", "/reload", "/reload")
