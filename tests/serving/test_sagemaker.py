"""SageMaker's contract, held by a real server of two workers; what a container adds is tested where containers are."""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

pytest.register_assert_rewrite("tests.sagemaker.contract")

from loadtest.server import GONE_WITHIN_S, Server, running_server  # noqa: E402
from tests.sagemaker.contract import *  # noqa: E402, F403
from tests.sagemaker.contract import ONE, Endpoint, Started  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def endpoint(server: Server) -> Endpoint:
    return server


@pytest.fixture(scope="session")
def model_path(model_folder: Path) -> str:
    return str(model_folder)


@pytest.fixture(scope="session")
def started(model_folder: Path) -> Started:
    def start(environment: Mapping[str, str]) -> AbstractContextManager[Server]:
        return running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2", **environment})

    return start


def test_sigterm_loses_no_request_that_was_under_way(started: Started) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with started({}) as endpoint, ExitStack() as stack:
        assert isinstance(endpoint, Server)
        host, port = endpoint.url.removeprefix("http://").split(":")
        clients = [stack.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(32)]
        for client in clients:
            client.sendall(head % len(ONE) + ONE)  # a first answer proves that the connection was accepted
        for client in clients:
            assert b"200 OK" in whole_answer(client)
            client.sendall(head % len(ONE) + ONE[:50])
        os.kill(endpoint.pid, signal.SIGTERM)
        for client in clients:
            client.sendall(ONE[50:])
        for client in clients:
            assert b"200 OK" in whole_answer(client)
        psutil.Process(endpoint.pid).wait(GONE_WITHIN_S)


def whole_answer(client: socket.socket) -> bytes:
    heard = b""
    while not heard.endswith(b"}"):
        chunk = client.recv(65536)
        assert chunk, "the connection was closed without an answer"
        heard += chunk
    return heard
