"""The mirror: whatever happens to it or to DynamoDB, in the end the table has what the store has, once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from decisions.archive import archive
from decisions.dynamodb import DynamoStore
from decisions.errors import NotRecorded, StoreAway
from decisions.forget import forget
from decisions.log import Limits, Log
from decisions.mirror import Mirror
from decisions.places import MIRROR_LOCK, STORE, locked
from decisions.sqlite import SQLiteStore
from decisions.sqlite_archive import ArchiveStore
from decisions.sqlite_audit import AuditStore
from loadtest.server import ROOT
from model.artifact import Artifact
from tests.decisions.conftest import TABLE, items
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded
from tests.lab.dynamodb import Dynalite, Proxy, Reply, Sent, broken, dropped, throttled
from tests.lab.waiting import until

Opened = Callable[..., Log]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.fixture
def opened(folder: Path, proxy: Proxy) -> Iterator[Opened]:  # noqa: ARG001
    """Opens logs that are mirrored, and closes them."""
    logs: list[Log] = []

    def log(where: Path = folder, limits: Limits | None = None, expire_days: float = 0) -> Log:
        logs.append(Log(where, limits, DynamoStore(TABLE, expire_days)))
        return logs[-1]

    yield log
    for log_ in logs:
        log_.close()


def caught_up(log: Log, decisions: int) -> Callable[[], bool]:
    """Whether the store has so many decisions, and the mirror all of them."""

    def true() -> bool:
        assert log.mirror is not None
        return count_of(log.store) == decisions and log.mirror._spool.waiting().rows == 0

    return true


def count_of(store: SQLiteStore) -> int:
    [[rows]] = store._run("SELECT count(*) FROM decisions")
    return int(rows)


def stored(store: SQLiteStore) -> dict[str, dict[str, Any]]:
    """What the table has to have."""
    names = ("id", "chain", "number", "hash", "time", "channel", "tier", "facts", "personal", "digest")
    rows = store._run(f"SELECT {', '.join(names)} FROM decisions")
    return {row[0]: dict(zip(names, (*row[:2], str(row[2]), *row[3:]), strict=True)) for row in rows}


def in_order(store: SQLiteStore) -> list[str]:
    return [id_ for [id_] in store._run("SELECT id FROM decisions ORDER BY n")]


def test_every_decision_arrives_once_and_in_order(
    opened: Opened, artifact: Artifact, dynalite: Dynalite, proxy: Proxy
) -> None:
    log = opened()
    for number in range(5):
        recorded(log, decided(artifact, [EXAMPLE, OTHER, EXAMPLE], {1: f"named-{number}"}, channel="phone"))
    until(caught_up(log, 15))
    assert items(dynalite) == stored(log.store)
    assert proxy.put_ids() == in_order(log.store)


@pytest.mark.slow
def test_a_large_body_goes_in_batches(opened: Opened, artifact: Artifact, dynalite: Dynalite, proxy: Proxy) -> None:
    log = opened()
    recorded(log, decided(artifact, [EXAMPLE] * 10_000))
    until(caught_up(log, 10_000), within_s=300)
    batches = [len(sent["RequestItems"][TABLE]) for operation, sent in proxy.sent if operation == "BatchWriteItem"]
    assert sum(batches) == 10_000
    # a step may come before the store has all of them, and then ends in a smaller batch
    assert max(batches) == 25
    assert len(batches) < 600
    assert items(dynalite).keys() == stored(log.store).keys()


def test_what_dynamodb_has_no_room_for_is_put_again(
    opened: Opened, artifact: Artifact, dynalite: Dynalite, proxy: Proxy
) -> None:
    left_over = count()

    def some(operation: str, sent: Sent) -> Reply | None:
        """Takes the first five of a batch at first; then it throttles, then it takes all."""
        if operation != "BatchWriteItem" or (turn := next(left_over)) > 3:
            return None
        if turn % 2:
            return throttled(operation, sent)
        requests = sent["RequestItems"][TABLE]
        proxy.forward({"RequestItems": {TABLE: requests[:5]}})
        return Reply(200, {"UnprocessedItems": {TABLE: requests[5:]}})

    proxy.behave = some
    log = opened()
    recorded(log, decided(artifact, [EXAMPLE] * 20))
    until(caught_up(log, 20))
    assert items(dynalite) == stored(log.store)
    assert log.state().retries >= 15


@pytest.mark.parametrize("behaviour", [throttled, dropped, broken])
def test_dynamodb_may_be_away_for_a_while(
    behaviour: Callable[[str, Sent], Reply], opened: Opened, artifact: Artifact, dynalite: Dynalite, proxy: Proxy
) -> None:
    proxy.behave = behaviour
    log = opened()
    recorded(log, decided(artifact, [EXAMPLE] * 30))
    until(lambda: len(proxy.sent) > 2)
    assert log.mirror is not None
    until(lambda: log.state().backlog_bytes > 0)
    recorded(log, decided(artifact, [OTHER], {0: "named"}))
    assert items(dynalite) == {}
    before = len(proxy.put_ids())
    proxy.behave = lambda operation, sent: None  # noqa: ARG005
    until(caught_up(log, 31))
    assert items(dynalite) == stored(log.store)
    # catching up goes in the order in which they were made; the batch that was under way may come once more
    assert list(dict.fromkeys(proxy.put_ids()[before:]))[-31:] == in_order(log.store)[-31:]
    assert log.state().behind_s < 60
    until(lambda: log.state().backlog_bytes == 0)


def test_while_dynamodb_is_slow_decisions_are_recorded_until_the_spool_is_full(
    opened: Opened, artifact: Artifact, dynalite: Dynalite, proxy: Proxy
) -> None:
    go_on = Event()

    def slow(operation: str, sent: Sent) -> None:  # noqa: ARG001
        go_on.wait(timeout=60)

    proxy.behave = slow
    log = opened(limits=Limits(backlog_bytes=10_000))
    made = 0
    while not log.is_full:
        try:
            recorded(log, decided(artifact, [EXAMPLE]))
            made += 1
        except NotRecorded:
            break
    until(lambda: log.is_full)
    with pytest.raises(NotRecorded, match="too much waits for it"):
        recorded(log, decided(artifact, [EXAMPLE]))
    assert made > 5, "the spool has room for some"
    go_on.set()
    until(caught_up(log, made))
    until(lambda: not log.is_full)
    assert recorded(log, decided(artifact, [EXAMPLE])) == {}
    until(caught_up(log, made + 1))
    assert items(dynalite) == stored(log.store)


KILLED = """
import sys
from pathlib import Path
from decisions.dynamodb import DynamoStore
from decisions.log import Log
log = Log(Path(sys.argv[1]), target=DynamoStore(sys.argv[2]))
print("copying", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_kill_of_either_side_loses_nothing_and_writes_nothing_twice(
    folder: Path, artifact: Artifact, dynalite: Dynalite, proxy: Proxy
) -> None:
    log = Log(folder)  # makes decisions, and copies none
    for number in range(40):
        recorded(log, decided(artifact, [EXAMPLE] * 50, {7: f"named-{number}"}))
    log.close()
    arrived: set[str] = set()
    for turn in range(1, 6):
        command = [sys.executable, "-c", KILLED, str(folder), TABLE]
        copying = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        enough = len(proxy.put_ids()) + 200
        until(lambda: len(proxy.put_ids()) > enough)  # noqa: B023 - it is called within this turn
        if turn % 2:
            os.kill(copying.pid, signal.SIGKILL)
        dynalite.kill()
        dynalite.start()
        os.kill(copying.pid, signal.SIGKILL)
        copying.communicate(timeout=60)
        now = items(dynalite).keys()
        assert arrived <= now, "what DynamoDB has taken stays"
        arrived = set(now)
    assert 0 < len(arrived) < 2_000
    store = SQLiteStore(folder / STORE)
    mirror = Mirror(folder, store, DynamoStore(TABLE))
    while mirror.step():
        pass
    assert items(dynalite) == stored(store)
    assert mirror._spool.waiting() == (0, 0, 0.0, 0)
    store.close()


def test_an_id_that_two_machines_used_keeps_both_decisions(
    opened: Opened, artifact: Artifact, dynalite: Dynalite, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = opened(), opened(folder.with_name("another machine"))
    recorded(first, decided(artifact, [EXAMPLE], {0: "key"}))
    until(caught_up(first, 1))
    recorded(second, decided(artifact, [OTHER], {0: "key"}))
    until(caught_up(second, 1))
    [ours], [theirs] = stored(first.store).values(), stored(second.store).values()
    marked = f"key {theirs['hash'].hex()}"
    assert items(dynalite) == {"key": ours, marked: {**theirs, "id": marked, "conflict": "key"}}
    assert second.state().conflicts == 1
    assert first.state().conflicts == 0
    assert "decision key was made on another machine too" in caplog.text

    target = DynamoStore(TABLE)
    target.forget(list(second.store.get(["key"]).values()))
    assert "personal" in items(dynalite)["key"]
    assert "personal" not in items(dynalite)[marked]


def test_decisions_are_found_and_forgotten_in_the_table(opened: Opened, artifact: Artifact, dynalite: Dynalite) -> None:
    log = opened()
    batch = decided(artifact, [EXAMPLE] * 120)
    recorded(log, batch)
    until(caught_up(log, 120))
    target = DynamoStore(TABLE)
    assert target.get([*batch.ids, batch.ids[0], "unknown"]) == log.store.get(batch.ids)
    target.forget([target.get([batch.ids[3]])[batch.ids[3]]])
    assert target.get(batch.ids)[batch.ids[3]].personal is None
    assert "personal" not in items(dynalite)[batch.ids[3]]
    assert sum("personal" in item for item in items(dynalite).values()) == 119


def test_what_is_forgotten_here_is_forgotten_there(
    opened: Opened, artifact: Artifact, dynalite: Dynalite, folder: Path
) -> None:
    log = opened()
    batch = decided(artifact, [EXAMPLE, OTHER], {1: "named"})
    recorded(log, batch)
    until(caught_up(log, 2))
    store = AuditStore(folder / STORE)
    assert forget(folder, store, ["named"], "a test", mirror=DynamoStore(TABLE)) == 1
    store.close()
    there = items(dynalite)
    assert "personal" in there[batch.ids[0]]
    assert "personal" not in there["named"]
    assert there["named"]["digest"] == stored(log.store)["named"]["digest"]


def test_a_forgotten_decision_that_is_put_again_stays_forgotten(
    folder: Path,
    artifact: Artifact,
    dynalite: Dynalite,
    proxy: Proxy,  # noqa: ARG001
) -> None:
    log = Log(folder)
    batch = decided(artifact, [EXAMPLE, OTHER], {1: "named"})
    recorded(log, batch)
    log.drain()
    target = DynamoStore(TABLE)
    target.put(list(log.store.get(batch.ids).values()))
    with log.store.writing():
        log.store._run("UPDATE decisions SET personal = NULL")
    target.put(list(log.store.get(batch.ids).values()))
    assert len(items(dynalite)) == 2
    assert not any("personal" in item for item in items(dynalite).values())
    log.close()


def test_a_decision_expires_so_many_days_after_it_was_made(
    opened: Opened, artifact: Artifact, dynalite: Dynalite
) -> None:
    log = opened(expire_days=1.5)
    recorded(log, decided(artifact, [EXAMPLE]))
    until(caught_up(log, 1))
    [item] = items(dynalite).values()
    [[made]] = log.store._run("SELECT unixepoch(time) FROM decisions")
    assert int(item["expires"]) == made + 129_600


def test_what_the_table_lacks_does_not_leave_the_store_for_the_archive(
    folder: Path, artifact: Artifact, proxy: Proxy, tmp_path: Path
) -> None:
    log = Log(folder)
    recorded(log, decided(artifact, [EXAMPLE] * 5))
    log.drain()
    proxy.behave = broken
    mirror = Mirror(folder, log.store, DynamoStore(TABLE))
    with pytest.raises(StoreAway):
        mirror.step()
    store = ArchiveStore(folder / STORE)
    assert archive(store, str(tmp_path / "archive"), retain=timedelta(0)).removed == 0
    proxy.behave = lambda operation, sent: None  # noqa: ARG005
    assert mirror.step()
    assert archive(store, str(tmp_path / "archive"), retain=timedelta(0)).removed == 4, "the newest always stays"
    store.close()
    log.close()


def test_one_worker_of_a_machine_copies_at_a_time(
    folder: Path,
    artifact: Artifact,
    dynalite: Dynalite,
    proxy: Proxy,  # noqa: ARG001
) -> None:
    log = Log(folder)
    recorded(log, decided(artifact, [EXAMPLE]))
    log.drain()
    mirror = Mirror(folder, log.store, DynamoStore(TABLE))
    with locked(folder / MIRROR_LOCK, wait=True) as is_ours:
        assert is_ours
        assert not mirror.step()
        assert items(dynalite) == {}
    assert mirror.step()
    assert len(items(dynalite)) == 1
    log.close()


def test_facts_say_whether_a_caller_chose_the_id(opened: Opened, artifact: Artifact) -> None:
    log = opened()
    batch = decided(artifact, [EXAMPLE, EXAMPLE], {1: "named"})
    recorded(log, batch)
    log.drain()
    ours, named = (log.store.get(batch.ids)[id_] for id_ in batch.ids)
    assert (ours.named, named.named) == (False, True)
    assert json.loads(named.facts)["named"] is True
    assert "named" not in json.loads(ours.facts)
