"""A real server for whoever wants to send it real requests: the load test, tests, benchmarks.

with running_server({"RISKLINE_WORKERS": "2"}) as server:
    ...  # server.url answers until the block ends
"""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
SERVE = (sys.executable, "-m", "bentoml", "serve", "service:Riskline", "--host", HOST, "--port")
READY_PATH = "/readyz"
READY_WITHIN_S = 60.0
GONE_WITHIN_S = 30.0  # after SIGTERM: time to answer what is under way
POLL_S = 0.05
LINES_SHOWN = 30


class ServerNotReadyError(RuntimeError):
    """The server ended, or was not ready by its deadline; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """`pid` leads a process group of its own; `log`, its stdout and stderr, exists as long as the server runs."""

    url: str
    pid: int
    log: Path

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:])


@contextmanager
def running_server(
    env: Mapping[str, str],
    *,
    cwd: Path = ROOT,
    command: Sequence[str] = SERVE,
    ready_path: str = READY_PATH,
    ready_within_s: float = READY_WITHIN_S,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """Runs `command`, with a free port of the loopback interface as its last argument, until the block ends.

    `env` is set on top of this process's environment, and decisions are recorded in a folder of the server's own.
    The block starts when GET `ready_path` answers 200, by `tls` if given; ServerNotReadyError if that does not happen
    in time. At its end the server gets SIGTERM; what is then left of it and of its workers gets SIGKILL.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="riskline-server-") as folder:
        log = Path(folder) / "server.log"
        decisions = {"RISKLINE_DECISIONS": str(Path(folder) / "decisions")}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the command is the caller's own
                [*command, str(port)],
                cwd=cwd,
                env={**os.environ, "BENTOML_DO_NOT_TRACK": "true", **decisions, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C reaches us alone, and we end the server in order
            )
        server = Server(f"{'https' if tls else 'http'}://{HOST}:{port}", process.pid, log)
        workers: list[psutil.Process] = []
        try:
            _await_ready(process, server, lambda: is_ready(port, ready_path, tls), ready_within_s)
            workers = _descendants(process)  # noted now: those of a server that dies can no longer be told
            yield server
        finally:
            _end(process, workers)


def free_port() -> int:
    """A port of the loopback interface that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _await_ready(process: subprocess.Popen[bytes], server: Server, ready: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not ready():
        if (code := process.poll()) is not None:
            raise ServerNotReadyError(f"the server ended with code {code} before it was ready\n{server.log_tail()}")
        if time.monotonic() > deadline:
            raise ServerNotReadyError(f"the server was not ready within {within_s:g} s\n{server.log_tail()}")
        time.sleep(POLL_S)


def is_ready(port: int, path: str, tls: ssl.SSLContext | None = None) -> bool:
    """Whether GET `path` on loopback answers 200 within a second."""
    connection = (
        http.client.HTTPSConnection(HOST, port, timeout=1, context=tls)
        if tls
        else http.client.HTTPConnection(HOST, port, timeout=1)
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    if process.poll() is not None:
        return []
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def _end(process: subprocess.Popen[bytes], workers: list[psutil.Process]) -> None:
    # BentoML's workers have sessions of their own and outlive a killed parent, so the process group is not enough
    left = [*workers, *_descendants(process)]
    process.terminate()  # sends nothing to a process that is known to have ended
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GONE_WITHIN_S)
    finally:  # also where a second Ctrl+C cuts the wait short
        with suppress(ProcessLookupError):  # the rule: nobody of its group is left
            os.killpg(process.pid, signal.SIGKILL)
        for worker in left:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        process.wait()
