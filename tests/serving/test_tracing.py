"""Spans as a collector gets them: a hand-written one, and a server in each lane that sends to it."""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from loadtest.server import ServerNotReadyError, free_port, running_server
from serving import tracing
from serving.settings import Settings, SettingsError
from serving.telemetry import Telemetry
from serving.tracing import DELIVER_WITHIN_S, Traces
from tests.generated import EXAMPLE, TRACE, TRACEPARENT
from tests.lab.waiting import until
from tests.test_rooms import loaded_by


class Collector:
    """Takes OTLP over HTTP and keeps it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        kept = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                kept.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def listening(self) -> Iterator["Collector"]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    def spans(self) -> list[Span]:
        return [
            span
            for body in list(self.bodies)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().listening() as listening:
        yield listening


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.mark.slow
@pytest.mark.parametrize("lane", ["true", "false"])
def test_a_request_is_a_span_in_its_callers_trace_with_its_stages_inside(
    model_folder: Path, collector: Collector, lane: str
) -> None:
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1", "RISKLINE_TRACES": collector.url}
    bodies: dict[str, Any] = {
        "/predict": EXAMPLE,
        "/predict_batch": {"applications": [EXAMPLE] * 3},
        "/explain": EXAMPLE,
        "/invocations": EXAMPLE,
    }
    before = time.time_ns()
    with running_server({**environment, "RISKLINE_FAST_LANE": lane}) as server:
        for route, body in bodies.items():
            headers = {"traceparent": TRACEPARENT, "x-request-id": f"mine{route}"}
            assert httpx.post(f"{server.url}{route}", json=body, headers=headers).status_code == 200
        not_kept = f"{TRACEPARENT[:-2]}00"
        assert httpx.post(f"{server.url}/predict", json=EXAMPLE, headers={"traceparent": not_kept}).status_code == 200
        assert httpx.post(f"{server.url}/predict", json={}, headers={"traceparent": "nonsense"}).status_code == 422
        psutil.Process(server.pid).terminate()  # and what waits is sent
        until(lambda: len([span for span in collector.spans() if not span.parent_span_id]) == 1)
    spans = collector.spans()
    children = {span.span_id: [one for one in spans if one.parent_span_id == span.span_id] for span in spans}
    requests = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert [span.name for span in requests] == [*bodies, "/predict"]
    for span in requests[:-1]:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, TRACEPARENT.split("-")[2])
        found = attributes(span)
        assert found == {
            "http.route": span.name,
            "http.response.status_code": 200,
            "riskline.request_id": f"mine{span.name}",
        }
        stages = children[span.span_id]
        assert all(not stage.attributes and not stage.events for stage in stages)
        assert {"decode", "score", "decide", "record"} <= {stage.name for stage in stages}
        at = span.start_time_unix_nano
        for stage in stages:
            assert at == stage.start_time_unix_nano <= stage.end_time_unix_nano <= span.end_time_unix_nano
            at = stage.end_time_unix_nano
        assert before < span.start_time_unix_nano < span.end_time_unix_nano < time.time_ns()
    refused = requests[-1]
    assert refused.trace_id.hex() != TRACE
    assert (attributes(refused)["http.response.status_code"], attributes(refused)["error.type"]) == (
        422, "invalid_application",
    )  # fmt: skip
    [resource] = {
        json.dumps(sorted((one.key, one.value.string_value) for one in sent.resource.attributes))
        for body in collector.bodies
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans
    }
    assert ["service.name", "riskline"] in json.loads(resource)


@pytest.mark.slow
def test_a_collector_that_is_away_costs_no_answer_and_one_line(model_folder: Path) -> None:
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}
    with running_server({**environment, "RISKLINE_TRACES": f"http://127.0.0.1:{free_port()}"}) as server:
        for _ in range(20):
            assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200
        supervisor = psutil.Process(server.pid)
        supervisor.terminate()
        until(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)
        said = server.log.read_text()
    assert said.count("spans cannot be sent") == 1
    assert "Traceback" not in said


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    assert not {name for name in loaded_by("service") if name.startswith("opentelemetry")}


@pytest.mark.slow
def test_a_collector_that_never_answers_holds_up_nobody_for_long() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        traces = Traces(f"http://127.0.0.1:{silent.getsockname()[1]}", 1)
        for _ in range(3000):  # several batches, each of which would wait as long
            traces.add("/predict", 200, "", 0.01, {"score": 0.001}, "mine", {})
        closing = threading.Thread(target=traces.close, daemon=True)
        closing.start()
        closing.join(3 * DELIVER_WITHIN_S)
        assert not closing.is_alive()


@pytest.mark.parametrize(("status", "expected"), [(503, StatusCode.ERROR), (422, StatusCode.UNSET)])
def test_a_failure_on_our_side_is_an_error_and_a_callers_is_not(
    monkeypatch: pytest.MonkeyPatch, status: int, expected: StatusCode
) -> None:
    kept = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "exporter", lambda _: kept)
    traces = Traces("http://localhost", 1)
    traces.add("/predict", status, "not_recorded", 0.01, {}, "mine", {})
    traces.close()
    [span] = kept.get_finished_spans()
    assert span.status.status_code == expected


def test_a_share_of_the_traces_that_begin_here_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "exporter", lambda _: kept)
    traces = Traces("http://localhost", 0.1)
    for _ in range(1000):
        traces.add("/predict", 200, "", 0.01, {}, "mine", {})
    traces.add("/predict", 200, "", 0.01, {}, "a caller's", {b"traceparent": TRACEPARENT.encode()})
    traces.close()
    spans = kept.get_finished_spans()
    assert 40 < len(spans) < 170  # six standard deviations
    assert "a caller's" in {dict(span.attributes or {})["riskline.request_id"] for span in spans}


def test_traces_without_their_package_end_start_up_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"requirements/traces\.txt"):
        Telemetry.prove(Settings(traces="http://localhost:4318"))


def test_a_collector_that_is_no_url_ends_start_up_in_one_line() -> None:
    with (
        pytest.raises(ServerNotReadyError, match="RISKLINE_TRACES='localhost' does not fit"),
        running_server({"RISKLINE_TRACES": "localhost"}),
    ):
        pass
