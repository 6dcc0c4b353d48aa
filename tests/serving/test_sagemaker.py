"""SageMaker's contract, held by a real server of two workers; what a container adds is tested where containers are."""

import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

pytest.register_assert_rewrite("tests.sagemaker.contract")

from loadtest.server import GONE_WITHIN_S, Server, running_server  # noqa: E402
from tests.generated import EXAMPLE  # noqa: E402
from tests.sagemaker.contract import *  # noqa: E402, F403
from tests.sagemaker.contract import CSV, JSON, ONE, Endpoint, Started, written  # noqa: E402

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


HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"


def test_sigterm_loses_no_request_that_was_under_way(started: Started) -> None:
    """Of 28 connections half a request is there when the signal comes, of 4 a large body that is being scored."""
    rows = 60_000
    large = written([EXAMPLE] * rows, CSV)
    with started({}) as endpoint, ExitStack() as stack:
        assert isinstance(endpoint, Server)
        host, port = endpoint.url.removeprefix("http://").split(":")
        clients = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(32)]
        for client in clients:
            client.sendall(HEAD % (JSON.encode(), len(ONE)) + ONE)  # its answer proves that the connection is accepted
            assert whole_answer(client)[0] == 200
        halves, bulk = clients[4:], clients[:4]
        for client in halves:
            client.sendall(HEAD % (JSON.encode(), len(ONE)) + ONE[:50])
        for client in bulk:
            client.sendall(HEAD % (CSV.encode(), len(large)) + large)
        os.kill(endpoint.pid, signal.SIGTERM)
        for client in halves:
            client.sendall(ONE[50:])
        for client in halves:
            status, body = whole_answer(client)
            assert (status, "probability" in json.loads(body)) == (200, True)
        for client in bulk:
            status, body = whole_answer(client)
            assert (status, body.count(b"\n")) == (200, rows)
        psutil.Process(endpoint.pid).wait(GONE_WITHIN_S)


def whole_answer(client: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer; more than one is never under way."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += received(client)
    head, _, body = heard.partition(b"\r\n\r\n")
    length = int(re.findall(rb"content-length: (\d+)", head)[0])
    while len(body) < length:
        body += received(client)
    return int(head.split(b" ")[1]), body


def received(client: socket.socket) -> bytes:
    chunk = client.recv(2**20)
    assert chunk, "the connection was closed without an answer"
    return chunk
