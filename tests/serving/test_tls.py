"""The service with a certificate, as BentoML's options give it one: a real server with two workers."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from loadtest.server import HOST, SERVE, Server, running_server
from serving.container import is_healthy
from tests.generated import EXAMPLE
from tests.serving.test_server import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the loopback interface, signed by itself, and its key."""
    if not (openssl := shutil.which("openssl")) and os.environ.get("CI") != "true":
        pytest.skip("openssl is missing")
    folder = tmp_path_factory.mktemp("tls")
    written, key = folder / "certificate.pem", folder / "key.pem"
    wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=riskline", "-addext", f"subjectAltName=IP:{HOST}"]
    files = ["-keyout", str(key), "-out", str(written)]
    subprocess.run([str(openssl), "req", "-x509", *wanted, *named, *files], check=True, capture_output=True)
    return written, key


@pytest.fixture(scope="module")
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Of a caller who trusts that certificate alone."""
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture
def server(certificate: tuple[Path, Path], tls: ssl.SSLContext, model_folder: Path) -> Iterator[Server]:
    written, key = map(str, certificate)
    command = [*SERVE[:-1], "--ssl-certfile", written, "--ssl-keyfile", key, "--port"]
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}
    with running_server(environment, command=command, tls=tls) as server:
        yield server


def connections(server: Server) -> list[int]:
    """How many each worker holds."""
    workers = [child for child in psutil.Process(server.pid).children(recursive=True) if len(held(child))]
    return [len(held(worker)) for worker in workers]


def held(process: psutil.Process) -> list[object]:
    return [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]


def test_it_answers_by_tls_alone_on_both_workers_and_ends_beside_idle_callers(
    server: Server, tls: ssl.SSLContext
) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    # it is ready with its first worker, and would be told to end before the other one listens
    eventually(lambda: server.log.read_text().count("Completed async startup hook") == 2)
    with ExitStack() as stack:
        callers = [stack.enter_context(httpx.Client(base_url=server.url, verify=tls)) for _ in range(8)]
        for caller in callers:  # by the fast lane, and by BentoML's
            assert caller.post("/predict", json=EXAMPLE).status_code == 200
            assert caller.get("/model").status_code == 200
        assert len(connections(server)) == 2, connections(server)
        assert is_healthy(HOST, port)

        with socket.create_connection((HOST, port), timeout=10) as plain:
            plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert plain.recv(100) == b""
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{server.url}/livez")

        # nobody reads what says that TLS ends, and the server does not wait long for them
        os.kill(server.pid, signal.SIGTERM)
        eventually(lambda: server.log.read_text().count("Service instance cleanup finalized") == 2)
