"""What the machine may do to the record, short of killing it: docs/proof.md has the table."""

import queue
import re
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from decisions.errors import NotRecorded
from decisions.journal import journals
from decisions.log import Earlier, Log
from decisions.places import STORE
from decisions.record import Decided
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, OTHER, decided, random_applications, recorded
from tests.decisions.test_verify import proved

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def no_file_larger(size: int) -> Iterator[None]:
    """As if the disk were full for whoever wants to write beyond `size`: a write stops short there, the next fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Somebody else writes to the store all the while."""
    elsewhere = sqlite3.connect(store, isolation_level=None)
    elsewhere.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        elsewhere.execute("ROLLBACK")
        elsewhere.close()


def test_a_full_disk_refuses_and_what_was_acknowledged_stays(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    before = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, before)
    [journal] = journals(tmp_path)
    refused = [decided(artifact, random_applications(50, seed)) for seed in range(4)]
    with no_file_larger(journal.path.stat().st_size + 3000):
        for batch in refused:
            with pytest.raises(NotRecorded, match="try again"):
                recorded(log, batch)
    assert list(tmp_path.glob("*.new")) == [], "nothing is left of chains that could not be begun"
    after = decided(artifact, [OTHER])
    assert recorded(log, after) == {}
    log.drain()
    assert set(log.store.get([*before.ids, *after.ids])) == {*before.ids, *after.ids}
    log.close()
    summary, breaks = proved(tmp_path)
    assert breaks == []
    # what the first refused batch had written before the disk was full may be there, though nobody was told
    assert 3 <= summary.decisions < 3 + 50


def test_a_full_disk_loses_no_callers_id(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    batch = decided(artifact, [EXAMPLE], named={0: "key"})
    [journal] = journals(tmp_path)
    with no_file_larger(journal.path.stat().st_size + 100), pytest.raises(NotRecorded):
        recorded(log, batch)
    assert recorded(log, batch) == {}
    assert list(recorded(log, batch)) == [0]
    log.close()
    assert proved(tmp_path)[0].decisions == 1


class Backwards(datetime):
    """A clock that somebody puts back by a day whenever it is asked."""

    asked = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Backwards":
        cls.asked += 1
        return cls(2026, 11, 30, tzinfo=tz or UTC) - timedelta(days=cls.asked)


def test_a_clock_that_goes_backwards_breaks_nothing(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisions.log.datetime", Backwards)
    ids: list[str] = []
    for _ in range(2):
        log = Log(tmp_path)
        for applications in ([EXAMPLE], [OTHER]):
            batch = decided(artifact, applications)
            recorded(log, batch)
            ids += batch.ids
        assert list(recorded(log, decided(artifact, [EXAMPLE], named={0: ids[0]}))) == [0]
        log.close()
    log = Log(tmp_path)
    times = [log.store.get([id_])[id_].fact["time"] for id_ in ids]
    log.close()
    assert times == sorted(times, reverse=True), "the record says what the machine's clock said"
    summary, breaks = proved(tmp_path)
    assert (len(set(ids)), summary.decisions, breaks) == (4, 4, [])
    assert (summary.first, summary.last) == (times[-1], times[0])


def test_a_slow_store_makes_nobody_wait_who_gave_no_id(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    outcomes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def submit(name: str, batch: Decided) -> None:
        def done(outcome: Earlier | Exception) -> None:
            outcomes.put(f"{name}: {outcome!r}")

        log.submit(batch, done)

    named = decided(artifact, [EXAMPLE], named={0: "key"})
    with held(tmp_path / STORE):
        submit("named", named)
        for seed in range(20):
            submit("unnamed", decided(artifact, random_applications(1, seed)))
            assert outcomes.get(timeout=60) == "unnamed: {}"
    assert outcomes.get(timeout=60) == "named: {}", "it was waited for"
    log.close()
    summary, breaks = proved(tmp_path)
    assert (summary.decisions, breaks) == (21, [])


def test_the_store_catches_up_after_it_was_away(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    with held(tmp_path / STORE):
        batches = [decided(artifact, random_applications(200, seed)) for seed in range(5)]
        for batch in batches:
            assert recorded(log, batch) == {}
    log.drain()
    for batch in batches:
        assert set(log.store.get(batch.ids)) == set(batch.ids)
    log.close()
    assert proved(tmp_path)[1] == []


def test_every_test_that_the_table_names_is_there() -> None:
    [_, table] = (ROOT / "docs" / "proof.md").read_text().split("| what happens | what callers see |")
    named = re.findall(r"`(test_\w+)` \|$", table, re.MULTILINE)
    assert len(named) == table.count("\n| ")
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in named if f"def {name}(" not in tests] == []
