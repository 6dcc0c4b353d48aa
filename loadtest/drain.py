"""Ends a fully loaded server with SIGTERM, again and again, and counts the requests that it took and did not answer.

python -m loadtest.drain --times 10

A request counts as taken once all of it is written to a connection that the server has not closed; the answer must come
whole. Half of the callers keep their connections for as long as the server does, the others open one for each request.
"""

import argparse
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadtest.server import HOST, ServerNotReadyError, running_server
from preprocessing.encode import FIELDS

CALLERS = 16
ANSWERED_BEFORE = 2_000  # requests; then the load is as full as these callers make it
LOADED_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
BODY = json.dumps({item.name: item.kind.example for item in FIELDS}).encode()
HEAD = f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
KEPT = f"{HEAD}\r\n".encode() + BODY
LAST = f"{HEAD}Connection: close\r\n\r\n".encode() + BODY


class NotLoadedError(RuntimeError):
    """The server answered too little to call it loaded."""


@dataclass(slots=True)
class Ledger:
    """What the callers have seen; `lost` has what became of each request that was taken and not answered whole."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, fault: str | None) -> None:
        with self.lock:
            if fault is None:
                self.answered += 1
            else:
                self.lost.append(fault)


def drain(environment: Mapping[str, str]) -> Ledger:
    """What is seen of a server that has `environment` and gets SIGTERM."""
    with running_server(environment) as server:
        port = int(server.url.rsplit(":", 1)[1])
        return ended_under_load(port, lambda: os.kill(server.pid, signal.SIGTERM))


def ended_under_load(port: int, end: Callable[[], object]) -> Ledger:
    """Loads the service at `port`, calls `end`, and waits until the last caller has been sent away."""
    ledger = Ledger()
    targets = [_keep_asking, _ask_anew] * (CALLERS // 2)
    threads = [threading.Thread(target=target, args=(port, ledger)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + LOADED_WITHIN_S
        while ledger.answered < ANSWERED_BEFORE:
            if time.monotonic() > deadline or not any(thread.is_alive() for thread in threads):
                raise NotLoadedError(f"only {ledger.answered} requests were answered; lost: {ledger.lost[:3]}")
            time.sleep(0.01)
    finally:
        end()
        for thread in threads:
            thread.join(2 * ANSWER_WITHIN_S)
    return ledger


def _keep_asking(port: int, ledger: Ledger) -> None:
    """One request after the other on one connection, until the server says that it was the last."""
    if (connection := _connected(port)) is None:
        return
    with connection:
        goes_on = True
        while goes_on and not _is_closed(connection) and _is_written(connection, KEPT):
            goes_on, fault = _answer(connection)
            ledger.note(fault)


def _ask_anew(port: int, ledger: Ledger) -> None:
    """A connection for each request, until there are no more."""
    while (connection := _connected(port)) is not None:
        with connection:
            if not _is_written(connection, LAST):
                return
            ledger.note(_answer(connection)[1])


def _connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection((HOST, port), ANSWER_WITHIN_S)
    except OSError:
        return None


def _is_closed(connection: socket.socket) -> bool:
    """Nobody has been asked anything: what can be read now is the end."""
    return bool(select.select([connection], [], [], 0)[0])


def _is_written(connection: socket.socket, request: bytes) -> bool:
    try:
        connection.sendall(request)
    except OSError:
        return False
    return True


def _answer(connection: socket.socket) -> tuple[bool, str | None]:
    """Whether the connection may be used again, and what is wrong with the answer."""
    heard = b""
    try:
        while (body := heard.partition(b"\r\n\r\n")[2]) is not None and not _is_whole(heard, body):
            if not (chunk := connection.recv(65536)):
                return False, f"closed after {len(heard)} bytes of an answer"
            heard += chunk
    except OSError as error:
        return False, f"{type(error).__name__} after {len(heard)} bytes of an answer"
    head = heard.partition(b"\r\n\r\n")[0].lower()
    status = heard.split(b" ", 2)[1].decode()
    return b"connection: close" not in head, None if status == "200" else f"status {status}"


def _is_whole(heard: bytes, body: bytes) -> bool:
    head, end, _ = heard.lower().partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.drain", description="Count what SIGTERM loses.")
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    whole = 0
    for _ in range(times):
        try:
            ledger = drain({})
        except (NotLoadedError, ServerNotReadyError) as error:
            sys.exit(f"drain: {error}")
        whole += not ledger.lost
        print(json.dumps({"answered": ledger.answered, "lost": ledger.lost}), flush=True)  # noqa: T201
    print(f"nothing lost {whole} times out of {times}")  # noqa: T201
    sys.exit(0 if whole == times else 1)


if __name__ == "__main__":
    main()
