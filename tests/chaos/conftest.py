"""What the chaos tests share. `make chaos` runs them in their long form (CHAOS=long) and shows what they measured."""

import itertools
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from random import Random

import psutil
import pytest

from loadtest.server import SERVE, Server, running_server
from tests.decisions.crash import Callers
from tests.decisions.test_crash import check
from tests.generated import EXAMPLE

LONG = os.environ.get("CHAOS") == "long"
Told = Callable[[str], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not LONG:
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Told:
    """Shows a figure for docs/reliability.md."""

    def tell(figure: str) -> None:
        print(f"\nchaos: {request.node.name}: {figure}")  # noqa: T201 - `make chaos` shows it

    return tell


class Night:
    """Servers with a folder of decisions, and callers; in the end what they were told is held to what is kept."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model, self._folder = model, folder
        self.callers: list[Callers] = []

    @contextmanager
    def server(
        self, workers: int = 2, command: Sequence[str] = SERVE, decisions: Path | None = None, **settings: str
    ) -> Iterator[Server]:
        folder = decisions or self._folder
        environment = {
            "RISKLINE_MODEL": str(self._model),
            "RISKLINE_WORKERS": str(workers),
            "RISKLINE_DECISIONS": str(folder),
            **settings,
        }
        with running_server(environment, command=command) as server:
            yield server
        check(folder, [attempt for one in self.callers for attempt in one.attempts])

    @contextmanager
    def calling(self, server: Server) -> Iterator[Callers]:
        self.callers.append(Callers(server, Random(len(self.callers)), f"chaos-{len(self.callers)}"))
        with self.callers[-1].calling():
            yield self.callers[-1]

    def unanswered(self) -> int:
        return sum(attempt.answer is None for one in self.callers for attempt in one.attempts)

    def sent(self) -> int:
        return sum(len(one.attempts) for one in self.callers)


@pytest.fixture
def night(model_folder: Path, tmp_path: Path) -> Night:
    return Night(model_folder, tmp_path / "decisions")


def workers_of(server: Server) -> list[psutil.Process]:
    """Those that live."""
    return [one for one in psutil.Process(server.pid).children() if _lives(one)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def honest(server: Server, times: int = 50) -> float:
    """The longest of so many answers to one caller after the other, each on a connection of its own, in seconds."""
    longest, body = 0.0, json.dumps(EXAMPLE)
    for _ in itertools.repeat(None, times):
        started = time.perf_counter()
        with closing(HTTPConnection(server.url.removeprefix("http://"), timeout=20)) as connection:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        longest = max(longest, time.perf_counter() - started)
        assert answer.status == 200
    return longest


def connected(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)
