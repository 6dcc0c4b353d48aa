"""What is said on stdout: whole lines, of whom it was about, and never what an applicant said."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client import REGISTRY

from decisions.log import Log
from loadtest.server import running_server
from model.artifact import Artifact
from preprocessing.errors import RisklineError
from serving import logs, metrics
from serving.api import Api
from serving.logs import JsonFormatter, Lines, trace_id
from serving.messages import Request
from serving.settings import Settings
from serving.telemetry import Telemetry
from tests.generated import EXAMPLE, NUMBER, TRACE, TRACEPARENT
from tests.lab.waiting import until

BODY = json.dumps(EXAMPLE).encode()
BATCH = json.dumps({"applications": [EXAMPLE, {}, EXAMPLE]}).encode()
HEADERS = {b"traceparent": TRACEPARENT.encode(), b"x-request-id": b"mine", b"x-channel": b"phone"}


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    yield lines
    lines.close()


def ask(api: Api, path: str, body: bytes, headers: dict[bytes, bytes] = HEADERS) -> Any:
    answer = asyncio.run(api.answer(path, Request(headers, b"", body)))
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def said(lines: Lines, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines.close()
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("recorded", [True, False])
def test_each_decision_gets_one_line_whatever_route_it_came_by(
    artifact: Artifact, lines: Lines, tmp_path: Path, capfd: pytest.CaptureFixture[str], recorded: bool
) -> None:
    log = Log(tmp_path) if recorded else None
    api = Api(artifact, Settings(log_decisions=1), log=log, telemetry=Telemetry(lines))
    one, explained = ask(api, "/predict", BODY), ask(api, "/explain", BODY)
    first, refused, last = ask(api, "/predict_batch", BATCH)["results"]
    assert ask(api, "/predict", b"{}")["error"] == refused["error"] == "invalid_application"
    api.close()
    if log:
        log.close()
    told = said(lines, capfd)
    assert [line["decision_id"] for line in told] == [row["decision_id"] for row in (one, explained, first, last)]
    assert {line["tier"] for line in told} == {one["tier"]}
    for line in told:
        assert (line["event"], line["channel"], line["request_id"], line["trace_id"]) == (
            "decision", "phone", "mine", TRACE,
        )  # fmt: skip
        assert (line["model_version"], line["policy_version"]) == (one["model_version"], one["policy_version"])
        assert set(line) == {
            "timestamp", "event", "decision_id", "tier", "channel", "request_id", "trace_id", "model_version",
            "policy_version",
        }  # fmt: skip


def test_a_decision_that_stood_already_is_not_told_again(
    artifact: Artifact, lines: Lines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log(tmp_path)
    api = Api(artifact, Settings(log_decisions=1), log=log, telemetry=Telemetry(lines))
    for _ in range(2):
        assert ask(api, "/predict", BODY, {b"idempotency-key": b"a"})["decision_id"] == "a"
        assert ask(api, "/predict_batch", BATCH, {b"idempotency-key": b"b"})["results"][2]["decision_id"] == "b-3"
        assert ask(api, "/explain", BODY, {b"idempotency-key": b"c"})["decision_id"] == "c"
    api.close()
    log.close()
    assert [line["decision_id"] for line in said(lines, capfd)] == ["a", "b-1", "b-3", "c"]


def test_a_share_of_the_decisions_is_told(artifact: Artifact, lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    api = Api(artifact, Settings(log_decisions=0.1), telemetry=Telemetry(lines))
    ask(api, "/predict_batch", json.dumps({"applications": [EXAMPLE] * 5000}).encode())
    api.close()
    assert 350 < len(said(lines, capfd)) < 650  # seven standard deviations


def test_lines_are_whole_and_in_pieces_that_a_pipe_does_not_cut(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(_out: int, piece: bytes) -> int:
        if len(written) == 1:
            written.append(piece[:7])  # as a full disk may cut it
            return 7
        written.append(piece)
        return len(piece)

    monkeypatch.setattr(os, "write", write)
    for number in range(500):
        lines.add("request", number=number)
    lines.add("request", long="x" * 5000)
    lines.close()
    assert [json.loads(line).get("number") for line in b"".join(written).splitlines()] == [*range(500), None]
    assert max(len(piece) for piece in written[:-1]) <= 4096


def test_what_could_not_be_written_waits_and_what_nobody_ever_reads_is_counted(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def full(_out: int, piece: bytes) -> int:
        written.append(piece)
        raise OSError("no space left on device")

    def lost() -> float:
        metrics.flush()
        return REGISTRY.get_sample_value("riskline_log_lines_lost_total") or 0

    before = lost()
    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(logs, "MOST_WAITING", 3)
    lines._write()
    for number in range(5):
        lines.add("request", number=number)
    assert lost() - before == 2
    lines._write()
    lines._write()
    assert len(set(written)) == 1  # again the same piece
    monkeypatch.undo()
    monkeypatch.setattr(os, "write", lambda _out, piece: len(piece))
    lines.close()
    assert [json.loads(line)["number"] for line in written[0].splitlines()] == [0, 1, 2]
    assert not lines._waiting


def error_line(error: Exception, **more: Any) -> Any:
    try:
        raise error
    except Exception as raised:
        caught = (type(raised), raised, raised.__traceback__)
    record = logging.LogRecord("riskline", logging.ERROR, "", 0, "unexpected error in %s", ("/predict",), caught)
    record.__dict__ |= more
    return json.loads(JsonFormatter().format(record))


def test_an_exception_is_told_by_its_type_and_places_but_not_by_words_that_may_be_the_applicants() -> None:
    line = error_line(ValueError(f"could not convert {EXAMPLE[NUMBER.name]}"), about={"request_id": "mine"})
    assert (line["event"], line["message"], line["error"]) == ("error", "unexpected error in /predict", "ValueError")
    assert line["request_id"] == "mine"
    assert "could not convert" not in json.dumps(line)
    assert __file__ in line["frames"][-1]
    assert error_line(RisklineError("RISKLINE_MODEL is empty"))["error_message"] == "RISKLINE_MODEL is empty"
    assert error_line(OSError(28, "x"))["error_message"] == "No space left on device"


def test_an_error_on_our_side_is_told_with_whose_request_it_was(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    api = Api(artifact, Settings())
    monkeypatch.setattr(api._served.single, "score", breaks)
    assert ask(api, "/predict", BODY)["error"] == "internal_error"
    api.close()
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert (line["request_id"], line["trace_id"], line["error"]) == ("mine", TRACE, "RuntimeError")


@pytest.mark.slow
def test_two_workers_say_every_decision_once_and_all_that_was_counted_even_by_one_that_was_killed(
    model_folder: Path,
) -> None:
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "2",
        "RISKLINE_LOG_DECISIONS": "1",
        "RISKLINE_LOG_METRICS": "Riskline",
    }
    with running_server(environment) as server:
        ids = {httpx.post(f"{server.url}/predict", json=EXAMPLE).json()["decision_id"] for _ in range(20)}
        flushed = 'riskline_requests_total{channel="api",route="/predict",status="200"} 20.0'
        until(lambda: flushed in httpx.get(f"{server.url}/metrics").text)
        until(lambda: server.log.read_text().count("decision_id") == 20)
        supervisor = psutil.Process(server.pid)
        supervisor.children()[-1].kill()
        supervisor.terminate()
        psutil.wait_procs([supervisor], timeout=30)
        told = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    decisions = [line["decision_id"] for line in told if line["event"] == "decision"]
    assert sorted(decisions) == sorted(ids)
    assert sum(line["Requests"] for line in told if line["event"] == "metrics") == 20


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (TRACEPARENT, TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-of-a-later-version", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (TRACEPARENT.upper(), ""),
        ("anything", ""),
    ],
)
def test_a_trace_id_is_that_of_a_valid_traceparent(sent: str, expected: str) -> None:
    assert trace_id({b"traceparent": sent.encode()}) == expected
    assert trace_id({}) == ""
