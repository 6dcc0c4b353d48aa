"""The fast lane against BentoML's own way: the same answers, byte for byte, for every body, good or bad."""

import contextlib
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.server import Server, running_server
from tests.generated import EXAMPLE, NUMBER, anything, doubtful_applications, valid_applications

pytestmark = pytest.mark.slow

# what is made anew for each answer, in every format
IDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/x-parquet"
QUICK = {"RISKLINE_WORKERS": "1", "RISKLINE_TIMEOUT_S": "3", "RISKLINE_MAX_ROWS": "50", "RISKLINE_MAX_BODY_MB": "1"}


@pytest.fixture(scope="module")
def lanes(model_folder: Path) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        environment = {**QUICK, "RISKLINE_MODEL": str(model_folder)}
        yield [
            stack.enter_context(running_server({**environment, "RISKLINE_FAST_LANE": on})) for on in ("true", "false")
        ]


@pytest.fixture(scope="module")
def clients(lanes: list[Server]) -> Iterator[list[httpx.Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(httpx.Client(base_url=lane.url, timeout=30)) for lane in lanes]


def answers(
    clients: list[httpx.Client], path: str, body: bytes, headers: dict[str, str], method: str = "POST"
) -> list[tuple[int, bytes, dict[str, str]]]:
    """Status, body without ids, and the headers that matter, from each lane."""
    told = {"x-request-id": "the-same", **headers}
    heard = []
    for client in clients:
        answer = client.request(method, path, content=body, headers=told)
        kept = {
            k: v for k, v in answer.headers.items() if k in ("content-type", "content-length", "x-request-id", "allow")
        }
        if answer.headers.get("content-type") == PARQUET:
            kept.pop("content-length")  # its compression depends on the ids
            content = str(pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()).encode()
        else:
            content = answer.content
        heard.append((answer.status_code, IDS.sub(b"ID", content), kept))
    return heard


def table(applications: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{**dict.fromkeys(EXAMPLE), **application} for application in applications])


def arrow(applications: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    rows = table(applications)
    with pyarrow.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def parquet(applications: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table(applications), sink)
    return sink.getvalue()


def csv(applications: list[dict[str, Any]]) -> bytes:
    lines = [",".join("" if (v := a.get(name)) is None else str(v) for name in EXAMPLE) for a in applications]
    return "\n".join([",".join(EXAMPLE), *lines, ""]).encode()


def lines(applications: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(application) + "\n" for application in applications).encode()


SOME = [EXAMPLE, {**EXAMPLE, NUMBER.name: -1}, {**EXAMPLE, "home": None}, EXAMPLE]
WRITTEN = {
    JSON: json.dumps({"applications": SOME}).encode(),
    LINES: lines(SOME),
    CSV: csv(SOME),
    ARROW: arrow(SOME),
    PARQUET: parquet(SOME),
}


@settings(max_examples=60)
@given(
    body=(valid_applications | doubtful_applications | anything).map(json.dumps).map(str.encode)
    | st.binary(max_size=30)
)
def test_single_bodies_get_the_same_answer_in_both_lanes(clients: list[httpx.Client], body: bytes) -> None:
    for path in ("/predict", "/predict?explain=true", "/explain"):
        fast, slow = answers(clients, path, body, {"content-type": JSON})
        assert fast == slow


@settings(max_examples=60)
@given(
    elements=st.lists(anything, max_size=5), envelope=st.sampled_from(['{"applications": %s}', "%s", '{"rows": %s}'])
)
def test_batches_get_the_same_answer_in_both_lanes(
    clients: list[httpx.Client], elements: list[Any], envelope: str
) -> None:
    body = (envelope % json.dumps(elements)).encode()
    fast, slow = answers(clients, "/predict_batch", body, {"content-type": JSON})
    assert fast == slow


@pytest.mark.parametrize(
    "accept", [None, "*/*", JSON, LINES, CSV, ARROW, PARQUET, "text/*", "image/png", "image/png, text/csv;q=0.1"]
)
@pytest.mark.parametrize("content_type", list(WRITTEN))
def test_every_format_gets_the_same_answer_in_both_lanes(
    clients: list[httpx.Client], content_type: str, accept: str | None
) -> None:
    headers = {"content-type": content_type, "accept": accept if accept is not None else "*/*"}
    for path in ("/predict_batch", "/predict_batch?explain=true"):
        fast, slow = answers(clients, path, WRITTEN[content_type], headers)
        assert fast == slow
        assert fast[0] == (406 if accept == "image/png" else 200)
        assert (b"adverse" in fast[1]) == (accept != "image/png" and path.endswith("true"))


@pytest.mark.parametrize("accept", ["*/*", JSON, LINES, CSV, ARROW, PARQUET, "image/png"])
@pytest.mark.parametrize("content_type", list(WRITTEN))
def test_sagemakers_route_gets_the_same_answer_in_both_lanes(
    clients: list[httpx.Client], content_type: str, accept: str
) -> None:
    for body in (WRITTEN[content_type], json.dumps(EXAMPLE).encode(), b"", b"{"):
        fast, slow = answers(clients, "/invocations", body, {"content-type": content_type, "accept": accept})
        assert fast == slow
    for path in ("/ping", "/execution-parameters", "/invocations", "/models"):
        fast, slow = answers(clients, path, b"", {}, "GET")
        assert fast == slow


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/predict", {}, b""),
        ("PUT", "/predict_batch", {}, b""),
        ("POST", "/nothing", {}, b""),
        ("POST", "/predict/", {}, b""),
        ("POST", "/predict", {"content-type": "application/vnd.bentoml+pickle"}, b"cos\nsystem\n"),
        ("POST", "/predict", {"content-type": CSV}, b"a,b"),
        ("POST", "/predict", {"content-type": JSON}, b" " * (2**20 + 1)),
        ("POST", "/predict_batch", {"content-type": JSON}, b" " * (3 * 2**20)),
        ("POST", "/predict_batch", {"content-type": JSON}, json.dumps({"applications": [{}] * 51}).encode()),
        ("POST", "/predict_batch", {"content-type": CSV}, b""),
        ("POST", "/predict_batch", {"content-type": LINES}, b""),
        ("POST", "/predict_batch", {"content-type": ARROW}, WRITTEN[ARROW][:-40]),
        ("POST", "/predict_batch", {"content-type": ARROW}, arrow([{"other": 1}])),
        ("POST", "/predict_batch", {"content-type": PARQUET}, WRITTEN[PARQUET][:-1]),
        ("POST", "/predict_batch", {"content-type": PARQUET}, WRITTEN[CSV]),
        ("POST", "/predict_batch", {"content-type": LINES}, lines([EXAMPLE] * 20_000)),
    ],
)
def test_what_is_refused_is_refused_alike_in_both_lanes(
    clients: list[httpx.Client], method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    fast, slow = answers(clients, path, body, headers, method)
    assert fast == slow
    if len(body) < 10**6 or path == "/predict":
        assert fast[0] >= 400 or fast[1] == b""


def test_a_row_is_answered_alike_in_every_format(clients: list[httpx.Client]) -> None:
    expected = None
    for content_type, body in WRITTEN.items():
        headers = {"content-type": content_type, "accept": JSON}
        got = IDS.sub(b"ID", clients[0].post("/predict_batch", content=body, headers=headers).content)
        expected = expected or got
        assert got == expected, content_type


def connect(lane: Server) -> socket.socket:
    host, port = lane.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def test_a_client_that_sends_a_byte_now_and_then_is_told_that_time_is_over(lanes: list[Server]) -> None:
    with connect(lanes[0]) as slow:
        slow.sendall(HEAD % 100)
        heard = b""
        slow.settimeout(0.3)
        for _ in range(60):
            with contextlib.suppress(TimeoutError):
                heard += slow.recv(4096)
            if heard.endswith(b"}"):  # head and body may come one after the other
                break
            if not heard:
                slow.sendall(b" ")
    assert heard.startswith(b"HTTP/1.1 504 ")
    assert b'"error":"timeout"' in heard
    assert b"x-request-id: " in heard
    assert 'route="/predict",status="504"' in httpx.get(f"{lanes[0].url}/metrics").text
    assert httpx.post(f"{lanes[0].url}/predict", json=EXAMPLE).status_code == 200


def test_clients_that_leave_in_the_middle_leave_nothing_behind(lanes: list[Server]) -> None:
    for sent in (HEAD % 100, HEAD % 100 + b'{"age"', (HEAD % 60_000) + b" " * 30_000):
        with connect(lanes[0]) as leaving:
            leaving.sendall(sent)
    deadline = time.monotonic() + 20
    while httpx.post(f"{lanes[0].url}/predict", json=EXAMPLE).status_code != 200:
        assert time.monotonic() < deadline
    assert "Traceback" not in lanes[0].log.read_text()


def test_pipelined_and_chunked_requests_are_answered_in_order(lanes: list[Server]) -> None:
    body = json.dumps(EXAMPLE).encode()
    chunked = (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    pieces = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:50], body[50:])) + b"0\r\n\r\n"
    )
    with connect(lanes[0]) as client:
        client.sendall((HEAD % len(body)) + body + (HEAD % 2) + b"{}" + chunked + pieces)
        heard = b""
        while heard.count(b"HTTP/1.1 ") < 3 or not heard.endswith(b"}"):
            heard += client.recv(65536)
    assert re.findall(rb"HTTP/1.1 (\d+)", heard) == [b"200", b"422", b"200"]


def test_large_bodies_come_and_go_in_flat_memory(model_folder: Path) -> None:
    with running_server({"RISKLINE_WORKERS": "1", "RISKLINE_MODEL": str(model_folder)}) as server:
        send_large_bodies(server)


def send_large_bodies(server: Server) -> None:
    [worker] = psutil.Process(server.pid).children()
    one = lines([EXAMPLE] * 5000)
    headers = {"content-type": LINES}

    def send(times: int) -> int:
        with httpx.stream(
            "POST", f"{server.url}/predict_batch", content=(one for _ in range(times)), headers=headers, timeout=60
        ) as answer:
            assert answer.status_code == 200
            return sum(chunk.count(b"\n") for chunk in answer.iter_raw())

    assert send(2) == 10_000
    before = worker.memory_info().rss
    assert send(40) == 200_000
    assert worker.memory_info().rss - before < 60 * 2**20  # the body alone is 40 MiB, the answer 34 MiB
