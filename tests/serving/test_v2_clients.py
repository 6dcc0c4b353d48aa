"""The Open Inference Protocol to those who speak it: Triton's and KServe's own clients, and what curl would see."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.bench_environments import PreparationError, python_of
from loadtest.server import Server
from preprocessing.encode import FIELDS
from tests.bento import ROOT
from tests.generated import EXAMPLE, NUMBER
from tests.lab.lacking import cannot_run
from tests.v2 import DATATYPE, as_json

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "v2_clients"
ROWS = [EXAMPLE, {**EXAMPLE, NUMBER.name: -1}, {**EXAMPLE, NUMBER.name: 20}]
MODEL = "/v2/models/riskline"


@pytest.fixture(scope="module")
def told(server: Server) -> dict[str, Any]:
    """What both clients understood."""
    try:
        python = python_of(HERE, ROOT / "build")
    except PreparationError as error:
        cannot_run(error)
    inputs = {name: [datatype, [row[name] for row in ROWS]] for name, datatype in DATATYPE.items()}
    command = [str(python), str(HERE / "ask.py"), server.url]
    done = subprocess.run(command, input=json.dumps(inputs), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("client", ["triton", "kserve"])
def test_a_client_of_others_gets_the_scores_of_predict(told: dict[str, Any], server: Server, client: str) -> None:
    assert (told[client]["live"], told[client]["ready"], told[client]["model ready"]) == (True, True, True)
    results = httpx.post(f"{server.url}/predict_batch", json={"applications": ROWS}).json()["results"]
    for form in ("binary", "json"):
        outputs = told[client][form]
        for name, refused in (("probability", None), ("tier", ""), ("points", 0)):
            assert outputs[name] == [result.get(name, refused) for result in results]
        assert [bool(error) for error in outputs["error"]] == [False, True, False]
        assert json.loads(outputs["error"][1]) == results[1]


def test_what_a_client_gives_comes_back_and_errors_reach_it(told: dict[str, Any]) -> None:
    assert told["triton"]["ids"] == ["a"]
    assert told["kserve"]["ids"] == ["binary", "json"]
    assert told["triton"]["error"] == "400 input unheard of: no input has this name"
    assert told["triton"]["other model ready"] is False
    assert json.loads(told["triton"]["json"]["reasons"][0])
    assert "reasons" not in told["triton"]["binary"]


def test_the_metadata_name_an_input_for_each_field(told: dict[str, Any], server: Server) -> None:
    assert told["triton"]["server"]["name"] == "riskline"
    assert "binary_tensor_data" in told["triton"]["server"]["extensions"]
    metadata = told["triton"]["metadata"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["inputs"]] == [
        (name, datatype, [-1]) for name, datatype in DATATYPE.items()
    ]
    required = {each["name"] for each in metadata["inputs"] if each["parameters"]["required"]}
    assert required == {field.name for field in FIELDS if field.required}
    version = metadata["versions"][0]
    assert version == httpx.get(f"{server.url}/model").json()["model_version"]
    assert httpx.get(f"{server.url}{MODEL}/versions/{version}").json() == metadata


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 404),
        ("GET", "/v2/health", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/another", 404),
        ("GET", f"{MODEL}/versions/1", 404),
        ("GET", f"{MODEL}/versions/1/ready", 404),
        ("GET", f"{MODEL}/config", 404),
        ("POST", "/v2/models/another/infer", 404),
        ("POST", f"{MODEL}/versions/1/infer", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", f"{MODEL}/infer", 405),
        ("POST", MODEL, 405),
        ("POST", "/v2", 405),
        ("DELETE", "/v2/health/live", 405),
        ("POST", f"{MODEL}/infer", 400),
    ],
)
def test_every_error_below_v2_has_the_protocols_form(server: Server, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, server.url + path, content=b"{")
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert (answer.headers.get("allow") is not None) == (status == 405)


def test_a_path_that_only_begins_alike_is_none_of_the_protocols(server: Server) -> None:
    assert httpx.get(f"{server.url}/v2x").json()["error"] == "not_found"


def test_requests_are_counted_by_few_routes(server: Server) -> None:
    assert httpx.post(f"{server.url}{MODEL}/infer", content=as_json([EXAMPLE])).status_code == 200
    assert httpx.get(f"{server.url}/v2/health/ready").json() == {"ready": True}
    assert httpx.get(f"{server.url}/v2/models/one-of-many").status_code == 404
    counted = httpx.get(f"{server.url}/metrics").text
    for route in ("/v2/models/{name}/infer", "/v2/health/ready", "/v2/models/{name}"):
        assert f'riskline_requests_total{{channel="api",route="{route}"' in counted
    assert "one-of-many" not in counted
