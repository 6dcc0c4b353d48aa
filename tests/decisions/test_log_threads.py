"""The log's threads among each other, with other workers, and with errors that nobody expects."""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from decisions.drain import Drain
from decisions.errors import NotRecorded
from decisions.journal import Writer, journals, read
from decisions.log import Log
from decisions.places import STORE
from decisions.record import Kept, Line, chained, entries, opening
from decisions.sqlite import Head
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, decided, recorded


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path)
    yield opened
    opened.close()


def test_a_caller_that_breaks_does_not_end_the_log(log: Log, artifact: Artifact) -> None:
    def breaks(_: object) -> None:
        raise KeyError("a bug of whoever asked")

    log.submit(decided(artifact, [EXAMPLE], named={0: "key"}), breaks)
    assert isinstance(recorded(log, decided(artifact, [EXAMPLE], named={0: "key"}))[0], Kept)


def test_a_rotation_that_breaks_costs_no_decision(
    log: Log, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> bool:
        raise PermissionError("somebody changed the folder")

    monkeypatch.setattr("decisions.log.is_asked_to_end", broken)
    with pytest.raises(NotRecorded):
        recorded(log, decided(artifact, [EXAMPLE]))
    monkeypatch.undo()
    assert recorded(log, decided(artifact, [EXAMPLE])) == {}


def test_an_error_that_nobody_expects_does_not_end_draining(
    log: Log, artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, put = threading.Event(), log.store.put

    def breaks_once(chain: str, lines: Sequence[Line], head: Head) -> None:
        if not broken.is_set():
            broken.set()
            raise ValueError("a bug")
        put(chain, lines, head)

    monkeypatch.setattr(log.store, "put", breaks_once)
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    assert broken.wait(60)
    deadline = time.monotonic() + 60
    while not log.store.get(batch.ids):
        assert log._threads[-1].is_alive()
        assert time.monotonic() < deadline
    assert "ValueError: a bug" in caplog.text


def test_what_is_let_go_while_it_is_taken_breaks_nothing(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    elsewhere = Drain(tmp_path, log.store)
    other = threading.Thread(target=elsewhere.let_go)

    class Interrupted(deque[Any]):
        def popleft(self) -> Any:
            if other.ident is None:
                other.start()
                other.join(0.2)  # as far as it gets
            return super().popleft()

    elsewhere._held = Interrupted()
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    [found] = journals(tmp_path)
    lines, place, offset = read(found.path)
    elsewhere.hand_over(found.chain, lines, Head(place, offset))
    elsewhere.run()
    other.join()
    assert (list(log.store.get(batch.ids)), elsewhere._held_rows) == (batch.ids, 0)


def test_a_journal_goes_only_once_the_store_is_on_disk_even_while_somebody_reads(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, bool]] = []

    def fsync(file: int) -> None:
        synced.append((os.fstat(file).st_ino, journal.exists()))

    other = Log(tmp_path)
    recorded(other, decided(artifact, [EXAMPLE]))
    journal = other._writer.path
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM decisions").fetchall()
        monkeypatch.setattr(os, "fsync", fsync)
        other.close()
        assert not journal.exists()
        assert ((tmp_path / f"{STORE}-wal").stat().st_ino, True) in synced


def test_who_looks_an_id_up_need_not_wait_for_what_others_write_meanwhile(
    log: Log, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    busy = Writer(tmp_path, "busy", opening("busy", now, {}))
    steps, put = 0, log.store.put

    def write_more() -> None:
        batch = decided(artifact, [EXAMPLE])
        busy.append([chained(busy.head.hash, entries(batch, now, 0.0)[0])])

    def and_more(chain: str, lines: Sequence[Line], head: Head) -> None:
        nonlocal steps
        put(chain, lines, head)
        steps += chain == "busy"
        if chain == "busy" and steps < 20:
            write_more()

    write_more()
    monkeypatch.setattr(log.store, "put", and_more)
    assert recorded(log, decided(artifact, [EXAMPLE], named={0: "key"})) == {}
    assert steps == 2, "before and after it is written"
    log.drain()
    assert steps == 3
    busy.close()
