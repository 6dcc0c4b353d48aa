"""The mirror: whatever happens to it or to DynamoDB, in the end the table has what the store has, once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from decisions.dynamodb import DynamoStore
from decisions.errors import NotRecorded
from decisions.log import Limits, Log
from decisions.mirror import Mirror, lock
from decisions.places import STORE
from decisions.sqlite import SQLiteStore
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
        DynamoStore(TABLE)._client.batch_write_item(RequestItems={TABLE: plain(requests[:5])})
        return Reply(200, {"UnprocessedItems": {TABLE: requests[5:]}})

    proxy.behave = some
    log = opened()
    recorded(log, decided(artifact, [EXAMPLE] * 20))
    until(caught_up(log, 20))
    assert items(dynalite) == stored(log.store)
    assert log.state().retries >= 15
