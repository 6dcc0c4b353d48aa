"""The service as its users meet it: a real server process with two workers over a real socket."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server import Server, ServerNotReadyError, running_server
from model.artifact import GRAPH, REPORT, Artifact
from preprocessing.encode import encode
from preprocessing.schema import Application
from serving.thresholds import Thresholds
from tests.generated import CATEGORY, EXAMPLE, NUMBER

pytestmark = pytest.mark.slow

JSON = {"content-type": "application/json"}


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def samples(url: str, name: str) -> dict[tuple[str, ...], float]:
    """A metric's samples by their labels' values, from a fresh scrape."""
    text = httpx.get(f"{url}/metrics").text
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def eventually(true: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.05)


def test_one_application_is_scored_as_the_artefact_scores_it(http: httpx.Client, artifact: Artifact) -> None:
    answer = http.post("/predict", json=EXAMPLE)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["probability"] == artifact.score(encode([Application.model_validate(EXAMPLE)]).matrix)[0]
    assert answer.json()["model_version"] == artifact.model_version


def test_a_bad_row_in_a_batch_does_not_lose_the_others(http: httpx.Client) -> None:
    answer = http.post("/predict_batch", json={"applications": [EXAMPLE, {**EXAMPLE, "age": 7}, EXAMPLE]})
    first, refused, last = answer.json()["results"]
    assert first["tier"] == last["tier"]
    assert [problem["field"] for problem in refused["detail"]] == ["age"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"[" * 10_000, JSON, 400),
        (json.dumps(EXAMPLE).encode("utf-16"), JSON, 400),
        (json.dumps({**EXAMPLE, NUMBER.name: float("nan")}).encode(), JSON, 422),
        (json.dumps({**EXAMPLE, CATEGORY.name: "x" * 50_000}).encode(), JSON, 422),
        (json.dumps({**EXAMPLE, CATEGORY.name: "x" * 10_000_000}).encode(), JSON, 413),
        (b" " * (17 * 2**20), JSON, 413),
        (json.dumps(EXAMPLE).encode(), {"content-type": "application/x-www-form-urlencoded"}, 415),
        (json.dumps(EXAMPLE).encode(), {"content-type": "multipart/form-data; boundary=x"}, 415),
        (b"cos\nsystem\n(S'true'\ntR.", {"content-type": "application/vnd.bentoml+pickle"}, 415),
    ],
)
def test_bad_input_gets_a_status_and_our_error_form(
    http: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    for path in ("/predict", "/predict_batch"):
        answer = http.post(path, content=content, headers=headers)
        if path == "/predict":
            assert answer.status_code == status
        assert answer.status_code in (400, 413, 415, 422)
        assert set(answer.json()) == {"error", "message", "detail"}
    assert http.post("/predict", json=EXAMPLE).status_code == 200


def test_a_refused_value_is_in_neither_answer_nor_log(http: httpx.Client, server: Server) -> None:
    secret = "1234567.875"
    for path, body in (
        ("/predict", f'{{"{NUMBER.name}": {secret}}}'),
        ("/predict_batch", f'{{"applications": "{secret}"}}'),
    ):
        answer = http.post(path, content=body, headers=JSON)
        assert answer.status_code == 422
        assert secret not in answer.text
    assert secret not in server.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("POST", "/nothing/here", 404),
        ("POST", "/model", 405),
        ("DELETE", "/model/report", 405),
        ("POST", "/model/thresholds", 405),
        ("GET", "/model/weights", 404),
    ],
)
def test_unknown_paths_and_methods_are_answered_in_our_form(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message", "detail"}


def test_the_running_model_is_shown_with_its_manifest(http: httpx.Client, artifact: Artifact) -> None:
    shown = http.get("/model")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "application/json"
    assert shown.json() == {
        "version": artifact.version,
        "model_version": artifact.model_version,
        "policy_version": artifact.policy_version,
        "manifest": artifact.manifest.model_dump(mode="json"),
    }


def test_what_other_thresholds_would_have_done_is_shown(http: httpx.Client, artifact: Artifact) -> None:
    shown = http.get("/model/thresholds")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "application/json")
    assert shown.json() == Thresholds.of(artifact).model_dump(mode="json")


def test_the_report_is_the_artefacts_and_may_load_nothing(http: httpx.Client, artifact: Artifact) -> None:
    shown = http.get("/model/report")
    assert shown.status_code == 200
    assert shown.content == artifact.files[REPORT]
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"].split("; ") == [
        "default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    ]  # fmt: skip
    assert {"/model", "/model/report", "/drift", "/ping", "/invocations", "/execution-parameters"} <= set(
        http.get("/docs.json").json()["paths"]
    )


def test_probes_answer(http: httpx.Client) -> None:
    assert [http.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


def test_metrics_add_up_over_both_workers(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as server:
        workers = psutil.Process(server.pid).children()
        assert len(workers) == 2
        asked = 0
        # new connections until both workers have answered, as their processor times show
        times = {worker: sum(worker.cpu_times()[:2]) for worker in workers}

        def ask() -> bool:
            nonlocal asked
            for _ in range(50):
                assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
                asked += 1
            return all(sum(worker.cpu_times()[:2]) > times[worker] + 0.02 for worker in workers)

        eventually(ask)
        # counts reach the files a few times a second; then each scrape, whichever worker answers it, knows all of them
        eventually(lambda: sum(samples(server.url, "riskline_scores_total").values()) == asked)
        for _ in range(6):
            assert sum(samples(server.url, "riskline_scores_total").values()) == asked
            assert samples(server.url, "riskline_requests_total") == {("api", "/predict", "200"): asked}
            assert samples(server.url, "riskline_request_duration_seconds_count") == {("/predict",): asked}
        assert list(samples(server.url, "riskline_model_info").values()) == [1.0]


def test_counts_are_not_lost_when_the_server_ends(model_folder: Path, tmp_path: Path) -> None:
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "1",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    with running_server(environment) as server:
        for _ in range(7):
            assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
        # the process that starts the workers has the same environment, and is none of them
        eventually(lambda: samples(server.url, "riskline_ready") == {(): 1})
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]
    labels = {"route": "/predict", "status": "200", "channel": "api"}
    assert registry.get_sample_value("riskline_requests_total", labels) == 7


def test_the_page_has_every_field_with_words_and_example_and_loads_nothing_from_outside(http: httpx.Client) -> None:
    page = http.get("/").text
    assert "http" not in page
    for asset in (
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
    ):
        assert asset in page
        assert http.get(f"/static_content/{asset}").status_code == 200
    document = http.get("/docs.json").json()
    application = document["components"]["schemas"]["Application"]
    assert list(application["properties"]) == list(EXAMPLE)
    assert all(field["description"] and field["title"] for field in application["properties"].values())
    for path in ("/predict", "/predict_batch"):
        operation = document["paths"][path]["post"]
        answer = http.post(path, json=operation["requestBody"]["content"]["application/json"]["example"])
        expected = operation["responses"]["200"]["content"]["application/json"]["example"]
        assert shape(answer.json()) == shape(expected), "the documented example is what really comes"
        assert str(http.post(path, content=b"").status_code) in operation["responses"]


def shape(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: shape(value) for key, value in answer.items()}
    return [shape(value) for value in answer] if isinstance(answer, list) else type(answer)


def test_bentomls_own_client_works(server: Server) -> None:
    # in a process of its own, since the client leaves warnings and a folder behind
    script = (
        "import bentoml, json, sys\n"
        "url, example = sys.argv[1], json.loads(sys.argv[2])\n"
        "client = bentoml.SyncHTTPClient(url)\n"
        "single = client.predict(example)\n"
        "batch = client.predict_batch(applications=[example, {**example, 'age': 7}])\n"
        "print(json.dumps([single, batch]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, server.url, json.dumps(EXAMPLE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    single, batch = json.loads(done.stdout)
    assert single["tier"] in ("low", "medium", "high")
    scored, refused = batch["results"]
    assert scored["tier"] == single["tier"]
    assert refused["detail"][0]["field"] == "age"


def test_a_killed_worker_is_replaced_and_nothing_is_lost_from_the_metrics(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        supervisor = psutil.Process(server.pid)
        for _ in range(3):
            assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
        eventually(lambda: sum(samples(server.url, "riskline_scores_total").values()) == 3)
        [worker] = supervisor.children()
        worker.send_signal(signal.SIGKILL)

        def replaced() -> bool:
            try:
                return httpx.post(f"{server.url}/predict", json=EXAMPLE, timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        eventually(replaced, within_s=30)
        assert [process.pid for process in supervisor.children()] != [worker.pid]
        eventually(lambda: sum(samples(server.url, "riskline_scores_total").values()) >= 4)


def test_the_gauges_of_a_killed_worker_vanish_and_counters_never_go_down(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as server:

        def gauge(name: str) -> float:
            return sum(samples(server.url, name).values())

        highest = 0.0

        def workers() -> float:
            """How many there are by a scrape; also holds what is counted against the scrape before."""
            nonlocal highest
            with suppress(httpx.TransportError):  # the connection may have been the killed worker's
                counts = gauge("riskline_requests_total")
                assert counts >= highest
                highest = counts
                return gauge("riskline_workers")
            return -1

        eventually(lambda: (workers(), gauge("riskline_ready")) == (2, 1))
        assert (gauge("riskline_workers_wanted"), gauge("riskline_build_info")) == (2, 1)
        assert time.time() > gauge("riskline_model_trained_timestamp_seconds") > 1.5e9
        eventually(lambda: gauge("riskline_worker_starts_total") == 2)
        for _ in range(5):
            assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
        eventually(lambda: gauge("riskline_requests_total") == 5)
        memory = gauge("riskline_process_resident_memory_bytes")
        psutil.Process(server.pid).children()[-1].send_signal(signal.SIGKILL)
        # the next one may be there before anybody saw that one was missing: then they are never less than two, but the
        # dead one's would make them three for ever
        eventually(lambda: workers() != -1 and gauge("riskline_worker_starts_total") == 3, within_s=60)
        eventually(lambda: (workers(), gauge("riskline_ready")) == (2, 1))
        assert gauge("riskline_process_resident_memory_bytes") < 1.4 * memory


def test_sigterm_answers_what_is_under_way_and_ends(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        os.kill(server.pid, signal.SIGTERM)
        eventually(lambda: not psutil.pid_exists(server.pid) or psutil.Process(server.pid).status() == "zombie")


def last_line(error: pytest.ExceptionInfo[ServerNotReadyError]) -> str:
    return str(error.value).strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RISKLINE_MODEL": "/no/such/model"}, "riskline: there is no model at /no/such/model; set RISKLINE_MODEL to"),
        ({"RISKLINE_WORKERS": "many"}, "riskline: RISKLINE_WORKERS='many' does not fit"),
        ({"RISKLINE_MODLE": "x"}, "riskline: RISKLINE_MODLE is not a setting; did you mean RISKLINE_MODEL?"),
    ],
)
def test_a_wrong_setting_ends_start_up_in_one_line(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(ServerNotReadyError) as caught, running_server(environment):
        pass
    assert last_line(caught).startswith(expected)
    assert "Traceback" not in str(caught.value)


def test_a_damaged_model_ends_start_up_in_one_line(model_folder: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(model_folder), str(tmp_path / "model")], check=True)
    with (tmp_path / "model" / GRAPH).open("ab") as graph:
        graph.write(b" ")
    with pytest.raises(ServerNotReadyError) as caught, running_server({"RISKLINE_MODEL": str(tmp_path / "model")}):
        pass
    assert last_line(caught) == (
        f"riskline: {tmp_path}/model: {GRAPH} is not what the manifest says (sha256); copy the model again"
    )
    assert "Traceback" not in str(caught.value)


def test_a_store_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ServerNotReadyError) as caught, running_server({"BENTOML_HOME": str(tmp_path)}):
        pass
    assert last_line(caught) == "riskline: the model store has no riskline:latest; train a model with `make train`"


def test_labels_of_metrics_are_only_what_the_schema_and_the_rules_know(http: httpx.Client, server: Server) -> None:
    http.post("/predict", json={**EXAMPLE, "made_up": 1})
    refused = Counter(labels[0] for labels in samples(server.url, "riskline_refused_total"))
    assert set(refused) <= {*EXAMPLE, "other", ""}
