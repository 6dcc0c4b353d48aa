"""Workers look after each other: by a clock of the test's own, and in a real server whose workers are stopped."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from loadtest.server import HOST, Server, running_server
from model.artifact import Artifact
from serving.api import Api
from serving.fastlane import FastLane
from serving.fellows import BEAT_EVERY_S, HUNG_AFTER_BEATS, LONGEST_WAIT_S, Fellows
from serving.hosting import Hosting
from serving.sagemaker import SageMaker
from serving.settings import Settings
from tests.generated import EXAMPLE
from tests.lab.waiting import until
from tests.serving.test_ping import asked, nobody


class Machine:
    """Workers of one server, with a clock that the test moves."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.now, self._folder, self._workers = 1000.0, folder, workers

    def worker(self, number: int) -> Fellows:
        return Fellows(self._folder / "fellows", number, self._workers, lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def waited(self, number: int) -> float:
        """How long a new worker waits before it starts."""
        before = self.now
        self.worker(number).wait(self.sleep)
        return self.now - before

    def started(self, number: int) -> Fellows:
        worker = self.worker(number)
        worker.wait(self.sleep)
        worker.beat()
        return worker

    def beats(self, *workers: Fellows, times: int = 1) -> None:
        """So many beats pass in which only these workers beat and look."""
        for _ in range(times):
            self.now += BEAT_EVERY_S
            for worker in workers:
                worker.beat()
            for worker in workers:
                worker.look()


def as_process(worker: Fellows, pid: int) -> None:
    """Has the slot's worker be another process than the test."""
    worker._slots[worker._own] = float(pid)


@contextmanager
def process() -> Iterator[psutil.Process]:
    """One that can be killed; its parent is the test, as the supervisor is of the workers."""
    with subprocess.Popen(["sleep", "600"]) as started:
        try:
            yield psutil.Process(started.pid)
        finally:
            started.kill()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", os.getpid)


def test_half_of_the_workers_is_enough(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 4)
    first = machine.started(1)
    assert not first.are_enough
    second = machine.started(2)
    assert first.are_enough
    machine.beats(first, times=20)
    assert (first.live(), first.are_enough) == (1, False)
    machine.beats(first, second)
    assert (first.live(), first.are_enough) == (2, True)
    second.leave()
    assert not first.are_enough


@pytest.mark.parametrize("workers", [1, 2])
def test_one_of_two_and_one_alone_are_enough(tmp_path: Path, workers: int) -> None:
    assert Machine(tmp_path, workers).started(1).are_enough


@pytest.mark.usefixtures("supervisor")
def test_a_machine_that_slept_has_lost_nobody(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 3)
    with process() as second, process() as third:
        workers = [machine.started(number) for number in (1, 2, 3)]
        as_process(workers[1], second.pid)
        as_process(workers[2], third.pid)
        machine.now += 3600
        assert workers[0].live() == 3
        machine.beats(workers[0], times=HUNG_AFTER_BEATS - 1)
        assert second.is_running()
        assert third.is_running()
        machine.beats(*workers, times=3)
        assert (workers[0].live(), second.is_running(), third.is_running()) == (3, True, True)


@pytest.mark.usefixtures("supervisor")
def test_who_hangs_for_a_minute_is_killed_and_the_next_one_need_not_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.fellows.log.propagate", True)
    machine = Machine(tmp_path, 2)
    with process() as hung:
        hung.suspend()
        until(lambda: hung.status() == psutil.STATUS_STOPPED)
        looking, hanging = machine.started(1), machine.started(2)
        as_process(hanging, hung.pid)
        machine.beats(looking, times=HUNG_AFTER_BEATS)
        assert hung.status() == psutil.STATUS_STOPPED, "it has not been a minute yet"
        machine.beats(looking)
        assert hung.wait(20) == -signal.SIGKILL
        assert [record.getMessage() for record in caplog.records] == [
            f"worker {hung.pid} has hung for 60 s and is killed"
        ]
        machine.beats(looking, times=2 * HUNG_AFTER_BEATS)
    assert len(caplog.records) == 1
    assert machine.waited(2) == 0


@pytest.mark.usefixtures("supervisor")
def test_who_starts_or_ends_is_not_killed_however_long_it_takes(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 3)
    with process() as starting, process() as ending:
        looking = machine.started(1)
        slow, last = machine.worker(2), machine.started(3)
        slow.wait()
        as_process(slow, starting.pid)
        as_process(last, ending.pid)
        last.leave()
        machine.beats(looking, times=2 * HUNG_AFTER_BEATS)
        assert starting.is_running()
        assert ending.is_running()


def test_a_stranger_with_a_workers_number_is_not_killed(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    with process() as stranger:  # of another parent than the test's
        looking = machine.started(1)
        as_process(machine.started(2), stranger.pid)
        machine.beats(looking, times=2 * HUNG_AFTER_BEATS)
        assert stranger.is_running()


def test_each_worker_that_dies_soon_makes_the_next_one_wait_twice_as_long(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    assert machine.waited(1) == 0
    waits = [machine.waited(1) for _ in range(7)]  # at the moment of the last one's death
    assert waits == [1, 2, 4, 8, 16, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert machine.waited(2) == 0, "it is another worker's matter"


def test_what_the_supervisor_has_waited_already_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    machine.waited(1)
    machine.now += 0.75
    assert machine.waited(1) == 0.25
    machine.now += 9
    assert machine.waited(1) == 0


def test_a_worker_that_lived_makes_nobody_wait(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    worker = machine.started(1)
    assert machine.waited(1) > 0
    machine.beats(worker, times=100)
    assert machine.waited(1) == 0


def test_who_ended_in_order_makes_nobody_wait(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    machine.started(1).leave()
    assert machine.waited(1) == 0


def test_what_is_left_of_another_boot_makes_nobody_wait(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 2)
    machine.started(1)
    machine.now = 3.0
    assert machine.waited(1) == 0


def test_both_probes_say_so(artifact: Artifact, tmp_path: Path) -> None:
    machine = Machine(tmp_path, 3)
    api = Api(artifact, Settings(), fellows=machine.started(1))
    ping = SageMaker(FastLane(nobody, lambda: api, 60), nobody, Settings(), Hosting(), tmp_path)
    status, body = asked(ping, "GET", "/ping")
    assert (status, api.is_ready) == (503, False)
    assert b"fewer than half of the workers live" in body
    machine.started(2)
    assert asked(ping, "GET", "/ping") == (200, b"")
    assert api.is_ready
    api.close()


def status(server: Server, path: str) -> int:
    """On a connection of its own, as probes have; 0 where nobody answers, as a stopped worker may have it."""
    try:
        return httpx.get(server.url + path, timeout=2).status_code
    except httpx.TransportError:
        return 0


def statuses(server: Server) -> tuple[int, int]:
    return status(server, "/readyz"), status(server, "/ping")


@pytest.mark.slow
def test_with_one_of_three_stopped_it_is_ready_and_with_two_it_is_not(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "3"}) as server, ExitStack() as after:
        workers = psutil.Process(server.pid).children()
        until(lambda: "riskline_workers 3.0" in httpx.get(f"{server.url}/metrics").text)
        for stopped, expected in zip(workers[:2], ((200, 200), (503, 503)), strict=True):
            after.callback(stopped.resume)
            stopped.suspend()
            until(lambda expected=expected: statuses(server) == expected)  # type: ignore[misc]
        assert httpx.post(f"{server.url}/predict", json=EXAMPLE).status_code == 200, "who lives goes on answering"
        for stopped in workers[:2]:
            stopped.resume()
        until(lambda: statuses(server) == (200, 200))
        assert psutil.Process(server.pid).children() == workers, "nobody was killed"


@pytest.mark.slow
def test_who_follows_a_worker_that_died_soon_says_so_and_the_other_answers_meanwhile(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as server:
        [_, victim] = psutil.Process(server.pid).children()
        until(lambda: "riskline_workers 2.0" in httpx.get(f"{server.url}/metrics").text)
        victim.kill()
        until(lambda: "1 in a row: the next one starts in" in server.log.read_text())
        assert statuses(server) == (200, 200)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_workers_without_a_supervisor_end_and_leave_the_port_to_another_server(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as server:
        supervisor = psutil.Process(server.pid)
        workers = supervisor.children(recursive=True)
        supervisor.kill()
        until(lambda: not any(lives(worker) for worker in workers))
        assert "the supervisor was killed: this worker ends too" in server.log.read_text()
        with socket.create_server((HOST, int(server.url.rpartition(":")[2]))):
            pass
