"""Callers who send slowly or vanish, and a network that is cut."""

import json
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.conftest import LONG, Night, Told, connected, honest, workers_of
from tests.lab.debian import LabError
from tests.lab.dynamodb import installed
from tests.lab.lacking import cannot_run
from tests.lab.machine import vanish, without_network
from tests.lab.waiting import until
from tests.lab.workers import established

pytestmark = pytest.mark.slow

HALF = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"


def test_a_thousand_slow_callers_do_not_hold_up_an_honest_one(night: Night, told: Told) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    ending = threading.Event()
    with night.server() as server:
        usual = honest(server)
        slow = [connected(server) for _ in range(1000)]

        def trickle() -> None:
            """A byte of a header from each of them, again and again."""
            for one in slow:
                one.send(b"POST /predict HTTP/1.1\r\nX-Slow: ")
            while not ending.wait(0.5):
                for one in slow:
                    with suppress(OSError):  # a limit may have ended it: so much the better
                        one.send(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            longest = honest(server, 1000 if LONG else 50)
        finally:
            ending.set()
            thread.join()
        for one in slow:
            one.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    told(f"the longest answer to an honest caller {longest * 1000:.0f} ms, {usual * 1000:.0f} ms without them")


def test_callers_who_vanish_in_the_middle_leave_nothing_behind(night: Night, told: Told) -> None:
    count = 100
    with night.server(RISKLINE_TIMEOUT_S="4") as server:
        gone = [connected(server) for _ in range(count)]
        for one in gone:
            one.sendall(HALF)
        until(lambda: sum(established(server, worker) for worker in workers_of(server)) >= count)
        for one in gone:
            vanish(one)
        assert sum(established(server, worker) for worker in workers_of(server)) >= count, "nobody has told the service"
        longest = honest(server)
        until(lambda: sum(established(server, worker) for worker in workers_of(server)) == 0)
    told(f"{count} half-open connections gone after RISKLINE_TIMEOUT_S; honest callers within {longest * 1000:.0f} ms")


def test_a_network_that_is_cut_and_healed_loses_no_copy(tmp_path: Path, model_folder: Path, told: Told) -> None:
    try:
        installed()
    except LabError as error:
        cannot_run(error)
    command = without_network([sys.executable, "-m", "tests.chaos.cut", str(model_folder), str(tmp_path)])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["recorded_while_cut"] > 0
    assert figures["recorded"] == figures["copied"]
    told(
        f"{figures['recorded']} decisions, {figures['recorded_while_cut']} of them while the network was cut; "
        f"all in the table {figures['healed_after_s']:.1f} s after it was back"
    )
