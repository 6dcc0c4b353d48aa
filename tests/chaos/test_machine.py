"""A machine without room on its disk or without file handles, and a store that somebody holds."""

import time
from pathlib import Path

import httpx
import pytest

from decisions.places import STORE
from loadtest.server import SERVE, Server
from tests.chaos.conftest import Night, Told, connected, honest
from tests.decisions.crash import held
from tests.generated import EXAMPLE
from tests.lab.machine import fill, small_disk, with_few_files
from tests.lab.waiting import until

pytestmark = pytest.mark.slow


def asked(server: Server) -> httpx.Response:
    return httpx.post(f"{server.url}/predict", json=EXAMPLE, timeout=30)


def test_a_full_disk_refuses_in_our_form_until_there_is_room(night: Night, told: Told, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk, night.server(decisions=disk) as server:
        with night.calling(server) as callers:
            callers.await_more(300)
            answers: list[httpx.Response] = []

            def is_refused() -> bool:
                fill(disk / "filler")  # again: what the service itself deletes makes room
                answers.append(asked(server))
                return answers[-1].status_code != 200

            until(is_refused)
            refused = answers[-1]
            assert (refused.status_code, refused.json()["error"]) == (503, "not_recorded")
            assert set(refused.json()) == {"error", "message", "detail"}
            assert httpx.get(f"{server.url}/livez").status_code == 200
            (disk / "filler").unlink()
            freed = time.monotonic()
            until(lambda: asked(server).status_code == 200)
            again = time.monotonic() - freed
            callers.await_more(300)
        assert callers.statuses == {200, 503}
    told(f"503 not_recorded; the first answer {again * 1000:.0f} ms after there was room; 0 lost of {night.sent():,}")


def test_without_file_handles_who_is_connected_is_answered_and_the_rest_wait(night: Night, told: Told) -> None:
    most = 96
    with (
        night.server(workers=1, command=with_few_files(most, SERVE)) as server,
        httpx.Client(base_url=server.url) as early,
    ):
        assert early.post("/predict", json=EXAMPLE).status_code == 200
        idle = [connected(server) for _ in range(2 * most)]
        until(lambda: "a connection could not be accepted" in server.log.read_text())
        answers = [early.post("/predict", json=EXAMPLE).status_code for _ in range(20)]
        assert answers == [200] * 20
        for one in idle:
            one.close()
        freed = time.monotonic()
        honest(server, 10)
        again = time.monotonic() - freed
    told(f"at {most} handles 20 of 20 early callers answered; 10 new ones within {again:.1f} s after handles were free")


@pytest.mark.long  # tests/decisions has the same without a server
def test_a_store_that_is_held_for_seconds_delays_only_who_gave_an_id(night: Night, told: Told, tmp_path: Path) -> None:
    seconds = 4.0
    with night.server() as server:
        asked(server)
        longest, count, started = 0.0, 0, time.monotonic()
        with held(tmp_path / "decisions" / STORE):
            while time.monotonic() < started + seconds:
                longest, count = max(longest, honest(server, 10)), count + 10
        with night.calling(server) as callers:
            callers.await_more(100)
    told(
        f"store held for {seconds:.0f} s: {count} of {count} answered meanwhile, the longest in {longest * 1000:.0f} ms"
    )
