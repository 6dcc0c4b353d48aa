"""What kills a service, and callers who remember what they were told: for tests that compare the two."""

import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psutil
from pydantic_core import to_json

from decisions.journal import SUFFIX
from loadtest.server import Server
from tests.decisions.decided import random_applications

WITHIN_S = 120.0
_HOLDER = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
store.execute("BEGIN IMMEDIATE")
store.execute("UPDATE decisions SET personal = NULL")  # of which nothing may remain
print("held", flush=True)
sys.stdin.read()
"""


@dataclass
class Attempt:
    """An application on its way; `answer` is None as long as nobody was told anything. `key` is the caller's id."""

    request_id: str
    key: str | None
    application: dict[str, Any]
    answer: dict[str, Any] | None = None

    def send(self, connection: http.client.HTTPConnection) -> int:
        headers = {"Content-Type": "application/json", "X-Request-Id": self.request_id}
        if self.key:
            headers["Idempotency-Key"] = self.key
        connection.request("POST", "/predict", to_json(self.application), headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status == 200:
            self.answer = body
        return response.status


@dataclass
class Callers:
    """Sends applications from several threads at once, half of them with an id of the caller's, until told to stop."""

    server: Server
    random: Random
    name: str
    threads: int = 6
    attempts: list[Attempt] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    _answered: threading.Condition = field(default_factory=threading.Condition)
    _count: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def await_more(self, answers: int) -> None:
        """Until so many more have been answered."""
        with self._answered:
            enough = self._count + answers
            assert self._answered.wait_for(lambda: self._count >= enough, WITHIN_S), self.server.log_tail()

    @contextmanager
    def calling(self) -> Iterator[None]:
        seeds = [self.random.randrange(2**32) for _ in range(self.threads)]
        threads = [threading.Thread(target=self._call, args=(number, seed)) for number, seed in enumerate(seeds)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _call(self, thread: int, seed: int) -> None:
        applications = random_applications(100, seed)
        connection = _connection(self.server)
        number = 0
        while not self._stop.is_set():
            request_id = f"{self.name}-{thread}-{number}"
            attempt = Attempt(request_id, request_id if number % 2 else None, applications[number % 100])
            self.attempts.append(attempt)
            number += 1
            try:
                self.statuses.add(attempt.send(connection))
            except (OSError, http.client.HTTPException):  # it was killed
                connection.close()
                connection = _connection(self.server)
                self._stop.wait(0.01)
                continue
            with self._answered:
                self._count += attempt.answer is not None
                self._answered.notify()
        connection.close()


def _connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)


def asked_again(server: Server, attempts: Sequence[Attempt]) -> list[tuple[Attempt, Attempt]]:
    """Those attempts that had a key, and the same once more."""
    connection = _connection(server)
    again = []
    for first in attempts:
        if first.key:
            second = Attempt(f"{first.request_id}-again", first.key, first.application)
            assert second.send(connection) == 200
            again.append((first, second))
    connection.close()
    return again


def kill_a_worker(callers: Callers, workers: int) -> None:
    """Kills one of those who write a journal, and waits for the one that takes its place."""
    _await_writers(callers, workers)
    killed = callers.random.choice(_writers(callers.server))
    killed.kill()
    killed.wait(WITHIN_S)
    _await_writers(callers, workers)


def _await_writers(callers: Callers, workers: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while len(_writers(callers.server)) < workers:
        assert time.monotonic() < deadline, callers.server.log_tail()
        callers.await_more(1)


def _writers(server: Server) -> list[psutil.Process]:
    return [one for one in psutil.Process(server.pid).children(recursive=True) if _writes_a_journal(one)]


def _writes_a_journal(process: psutil.Process) -> bool:
    try:
        return any(file.path.endswith(SUFFIX) for file in process.open_files())
    except psutil.Error:
        return False


def kill_the_service(server: Server, random: Random) -> None:
    """Kills the supervisor and its workers, in whatever order."""
    parent = psutil.Process(server.pid)
    everyone = [parent, *parent.children(recursive=True)]
    random.shuffle(everyone)
    for one in everyone:
        one.kill()


@contextmanager
def held(store: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a transaction that would erase everything."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()
    assert holder.returncode == -signal.SIGKILL


def request_ids(store: Path) -> list[str]:
    """Of all decisions in the store."""
    with sqlite3.connect(store) as connection:
        found = [id_ for [id_] in connection.execute("SELECT facts ->> 'request_id' FROM decisions")]
    connection.close()
    return found
