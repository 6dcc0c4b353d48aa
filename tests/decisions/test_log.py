"""The log: what is acknowledged is on disk, in a chain, once, and given back to whoever asks again."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from decisions.errors import Conflict, NotRecorded, StoreError
from decisions.journal import Found, journals, path_of, read
from decisions.log import Limits, Log
from decisions.places import STORE
from decisions.record import BEFORE_ALL, Kept, hash_of
from decisions.sqlite import Head
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path)
    yield opened
    opened.close()


def test_a_recorded_decision_is_on_disk_before_it_is_acknowledged(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER])
    assert recorded(log, batch) == {}
    [found] = journals(tmp_path)
    lines, place, _ = read(found.path)
    assert [line.entry.id for line in lines] == ["", *batch.ids]
    assert place == log._writer.head


def test_the_store_has_what_was_decided_and_why(log: Log, artifact: Artifact) -> None:
    batch = decided(artifact, [EXAMPLE, {**OTHER}], channel="phone")
    recorded(log, batch)
    log.drain()
    record = log.store.get(batch.ids)[batch.ids[1]]
    assert record.fact["probability"] == batch.probability[1]
    assert record.fact["channel"] == "phone"
    assert record.fact["model_version"] == artifact.model_version
    assert record.fact["request_id"] == "request-1"
    assert record.person is not None
    assert record.person["application"] == OTHER


def test_nobody_else_may_read_what_is_kept(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    recorded(log, decided(artifact, [EXAMPLE]))
    log.drain()
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in files} == {path.name: "0o0" for path in files}


def test_each_record_holds_the_hash_of_the_one_before(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    recorded(log, decided(artifact, [EXAMPLE, OTHER]))
    recorded(log, decided(artifact, [EXAMPLE]))
    [found] = journals(tmp_path)
    before = BEFORE_ALL
    lines = read(found.path).lines
    assert len(lines) == 4
    for line in lines:
        assert line.hash == hash_of(before, line.entry.facts, line.digest)
        before = line.hash


def test_the_same_id_twice_gives_the_first_decision_back(log: Log, artifact: Artifact) -> None:
    first = decided(artifact, [EXAMPLE, OTHER], named={0: "key-1", 1: "key-2"})
    assert recorded(log, first) == {}
    again = recorded(log, decided(artifact, [EXAMPLE, OTHER], named={0: "key-1", 1: "key-3"}))
    assert list(again) == [0]
    assert isinstance(again[0], Kept)
    assert json.loads(again[0].facts)["probability"] == first.probability[0]
    assert log.state().height == 3, "the opening and three decisions"


def test_the_same_id_twice_in_one_group_is_one_decision(log: Log, artifact: Artifact) -> None:
    outcome = recorded(log, decided(artifact, [EXAMPLE, EXAMPLE], named={0: "key", 1: "key"}))
    assert list(outcome) == [1]
    assert isinstance(outcome[1], Kept)


def test_another_application_under_the_same_id_is_a_conflict(log: Log, artifact: Artifact) -> None:
    recorded(log, decided(artifact, [EXAMPLE], named={0: "key"}))
    outcome = recorded(log, decided(artifact, [OTHER], named={0: "key"}))
    assert isinstance(outcome[0], Conflict)


def test_another_worker_gives_the_first_decision_back_too(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    recorded(log, decided(artifact, [EXAMPLE], named={0: "key"}))
    other = Log(tmp_path)
    try:
        assert isinstance(recorded(other, decided(artifact, [EXAMPLE], named={0: "key"}))[0], Kept)
    finally:
        other.close()


def test_an_opening_signs_the_heads_of_the_chains_before_it(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    recorded(log, decided(artifact, [EXAMPLE]))
    log.drain()
    head, chain = log._writer.head, log._writer.chain
    Log(tmp_path).close()
    Log(tmp_path).close()
    rows = log.store._run("SELECT opening FROM chains WHERE chain != ? ORDER BY rowid", (chain,))
    first, second = (json.loads(opening)["heads"] for [opening] in rows)
    assert first[chain] == [head.number, head.hash.hex()]
    assert chain not in second, "what is signed already has not changed"


def test_a_finished_journal_goes_once_the_store_has_it(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    other = Log(tmp_path)
    batch = decided(artifact, [EXAMPLE])
    recorded(other, batch)
    other.close()
    log.drain()
    assert [found.chain for found in journals(tmp_path)] == [log._writer.chain]
    assert list(log.store.get(batch.ids)) == batch.ids


def test_a_journal_that_another_process_has_just_ended_is_no_error(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Found("gone", path_of(tmp_path, "gone"))
    monkeypatch.setattr("decisions.drain.journals", lambda _: [gone])
    log.drain()
    with log.store.writing():
        log._drainer.within()
    assert log._drainer.backlog() == 0


def written(log: Log, artifact: Artifact, tmp_path: Path) -> bytes:
    """What a worker's journal holds after two decisions, though the store has nothing of it."""
    recorded(log, decided(artifact, [EXAMPLE]))
    recorded(log, decided(artifact, [OTHER]))
    [found] = journals(tmp_path)
    return found.path.read_bytes()


def test_a_line_that_a_crash_has_torn_costs_no_other(
    log: Log, artifact: Artifact, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = written(log, artifact, tmp_path)
    elsewhere = tmp_path_factory.mktemp("after the crash")
    path_of(elsewhere, "torn").write_bytes(content[:-10])
    Log(elsewhere).close()
    with sqlite3.connect(elsewhere / STORE) as store:
        assert store.execute("SELECT count(*) FROM decisions").fetchall() == [(1,)]
    assert journals(elsewhere) == []


def test_a_journal_that_was_edited_is_kept_and_named(
    log: Log,
    artifact: Artifact,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = written(log, artifact, tmp_path)
    elsewhere = tmp_path_factory.mktemp("edited")
    lines = content.split(b"\n")
    lines[1] = lines[1].replace(b'"tier":"', b'"tier":"x')
    path_of(elsewhere, "edited").write_bytes(b"\n".join(lines))
    Log(elsewhere).close()
    assert (elsewhere / "edited.damaged").read_bytes() == b"\n".join(lines)
    assert "edited.journal is damaged after record 0" in caplog.text


def test_a_store_that_is_away_stops_only_who_gave_an_id(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisions.sqlite.BUSY_S", 0.01)
    log = Log(tmp_path)
    named, unnamed = decided(artifact, [EXAMPLE], named={0: "key"}), decided(artifact, [OTHER])
    with sqlite3.connect(tmp_path / STORE, isolation_level=None) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotRecorded, match="try again"):
            recorded(log, named)
        assert recorded(log, unnamed) == {}
        elsewhere.execute("ROLLBACK")
    elsewhere.close()
    assert recorded(log, named) == {}
    log.drain()
    assert set(log.store.get([*named.ids, *unnamed.ids])) == {*named.ids, *unnamed.ids}
    log.close()


def test_what_another_worker_wrote_waits_only_until_the_store_has_it(
    log: Log, artifact: Artifact, tmp_path: Path
) -> None:
    other = Log(tmp_path)
    recorded(other, decided(artifact, [EXAMPLE] * 10))
    other.drain()
    assert log._drainer.backlog() == 0
    other.close()


def test_an_id_that_stands_for_two_decisions_costs_neither(
    log: Log, artifact: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    first = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, first)
    recorded(log, replace(decided(artifact, [OTHER, EXAMPLE]), ids=[first.ids[0], "another"]))
    log.drain()
    assert set(log.store.get([*first.ids, "another"])) == {*first.ids, "another"}
    assert f"the id {first.ids[0]} stands for two decisions" in caplog.text
    assert log.store.head(log._writer.chain) == Head(log._writer.head, log._writer.bytes)


def test_more_than_may_wait_is_refused_and_not_dropped(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path, Limits(waiting=-1))
    with pytest.raises(NotRecorded, match="wait to be recorded"):
        recorded(log, decided(artifact, [EXAMPLE]))
    log.close()


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / STORE) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    theirs.close()
    before = (tmp_path / STORE).read_bytes()
    with pytest.raises(StoreError, match="another program's"):
        Log(tmp_path)
    assert (tmp_path / STORE).read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / STORE).write_bytes(b"something else" * 1000)
    with pytest.raises(StoreError, match="cannot be used for decisions"):
        Log(tmp_path)
    assert (tmp_path / STORE).read_bytes() == b"something else" * 1000
