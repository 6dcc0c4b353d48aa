"""`running_server` with small servers that behave, and that do not."""

import os
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from loadtest import server as server_module
from loadtest.server import ServerNotReadyError, running_server

pytestmark = pytest.mark.slow

# A server for python -c whose /readyz answers STATUS; it ignores SIGTERM if STUBBORN is set. If CHILD names a FIFO it
# has a child that keeps the FIFO open, and writes to it should it live on
STUB = """
import http.server, os, signal, subprocess, sys

class Stub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ["STATUS"]))
        self.end_headers()

if os.environ.get("STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fifo := os.environ.get("CHILD"):
    lasting = "import sys, time; fifo = open(sys.argv[1], 'w'); time.sleep(20); fifo.write('alive')"
    subprocess.Popen([sys.executable, "-c", lasting, fifo], start_new_session=bool(os.environ.get("OWN_SESSION")))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Stub).serve_forever()
"""
COMMAND = [sys.executable, "-c", STUB]


def test_a_ready_server_answers_in_the_block_and_is_gone_after_it() -> None:
    with running_server({"STATUS": "200"}, command=COMMAND) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{server.url}/readyz") as answer:  # noqa: S310 - http, by running_server
            assert answer.status == 200
        assert os.getpgid(server.pid) == server.pid
        assert "GET /readyz" in server.log_tail()

    assert _has_gone(server.pid)
    assert not server.log.exists()


def test_two_servers_run_side_by_side() -> None:
    with (
        running_server({"STATUS": "200"}, command=COMMAND) as one,
        running_server({"STATUS": "200"}, command=COMMAND) as other,
    ):
        assert one.url != other.url
        assert one.log != other.log


@pytest.mark.parametrize("own_session", ["", "yes"])
@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_a_server_leaves_behind_ends_with_the_block(tmp_path: Path, death: int, own_session: str) -> None:
    fifo = tmp_path / "child"
    os.mkfifo(fifo)
    env = {"STATUS": "200", "CHILD": str(fifo), "OWN_SESSION": own_session}
    with running_server(env, command=COMMAND) as server:
        child = fifo.open()  # waits for the child to open its end
        os.kill(server.pid, death)

    with child:
        assert child.read() == ""  # all writers are gone, and none had a last word


def test_a_server_that_ignores_the_request_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "GONE_WITHIN_S", 0.3)
    with running_server({"STATUS": "200", "STUBBORN": "yes"}, command=COMMAND) as server:
        pass

    assert _has_gone(server.pid)


def test_an_error_in_the_block_ends_the_server_too() -> None:
    pids = []

    def fail() -> None:
        with running_server({"STATUS": "200"}, command=COMMAND) as server:
            pids.append(server.pid)
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert _has_gone(pids[0])


def test_a_server_that_ends_before_it_is_ready_is_reported_with_its_last_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('the model does not load')"]

    with (
        pytest.raises(ServerNotReadyError, match=r"ended with code 1 .*\n.*the model does not load"),
        running_server({}, command=command),
    ):
        pass


def test_a_server_that_does_not_get_ready_in_time_is_reported_with_its_last_words() -> None:
    with (
        pytest.raises(ServerNotReadyError, match=r"not ready within 1 s\n(.*\n)*.*GET /readyz.* 503"),
        running_server({"STATUS": "503"}, command=COMMAND, ready_within_s=1),
    ):
        pass


def _has_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
