"""Workers that are killed, stopped or out of memory, under load."""

import itertools
import json
import time
from contextlib import suppress

import httpx
import psutil
import pytest

from loadtest.server import Server
from tests.chaos.conftest import LONG, Night, Told, honest, workers_of
from tests.lab.machine import little_memory
from tests.lab.waiting import until
from tests.lab.workers import established

pytestmark = pytest.mark.slow
JSON = {"content-type": "application/json"}


def most_connected(server: Server) -> psutil.Process:
    return max(workers_of(server), key=lambda worker: established(server, worker))


def test_kill_9_costs_only_what_was_in_flight_at_that_worker(night: Night, told: Told) -> None:
    with night.server() as server:
        allowed, waited = 0, []
        for _ in range(8 if LONG else 1):
            with night.calling(server) as callers:
                callers.await_more(300)
                victim = most_connected(server)
                victim.suspend()  # so that it takes no more connections while they are counted
                allowed += established(server, victim)
                victim.kill()
                started = time.monotonic()
                callers.await_more(300)
                assert httpx.get(f"{server.url}/readyz").status_code == 200
            if LONG:
                until(lambda: len(workers_of(server)) == 2)
                waited.append(time.monotonic() - started)
        lost = night.unanswered()
        assert lost <= allowed
    again = f", another worker after {min(waited):.0f} to {max(waited):.0f} s" if waited else ""
    told(f"{night.sent():,} requests, {lost} failed of {allowed} that may have been in flight, 0 lost{again}")


def test_a_stopped_worker_holds_up_its_own_callers_alone(night: Night, told: Told) -> None:
    with night.server() as server:
        with night.calling(server) as callers:
            callers.await_more(300)
            victim = most_connected(server)
            victim.suspend()
            stopped = time.monotonic()
            try:
                longest = honest(server)
                assert httpx.get(f"{server.url}/readyz", timeout=20).status_code == 200
                if LONG:
                    until(lambda: victim not in workers_of(server), 120)
            finally:
                if not LONG:
                    victim.resume()
        seconds = time.monotonic() - stopped
        assert callers.statuses <= {200, 503}
        if LONG:
            assert "has hung for 60 s and is killed" in server.log.read_text()
            until(lambda: len(workers_of(server)) == 2)
        else:  # it may have been stopped while it held the store, for which only they wait who gave an id
            assert [one for one in callers.attempts if one.answer is None and one.key is None] == []
    ended = f"killed after {seconds:.0f} s" if LONG else f"resumed after {seconds:.1f} s"
    named = sum(one.answer is None and one.key is not None for one in callers.attempts)
    failed = f"{night.unanswered()} of {night.sent():,} failed, {named} of them with an id of the caller's"
    told(f"{ended}; {failed}; 50 others within {longest * 1000:.0f} ms")


def test_a_worker_out_of_memory_is_killed_alone(night: Night, told: Told) -> None:
    refused = json.dumps({"applications": [{"unknown": number} for number in range(10_000)]})
    with night.server() as server:
        with night.calling(server) as callers:
            callers.await_more(300)
            victim, other = workers_of(server)
            with little_memory(victim.pid, 1):

                def killed() -> bool:
                    """One connection after the other, until the victim has had a body for which it has no memory."""
                    with suppress(httpx.TransportError):
                        httpx.post(f"{server.url}/predict_batch", content=refused, headers=JSON, timeout=60)
                    return victim not in workers_of(server)

                until(killed)
            callers.await_more(300)
            longest = honest(server)
        assert other.is_running()
        assert night.unanswered() <= callers.threads
    told(f"{night.unanswered()} of {night.sent():,} failed, 0 lost; afterwards 50 within {longest * 1000:.0f} ms")


@pytest.mark.long
def test_starts_that_fail_become_rarer(night: Night, told: Told) -> None:
    with night.server() as server:
        [first, victim] = workers_of(server)
        deaths: list[float] = []

        def killed_six_times() -> bool:
            nonlocal victim
            begun = server.log.read_text().count("Completed async startup hook") - 1
            if begun > len(deaths):
                victim.kill()
                deaths.append(time.monotonic())
            elif victim not in workers_of(server):
                victim = next((one for one in workers_of(server) if one != first), victim)
            return len(deaths) > 5

        until(killed_six_times, 150)
        assert httpx.get(f"{server.url}/readyz").status_code == 200
    between = [later - sooner for sooner, later in itertools.pairwise(deaths)]
    assert between[-1] > between[0] + 2
    told("seconds from death to death: " + ", ".join(f"{seconds:.0f}" for seconds in between))
