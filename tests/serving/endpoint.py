"""A service at an address of the loopback interface, as its own server and as SageMaker would show it."""

import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from decisions.log import Log
from decisions.record import Record
from serving.api import Api
from serving.bodies import as_file
from serving.messages import Request

JSON = "application/json"


class Riskline:
    """POST /invocations, and as SageMaker shows it, /endpoints/risk/invocations."""

    def __init__(self, api: Api, log: Log) -> None:
        self._api, self._log = api, log
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = service.answer(self.path, body, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Type", JSON)
                if status == 424:
                    self.send_header("x-amzn-ErrorType", "ModelError")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        status, answer = self.own("/invocations", body, headers)
        if status == 200 or not path.startswith("/endpoints/risk/"):
            return status, answer
        # as SageMaker says that the container did not succeed
        return 424, json.dumps(
            {"ErrorCode": "CLIENT_ERROR_FROM_MODEL", "OriginalStatusCode": status, "OriginalMessage": answer.decode()}
        ).encode()

    def own(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """What the service itself says."""
        sent = {name.lower().encode(): value.encode() for name, value in headers.items()}
        answer = asyncio.run(self._api.answer(path, Request(sent, b"", body)))
        with as_file(answer.body) as file:
            return answer.status, file.read()

    def recorded(self, decision_id: str) -> Record:
        self._log.drain()
        return self._log.store.get([decision_id])[decision_id]
