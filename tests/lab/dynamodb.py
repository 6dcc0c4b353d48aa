"""A stand-in for DynamoDB that survives being killed, and a proxy before it that behaves as badly as a test wants.

The stand-in is dynalite, which npm installs below LAB as `dynalite/package-lock.json` says.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from loadtest.server import HOST, free_port
from tests.lab import npm
from tests.lab.waiting import until

LOCKED = Path(__file__).parent / "dynalite"
# nothing here may reach a real account
NOBODY = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def installed() -> Path:
    """dynalite's program; LabError where it cannot be had here."""
    return npm.installed("dynalite", LOCKED) / "node_modules/dynalite/cli.js"


class Dynalite:
    """Keeps its tables in `folder`, for the next one that is started there."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        command = ["node", str(installed()), "--host", HOST, "--port", str(self.port), "--path", str(self.folder)]
        self._process = subprocess.Popen(
            [*command, "--createTableMs", "0", "--deleteTableMs", "0"], stdout=subprocess.DEVNULL
        )
        until(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "dynalite has ended"
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


Sent = dict[str, Any]
# What a proxy is to do with a request: its operation and body → nothing, so that it goes on as it is, or an answer
Behaviour = Callable[[str, Sent], "Reply | None"]


class Reply:
    """An answer in place of DynamoDB's; None drops the connection."""

    def __init__(self, status: int, body: Sent | None) -> None:
        self.status, self.body = status, body


def throttled(operation: str, sent: Sent) -> Reply:  # noqa: ARG001
    return Reply(400, {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"})


def dropped(operation: str, sent: Sent) -> Reply:  # noqa: ARG001
    return Reply(0, None)


def broken(operation: str, sent: Sent) -> Reply:  # noqa: ARG001
    return Reply(500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError"})


class Proxy:
    """Stands before `behind`, notes what is sent through it, and does what `behave` says."""

    def __init__(self, behind: Dynalite) -> None:
        self.behind = behind
        self.behave: Behaviour = lambda operation, sent: None  # noqa: ARG005
        self.sent: list[tuple[str, Sent]] = []
        self.headers: dict[str, str] = {}  # of the last request
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation, sent = self.headers["X-Amz-Target"].partition(".")[2], json.loads(body)
                proxy.sent.append((operation, sent))
                proxy.headers = dict(self.headers)
                reply = proxy.behave(operation, sent) or proxy.forward(sent)
                if reply.body is None:
                    self.close_connection = True
                    return
                answer = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{HOST}:{self._server.server_port}"

    def forward(self, sent: Sent) -> Reply:
        """What DynamoDB answers to this in place of the last request."""
        connection = HTTPConnection(HOST, self.behind.port, timeout=60)
        try:
            body = json.dumps(sent)
            connection.request("POST", "/", body, {**self.headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            return Reply(answer.status, json.loads(answer.read()))
        except OSError:
            return Reply(0, None)
        finally:
            connection.close()

    def put_ids(self) -> list[str]:
        """The ids of all puts in the order in which they were sent."""
        return [item["id"]["S"] for operation, sent in self.sent for item in _items(operation, sent)]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(timeout=60)
        self._server.server_close()


def _items(operation: str, sent: Sent) -> list[Sent]:
    if operation == "PutItem":
        return [sent["Item"]]
    if operation == "BatchWriteItem":
        return [each["PutRequest"]["Item"] for requests in sent["RequestItems"].values() for each in requests]
    return []
