"""Killed at random moments under load: what was acknowledged is there, once, in valid chains, and given back.

CRASH_ROUNDS says how many rounds (`make crash-test`: 50), CRASH_SEED repeats one that failed.
"""

import os
import secrets
from pathlib import Path
from random import Random

import pytest

from decisions.drain import Drain
from decisions.places import STORE
from decisions.sqlite_audit import AuditStore
from decisions.verify import Break, verify
from loadtest.server import running_server
from tests.decisions.crash import (
    Attempt,
    Callers,
    asked_again,
    held,
    kill_a_worker,
    kill_the_service,
    request_ids,
)

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
SEED = int(os.environ.get("CRASH_SEED", secrets.randbelow(2**32)))
WORKERS = 2
VICTIMS = ("worker", "service", "store")


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_comes_twice(model_folder: Path, tmp_path: Path) -> None:
    print(f"CRASH_SEED={SEED}")  # noqa: T201 - pytest shows it where the test fails
    random = Random(SEED)
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": str(WORKERS),
        "RISKLINE_DECISIONS": str(tmp_path),
    }
    attempts: list[Attempt] = []
    before: list[Attempt] = []
    for number in range(ROUNDS + 1):
        with running_server(environment) as server:
            for first, second in asked_again(server, before):
                assert first.answer in (None, second.answer), f"{first.key} was answered differently"
                first.answer = second.answer
            if number == ROUNDS:
                break
            victim = VICTIMS[number % len(VICTIMS)]
            callers = Callers(server, random, f"{SEED}-{number}")
            with callers.calling():
                callers.await_more(random.randrange(1, 500))
                if victim == "worker":
                    kill_a_worker(callers, WORKERS)
                    callers.await_more(random.randrange(1, 500))
                elif victim == "store":
                    with held(tmp_path / STORE) as holder:
                        holder.kill()
                    callers.await_more(random.randrange(1, 500))
                else:
                    kill_the_service(server, random)
            assert callers.statuses <= {200, 503}
            before = callers.attempts
            attempts += before
    check(tmp_path, attempts)


def check(folder: Path, attempts: list[Attempt]) -> None:
    """Holds what the callers were told to what is kept."""
    store = AuditStore(folder / STORE)
    Drain(folder, store).run()
    breaks: list[Break] = []
    summary = verify(folder, store, breaks.append)
    assert breaks == []
    answers = [attempt.answer for attempt in attempts if attempt.answer]
    kept = store.get([answer["decision_id"] for answer in answers])
    lost = [answer["decision_id"] for answer in answers if answer["decision_id"] not in kept]
    assert lost == []
    for answer in answers:
        fact, person = kept[answer["decision_id"]].fact, kept[answer["decision_id"]].person
        assert person is not None
        assert [fact[name] for name in ("probability", "tier", "points")] == [
            answer[name] for name in ("probability", "tier", "points")
        ]
        assert person["warnings"] == answer["warnings"]
    store.close()
    sent = request_ids(folder / STORE)
    assert len(sent) == len(set(sent)) == summary.decisions, "no request was decided twice"
    print(f"{len(attempts):,} requests, {len(answers):,} acknowledged, {summary}")  # noqa: T201 - the same
