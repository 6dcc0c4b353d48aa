"""One record proved by itself: it says of each record what `decisions.verify` says of the whole chain."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from decisions.desk import Desk
from decisions.errors import UnknownDecision
from decisions.log import Log
from decisions.places import STORE
from decisions.proof import Proof
from decisions.sqlite_audit import AuditStore
from decisions.verify import Break, verify
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded

Run = Callable[..., list[Any]]


@pytest.fixture
def log(artifact: Artifact, tmp_path: Path) -> Iterator[Log]:
    """A chain of five decisions that has ended, one of one decision, and one that goes on."""
    for applications in ([EXAMPLE, OTHER, EXAMPLE, OTHER, EXAMPLE], [OTHER]):
        ended = Log(tmp_path)
        recorded(ended, decided(artifact, applications))
        ended.close()
    log = Log(tmp_path)
    yield log
    log.close()


@pytest.fixture
def store(log: Log) -> Iterator[AuditStore]:
    store = AuditStore(log.folder / STORE)
    yield store
    store.close()


@pytest.fixture
def run(log: Log) -> Iterator[Run]:
    """Statements that the store itself would not make."""
    connection = sqlite3.connect(log.folder / STORE, isolation_level=None)
    yield lambda statement, *values: connection.execute(statement, values).fetchall()
    connection.close()


def proofs(log: Log, run: Run) -> dict[tuple[str, int], Proof]:
    """Of every decision in the store, by chain and number; its columns say which there are, since facts are edited."""
    desk = Desk(log)
    found = {
        (chain, number): desk.proved(id_)[1] for id_, chain, number in run("SELECT id, chain, number FROM decisions")
    }
    desk.close()
    return found


def first(store: AuditStore) -> str:
    """The chain of five."""
    return min(chain for chain, head in store.heads().items() if head.place.number == 5)


def failed(proof: Proof) -> set[str]:
    assert proof.holds is all(check.holds for check in proof.checks)
    assert [check.what for check in proof.checks] == ["digest", "hash", "before", "after"]
    assert all(check.says[0].isupper() for check in proof.checks)
    return {check.what for check in proof.checks if not check.holds}


def test_what_was_recorded_is_proved(artifact: Artifact, log: Log, run: Run) -> None:
    recorded(log, decided(artifact, [EXAMPLE, OTHER]))
    log.drain()
    found = proofs(log, run)
    assert len(found) == 8
    assert all(proof.holds for proof in found.values())
    last = [proof.checks[-1].says for proof in found.values()]
    assert last.count("It is the newest of its chain so far") == 3
    recorded(log, decided(artifact, [EXAMPLE]))
    log.drain()
    assert all(proof.holds for proof in proofs(log, run).values())


def test_a_forgotten_record_is_proved_and_says_so(log: Log, store: AuditStore, run: Run) -> None:
    [[id_]] = run("SELECT id FROM decisions WHERE number = 3")
    store.forget([id_], "2027-01-31T00:00:00.000Z", "ann")
    proof = proofs(log, run)[first(store), 3]
    assert failed(proof) == set()
    assert proof.checks[0].says == "Its personal part was erased, as somebody asked for; the digest stays"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE decisions SET facts = replace(facts, '\"points\":', '\"points\":1') WHERE chain = ? AND number = 3",
         {3: {"hash"}, 4: {"before"}, 2: {"after"}}),
        ("UPDATE decisions SET personal = personal || ' ' WHERE chain = ? AND number = 3", {3: {"digest"}}),
        ("UPDATE decisions SET personal = NULL WHERE chain = ? AND number = 3", {3: {"digest"}}),
        ("INSERT INTO forgotten SELECT id, time, 'x' FROM decisions WHERE chain = ? AND number = 3", {3: {"digest"}}),
        ("UPDATE decisions SET digest = zeroblob(32) WHERE chain = ? AND number = 3",
         {3: {"digest", "hash"}, 4: {"before"}, 2: {"after"}}),
        ("UPDATE decisions SET hash = zeroblob(32) WHERE chain = ? AND number = 3",
         {3: {"hash", "after"}, 4: {"hash", "before"}, 2: {"after"}, 5: {"before"}}),
        ("UPDATE decisions SET hash = zeroblob(32) WHERE chain = ? AND number = 5",
         {5: {"hash", "after"}, 4: {"after"}}),
        ("UPDATE decisions SET tier = 'other' WHERE chain = ? AND number = 3", {3: {"hash"}}),
        ("UPDATE decisions SET facts = 'none' WHERE chain = ? AND number = 3",
         {3: {"hash"}, 4: {"before"}, 2: {"after"}}),
        ("DELETE FROM decisions WHERE chain = ? AND number = 3", {4: {"hash", "before"}, 5: {"before"}, 2: {"after"}}),
        ("DELETE FROM decisions WHERE chain = ? AND number = 5", {4: {"after"}}),
        ("UPDATE chains SET number = 4 WHERE chain = ?", {4: {"after"}, 5: {"after"}}),
        ("UPDATE chains SET opening = replace(opening, '\"time\":\"20', '\"time\":\"19') WHERE chain = ?",
         {1: {"hash", "before"}, 2: {"before"}}),
        ("DELETE FROM chains WHERE chain = ?",
         {1: {"hash", "before", "after"}, 2: {"before", "after"}, 3: {"after"}, 4: {"after"}, 5: {"after"}}),
    ],
)  # fmt: skip
def test_what_was_edited_and_what_stands_beside_it_says_so(
    log: Log, store: AuditStore, run: Run, statement: str, expected: dict[int, set[str]]
) -> None:
    chain = first(store)
    run(statement, chain)
    found = {place: failed(proof) for place, proof in proofs(log, run).items()}
    assert {number: whats for (other, number), whats in found.items() if whats and other == chain} == expected
    assert not any(whats for (other, _), whats in found.items() if other != chain)
    breaks: list[Break] = []
    verify(log.folder, store, breaks.append)
    assert {found.chain for found in breaks} == {chain}
    assert all(found[chain, told.number] for told in breaks if (chain, told.number) in found)


def test_what_follows_on_the_archive_is_proved_by_the_hash_that_is_kept(log: Log, store: AuditStore, run: Run) -> None:
    chain = first(store)
    run(
        "UPDATE chains SET (start, start_hash) = (SELECT number, hash FROM decisions WHERE chain = ? AND number = 2) "
        "WHERE chain = ?",
        chain,
        chain,
    )
    run("DELETE FROM decisions WHERE chain = ? AND number <= 2", chain)
    found = proofs(log, run)
    assert [failed(found[chain, number]) for number in (3, 4, 5)] == [set()] * 3
    assert found[chain, 3].checks[2].says == "Record 2, of which the hash is kept here, is in the archive"
    run("UPDATE chains SET start_hash = zeroblob(32) WHERE chain = ?", chain)
    found = proofs(log, run)
    assert [failed(found[chain, number]) for number in (3, 4, 5)] == [{"hash"}, {"before"}, set()]


def test_nothing_proves_a_decision_that_nobody_made(log: Log) -> None:
    desk = Desk(log)
    with pytest.raises(UnknownDecision):
        desk.proved("nobody's")
    desk.close()
