"""The short form of `make hostile`, and what its long form has found."""

import contextlib
import socket
from pathlib import Path
from random import Random

import httpx
import psutil
import pytest

from loadtest.hostile import attacked, faults_of
from loadtest.hostile_bad import VALUE, Bad, mark_of
from loadtest.hostile_requests import bad_request, prepare
from loadtest.server import GONE_WITHIN_S, Server, running_server
from tests.lab.waiting import until

COUNT, SEED = 2000, 2026


@pytest.mark.slow
@pytest.mark.parametrize(("fast_lane", "count"), [("true", COUNT), ("false", COUNT // 2)])
def test_no_promise_is_broken(model_folder: Path, fast_lane: str, count: int) -> None:
    seen = attacked(count, SEED, {"RISKLINE_MODEL": str(model_folder), "RISKLINE_FAST_LANE": fast_lane})
    assert seen.broken == []
    assert sum(seen.kinds.values()) >= count - 16
    assert len(seen.kinds) == 13
    rare = {"413"} if count == COUNT else set()  # half as many requests need not hold one that is too large
    assert {"200", "400", "401", "404", "405", "415", "422"} | rare <= set(seen.statuses)


def test_the_same_seed_gives_the_same_requests() -> None:
    prepare()
    once, again = ([bad_request(chance) for _ in range(300)] for chance in (Random(1), Random(1)))
    assert once == again


GOOD = b'HTTP/1.1 422 X\r\ncontent-type: application/json\r\n\r\n{"error":"a","message":"b","detail":[]}'


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ([], "no answer"),
        ([GOOD, GOOD], "two answers"),
        ([GOOD.replace(b"422", b"500")], "status 500"),
        ([GOOD.replace(b"b", mark_of(Random(1)).encode(), 1)], "a value in the answer"),
        ([b"HTTP/1.1 400 X\r\n\r\nwrong"], "another form"),
        ([b"HTTP/1.1 200 X\r\n\r\nTraceback (most recent call last)"], "what nobody may see"),
    ],
)
def test_each_broken_promise_is_seen(answers: list[bytes], fault: str) -> None:
    bad = Bad("json", "POST", "/predict", [], b"")
    assert faults_of(bad, [GOOD]) == []
    assert fault in faults_of(bad, answers)[0]


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_time_at_the_end_of_all_times_is_refused(lane: Server, bound: str) -> None:
    for time in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        answer = httpx.get(f"{lane.url}/decisions", params={bound: time})
        assert (answer.status_code, answer.json()["detail"][0]["field"]) == (422, bound)


@pytest.mark.slow
def test_an_address_that_is_none_is_not_logged(lane: Server) -> None:
    address = mark_of(Random(2), VALUE)
    for path in ("/model", "/predict", "/docs.json"):
        assert httpx.get(lane.url + path, headers={"x-forwarded-for": address}).status_code in (200, 405)
    httpx.get(f"{lane.url}/model", headers={"x-forwarded-for": "192.0.2.7"})
    until(lambda: "192.0.2.7" in lane.log.read_text())
    assert address not in lane.log.read_text()


@pytest.mark.slow
def test_an_upgrade_is_ignored_not_logged_and_holds_nothing_up(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        ask_for_an_upgrade(server)
        server_process = psutil.Process(server.pid)
        server_process.terminate()
        server_process.wait(GONE_WITHIN_S / 2)  # a connection that nobody counts down would keep it


def ask_for_an_upgrade(lane: Server) -> None:
    host, port = lane.url.removeprefix("http://").split(":")
    asked = (
        f"GET /{VALUE}?{VALUE} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    heard = b""
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(asked.encode())
        with contextlib.suppress(ConnectionError):
            while b"}" not in heard and (chunk := client.recv(4096)):
                heard += chunk
    assert heard.startswith(b"HTTP/1.1 404")
    assert b'"error":"not_found"' in heard
    assert f"{VALUE}?" not in lane.log.read_text()


@pytest.mark.slow
def test_a_caller_who_leaves_in_the_middle_is_not_logged_at_length(lane: Server) -> None:
    host, port = lane.url.removeprefix("http://").split(":")
    for path in ("/predict", "/predict_batch", "/explain", "/invocations"):
        with socket.create_connection((host, int(port)), 20) as leaving:
            leaving.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    before = lane.log.read_text().count('"route":"/invocations","status":422')
    httpx.post(f"{lane.url}/invocations", json={})
    until(lambda: lane.log.read_text().count('"route":"/invocations","status":422') > before)
    assert "Traceback" not in lane.log.read_text()
