"""The load test's parts without locust, then the whole of it against servers that hold and that do not."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtest import plan, traffic
from loadtest.plan import STAGES, THRESHOLDS, Stage, Threshold
from loadtest.run import has_model
from preprocessing.decode import decode_application, decode_batch
from preprocessing.encode import FIELDS
from preprocessing.errors import InvalidApplication
from preprocessing.schema import Application

ROOT = Path(plan.__file__).parent.parent
SCORE = {"tier": "low"}
LONGEST_S = 180  # for any process started here


@pytest.mark.parametrize("total", [1.0, 6.0, 40.0, 3600.0])
def test_scaled_stages_fill_the_wanted_seconds_and_keep_their_users(total: float) -> None:
    stages = plan.scaled(STAGES, total)

    assert sum(stage.seconds for stage in stages) == pytest.approx(total)
    assert [stage.users for stage in stages] == [stage.users for stage in STAGES]


def test_a_ramp_takes_the_same_share_of_a_shorter_stage() -> None:
    assert plan.scaled([Stage(10, users=20, spawn_rate=4)], 5) == (Stage(5, users=20, spawn_rate=8),)


def test_every_stage_reaches_its_users_before_it_ends() -> None:
    before = 0
    for stage in STAGES:
        assert abs(stage.users - before) / stage.spawn_rate < stage.seconds
        before = stage.users


def test_each_moment_has_its_stage_and_the_end_has_none() -> None:
    first, second = stages = (Stage(2, 1, 1), Stage(3, 5, 1))

    assert [plan.stage_at(stages, elapsed) for elapsed in (0, 1.9, 2, 4.9, 5, 99)] == [
        first, first, second, second, None, None,
    ]  # fmt: skip


def test_the_length_is_read_from_the_environment_and_forty_seconds_without_it() -> None:
    assert plan.seconds({}) == 40
    assert plan.seconds({plan.SECONDS: ""}) == 40
    assert plan.seconds({plan.SECONDS: "2.5"}) == 2.5


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "inf"])
def test_a_length_that_is_none_is_refused_by_name(given: str) -> None:
    with pytest.raises(ValueError, match=plan.SECONDS):
        plan.seconds({plan.SECONDS: given})


def test_a_threshold_that_holds_says_nothing() -> None:
    assert Threshold("/x", p99_ms=100).broken_by(requests=10, failures=0, p99_ms=100) == []


def test_a_threshold_says_one_line_for_each_way_it_is_broken() -> None:
    threshold = Threshold("/x", p99_ms=100, failure_ratio=0.1)

    assert threshold.broken_by(requests=10, failures=1, p99_ms=1) == []
    assert threshold.broken_by(requests=10, failures=2, p99_ms=101) == [
        "/x: 2 of 10 requests failed (10.00% allowed)",
        "/x: p99 is 101 ms (100 ms allowed)",
    ]


def test_requests_that_were_never_made_break_their_threshold() -> None:
    assert Threshold("/x", p99_ms=100).broken_by(requests=0, failures=0, p99_ms=0) == ["/x: no request was made"]


def test_every_application_of_the_table_is_valid_alone_and_in_a_batch() -> None:
    applications = traffic.read_applications()
    bodies = [traffic.application_body(application).encode() for application in applications]
    alone = [decode_application(body)[0] for body in bodies]

    assert len(applications) > 1000
    assert all(isinstance(row, Application) for row in alone)
    assert decode_batch(traffic.batch_body(applications).encode()) == alone


def test_an_empty_cell_is_a_field_left_out(tmp_path: Path) -> None:
    optional = next(field.name for field in FIELDS if not field.required)
    cells = {field.name: str(field.kind.example) for field in FIELDS} | {optional: ""}
    table = tmp_path / "applications.csv"
    table.write_text(f"verdict,{','.join(cells)}\ngood,{','.join(cells.values())}\n")

    [application] = traffic.read_applications(table)

    assert application == {field.name: field.kind.example for field in FIELDS if field.name != optional}


def test_each_refused_application_lacks_one_required_field_and_all_have_their_turn() -> None:
    required = [field.name for field in FIELDS if field.required]
    applications = traffic.read_applications()[: 2 * len(required)]
    lacking = []
    for application in traffic.without_a_required_field(applications):
        [row] = decode_application(traffic.application_body(application).encode())
        assert isinstance(row, InvalidApplication)
        lacking += [(problem.field, problem.rule) for problem in row.detail]

    assert lacking == 2 * [(name, "required") for name in required]


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, json.dumps(SCORE), ""),
        (200, '{"tier": "unknown"}', "no tier out of low, medium, high"),
        (200, '{"tier": ["low"]}', "no tier out of low, medium, high"),
        (200, "<html>", "no tier out of low, medium, high"),
        (500, '{"error": "internal_error", "message": "…"}', "status 500 instead of 200 internal_error"),
        (502, "<html>", "status 502 instead of 200"),
        (0, None, "status 0 instead of 200"),
    ],
)
def test_a_score_is_right_with_status_200_and_a_tier(status: int, body: str | None, verdict: str) -> None:
    assert traffic.wrong_with_score(status, body) == verdict


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"results": [SCORE, SCORE]}, ""),
        (200, {"results": [SCORE]}, "not as many results as the 2 applications"),
        (200, {"results": None}, "not as many results as the 2 applications"),
        (200, [SCORE, SCORE], "not as many results as the 2 applications"),
        (200, {"results": [SCORE, {"error": "invalid_application"}]}, "no tier out of low, medium, high"),
        (413, {"error": "batch_too_large"}, "status 413 instead of 200 batch_too_large"),
    ],
)
def test_a_batch_is_right_with_a_tier_for_every_application(status: int, body: object, verdict: str) -> None:
    assert traffic.wrong_with_results(status, json.dumps(body), sent=2) == verdict


def test_a_refusal_is_right_with_status_422_alone() -> None:
    assert traffic.wrong_with_refusal(422, '{"error": "invalid_application"}') == ""
    assert traffic.wrong_with_refusal(200, json.dumps(SCORE)) == "status 200 instead of 422"


def test_a_model_in_the_store_or_a_configured_one_needs_no_training(tmp_path: Path) -> None:
    store = {"BENTOML_HOME": str(tmp_path)}
    assert not has_model(store)
    assert has_model({**store, "RISKLINE_MODEL": "model.tar.gz"})

    (tmp_path / "models" / "riskline").mkdir(parents=True)
    (tmp_path / "models" / "riskline" / "latest").write_text("0123456789ab")
    assert has_model(store)


@pytest.mark.slow
def test_the_service_holds_every_threshold_and_a_report_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "store"), "BENTOML_DO_NOT_TRACK": "true"}
    training = _run(["model.train", "--cv-seeds", "0"], environment)
    assert training.returncode == 0, training.stdout
    report = tmp_path / "reports" / "loadtest.html"

    # what is judged here is the load test, not this machine's speed
    run = _run(["loadtest.run", "--report", str(report)], {**environment, plan.SECONDS: "6", plan.P99_FACTOR: "60"})

    assert run.returncode == 0, run.stdout
    assert "<html" in report.read_text()
    made = _requests_made(run.stdout)
    assert set(made) == {threshold.name for threshold in THRESHOLDS}
    assert all(made.values())


@pytest.mark.slow
def test_a_server_that_answers_500_breaks_every_threshold(broken_server: str) -> None:
    locust = ["locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary", "--host", broken_server]

    run = _run(locust, {**os.environ, plan.SECONDS: "4"})

    assert run.returncode == 1, run.stdout
    broken = re.findall(r"^threshold broken: (.+): (\d+) of (\d+) requests failed", run.stdout, re.MULTILINE)
    assert {plan.ONE, plan.BATCH} <= {name for name, *_ in broken}
    assert all(failed == made for _, failed, made in broken)


@pytest.fixture
def broken_server() -> Iterator[str]:
    """The URL of a server that has read every request and answers 500."""

    class Broken(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _run(module: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
    )


def _requests_made(summary: str) -> dict[str, int]:
    """Request name → count, out of locust's table of requests and failures."""
    rows = re.findall(r"^POST +(\S.*?) +(\d+) +\d+\([\d.]+%\) ", summary, re.MULTILINE)
    return {name: int(count) for name, count in rows}
