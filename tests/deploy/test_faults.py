"""Faults in a running service with two workers, and the alerts that call somebody: they fire, and they end.

The rules are the shipped ones at sixty times their speed.
"""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from decisions.places import STORE
from loadtest import traffic
from loadtest.server import Server, running_server
from preprocessing.encode import MODEL_FIELDS
from preprocessing.fields import Number
from tests.deploy.prometheus import running_prometheus
from tests.lab.waiting import until
from tests.serving.test_server import samples

WITHIN_S = 90.0
pytestmark = pytest.mark.slow


class Watched(NamedTuple):
    """The service, the folder of its decisions, its clients and the Prometheus that watches it."""

    server: Server
    decisions: Path
    clients: Iterator[httpx.Client]
    applications: Iterator[traffic.Values]
    prometheus: str

    def send(self, changed: dict[str, Any] | None = None, channel: str = "api") -> int:
        """The status of the next application's answer, by the next client; 0 where the connection broke."""
        body = {**next(self.applications), **(changed or {})}
        try:
            sent = next(self.clients).post("/predict", json=body, headers={"x-channel": channel})
        except httpx.TransportError:
            return 0
        return sent.status_code

    def firing(self, name: str) -> list[dict[str, str]]:
        """The labels of the alerts of that name that call somebody."""
        alerts = httpx.get(f"{self.prometheus}/api/v1/alerts").json()["data"]["alerts"]
        return [one["labels"] for one in alerts if one["state"] == "firing" and one["labels"]["alertname"] == name]

    def until_fires(self, name: str, fault: Callable[[], object]) -> None:
        def fires() -> bool:
            fault()
            return bool(self.firing(name))

        until(fires, WITHIN_S)

    def until_ends(self, name: str) -> None:
        def ended() -> bool:
            self.send()
            return not self.firing(name)

        until(ended, WITHIN_S)


@pytest.fixture(scope="module")
def watched(
    needed: Callable[[str, str], Path], model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    decisions = tmp_path_factory.mktemp("decisions")
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "2",
        "RISKLINE_DECISIONS": str(decisions),
        "RISKLINE_MAX_JOURNAL_MB": "0.05",
    }
    program = needed("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with running_server(environment) as server, running_prometheus(program, server.url, folder, True) as prometheus:
        clients = [httpx.Client(base_url=server.url, trust_env=False, timeout=10) for _ in range(4)]
        yield Watched(
            server, decisions, itertools.cycle(clients), itertools.cycle(traffic.read_applications()), prometheus
        )
        for client in clients:
            client.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A server that hangs: none of its processes gets any further."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_a_field_that_moves_in_one_channel_is_named(watched: Watched) -> None:
    numbers = [field for field in MODEL_FIELDS if isinstance(field.kind, Number)]
    moved = max(numbers, key=lambda field: field.kind.high if isinstance(field.kind, Number) else 0)
    assert isinstance(moved.kind, Number)
    for _ in range(1100):
        assert watched.send({moved.name: int(moved.kind.high / 2)}, channel="mail") == 200
    watched.until_fires("RisklineDrift", lambda: None)
    until(lambda: any(one["of"] == moved.name for one in watched.firing("RisklineDrift")))
    fields = {one["of"] for one in watched.firing("RisklineDrift") if one["channel"] == "mail"} - {"score"}
    assert fields == {moved.name}


def test_a_channel_that_breaks_rules_is_named_until_it_does_no_more(watched: Watched) -> None:
    watched.until_fires("RisklineRefusals", lambda: watched.send({"made_up": 1}, channel="chatbot"))
    assert [one["channel"] for one in watched.firing("RisklineRefusals")] == ["chatbot"]
    watched.until_ends("RisklineRefusals")


def test_a_store_that_is_away_calls_somebody_until_it_is_back(watched: Watched) -> None:
    with closing(sqlite3.connect(watched.decisions / STORE, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        watched.until_fires("RisklineNotRecording", watched.send)
        watched.until_fires("RisklineFailing", watched.send)
        store.execute("ROLLBACK")
    until(lambda: watched.send() == 200)
    watched.until_ends("RisklineNotRecording")
    watched.until_ends("RisklineFailing")


def test_a_worker_that_never_gets_up_calls_somebody_until_it_does(watched: Watched) -> None:
    [first, _] = psutil.Process(watched.server.pid).children()

    def kill_the_other() -> None:
        for worker in psutil.Process(watched.server.pid).children():
            if worker.pid != first.pid:
                worker.kill()

    watched.until_fires("RisklineWorkersMissing", kill_the_other)
    watched.until_ends("RisklineWorkersMissing")


def test_workers_that_die_again_and_again_call_somebody_until_they_stay(watched: Watched) -> None:
    seen = 0.0

    def kill_the_older_once_the_newer_is_up() -> None:
        nonlocal seen
        with suppress(httpx.TransportError):
            [starts] = samples(watched.server.url, "riskline_worker_starts_total").values()
            if starts > seen:
                seen = starts
                psutil.Process(watched.server.pid).children()[0].kill()

    watched.until_fires("RisklineWorkersRestart", kill_the_older_once_the_newer_is_up)
    watched.until_ends("RisklineWorkersRestart")


def test_a_service_that_hangs_calls_somebody_until_it_goes_on(watched: Watched) -> None:
    with stopped(watched.server.pid):
        watched.until_fires("RisklineDown", lambda: None)
    watched.until_ends("RisklineDown")
