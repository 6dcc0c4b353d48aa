"""Proving the record: whatever is changed, left out or put in is named, with its place."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from decisions.drain import DAMAGED
from decisions.journal import journals, path_of
from decisions.log import Log
from decisions.places import STORE
from decisions.sqlite_audit import AuditStore
from decisions.verify import Break, Summary, verify
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """Three chains: of four decisions and of two, in the store, and one that only signs them."""
    for applications in ([EXAMPLE, OTHER, EXAMPLE, OTHER], [OTHER, EXAMPLE], []):
        log = Log(tmp_path)
        if applications:
            recorded(log, decided(artifact, applications))
        log.close()
    return tmp_path


def proved(folder: Path) -> tuple[Summary, list[Break]]:
    found: list[Break] = []
    store = AuditStore(folder / STORE)
    try:
        return verify(folder, store, found.append), found
    finally:
        store.close()


@pytest.fixture
def edit(folder: Path) -> Iterator[Callable[..., None]]:
    connection = sqlite3.connect(folder / STORE, isolation_level=None)

    def run(statement: str, *values: str) -> None:
        connection.execute(statement, values)

    yield run
    connection.close()


def chains(folder: Path) -> list[str]:
    store = AuditStore(folder / STORE)
    names = sorted(store.openings())
    store.close()
    return names


def test_what_was_recorded_is_proved(folder: Path) -> None:
    summary, breaks = proved(folder)
    assert breaks == []
    assert (summary.chains, summary.decisions, summary.forgotten) == (3, 6, 0)
    assert summary.first <= summary.last


def test_what_only_a_journal_has_is_proved_while_it_is_written(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    recorded(log, decided(artifact, [EXAMPLE, OTHER]))
    before = proved(tmp_path)
    log.drain()
    recorded(log, decided(artifact, [EXAMPLE]))
    after = proved(tmp_path)
    log.close()
    assert [(summary.decisions, breaks) for summary, breaks in (before, after)] == [(2, []), (3, [])]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE decisions SET facts = replace(facts, '\"points\":', '\"points\":1') WHERE chain = ? AND number = 2",
         "it was changed, or does not follow on the record before"),
        ("UPDATE decisions SET personal = personal || ' ' WHERE chain = ? AND number = 2",
         "its personal part is not the one that was recorded"),
        ("UPDATE decisions SET personal = NULL WHERE chain = ? AND number = 2",
         "its personal part is gone, though nobody had it forgotten"),
        ("UPDATE decisions SET tier = 'other' WHERE chain = ? AND number = 2",
         "its columns do not say what its facts say"),
        ("UPDATE decisions SET facts = 'none' WHERE chain = ? AND number = 2", "it cannot be read"),
        ("DELETE FROM decisions WHERE chain = ? AND number = 2", "records 2 to 2 are missing"),
    ],
)  # fmt: skip
def test_an_edited_decision_is_named(folder: Path, edit: Callable[..., None], statement: str, what: str) -> None:
    chain, *_ = chains(folder)
    edit(statement, chain)
    summary, breaks = proved(folder)
    assert [(found.chain, found.number, found.what) for found in breaks] == [(chain, 2, what)]
    assert summary.breaks == 1


def test_a_chain_without_its_end_is_named(folder: Path, edit: Callable[..., None]) -> None:
    chain, *_ = chains(folder)
    edit("DELETE FROM decisions WHERE chain = ? AND number > 2", chain)
    edit(
        "UPDATE chains SET (number, hash) = (SELECT number, hash FROM decisions WHERE chain = ? AND number = 2) "
        "WHERE chain = ?",
        chain,
        chain,
    )
    _, [found] = proved(folder)
    assert (found.chain, found.number) == (chain, 4)
    assert "it is missing, though the opening of chain" in found.what


def test_a_chain_that_was_taken_out_is_named(folder: Path, edit: Callable[..., None]) -> None:
    chain, *_ = chains(folder)
    edit("DELETE FROM decisions WHERE chain = ?", chain)
    edit("DELETE FROM chains WHERE chain = ?", chain)
    _, [found] = proved(folder)
    assert (found.chain, found.number) == (chain, 4)


def test_a_chain_that_was_written_anew_is_named(folder: Path, edit: Callable[..., None]) -> None:
    """Hashes need no key, so a forger can compute them all; but not those that other chains' openings hold."""
    chain, *_ = chains(folder)
    edit("UPDATE decisions SET hash = zeroblob(32) WHERE chain = ? AND number = 4", chain)
    edit("UPDATE chains SET hash = zeroblob(32) WHERE chain = ?", chain)
    _, breaks = proved(folder)
    assert {found.number for found in breaks} == {4}
    assert any("names another hash for it" in found.what for found in breaks)


def test_an_opening_that_was_edited_is_named(folder: Path, edit: Callable[..., None]) -> None:
    chain, *_ = chains(folder)
    edit('UPDATE chains SET opening = replace(opening, \'"time":"20\', \'"time":"19\') WHERE chain = ?', chain)
    _, [found] = proved(folder)
    assert (found.chain, found.number) == (chain, 1)


def test_decisions_of_no_chain_are_named(folder: Path, edit: Callable[..., None]) -> None:
    chain, *_ = chains(folder)
    edit("UPDATE decisions SET chain = 'theirs' WHERE number = 4 AND chain = ?", chain)
    _, breaks = proved(folder)
    assert any(found.chain == "theirs" for found in breaks)


def test_a_record_beyond_the_end_of_its_chain_is_named(folder: Path, edit: Callable[..., None]) -> None:
    *_, chain = chains(folder)
    columns = "time, channel, tier, model_version, state, facts, personal, digest, hash"
    edit(
        f"INSERT INTO decisions (chain, number, id, {columns}) SELECT ?, 1, 'new', {columns} FROM decisions LIMIT 1",
        chain,
    )
    _, breaks = proved(folder)
    assert any("after what the store says is the chain's end" in found.what for found in breaks)


def test_a_damaged_journal_is_named_with_the_id(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    batch = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, batch)
    [found] = journals(tmp_path)
    edited = found.path.read_bytes().replace(b'"channel":"api"', b'"channel":"web"', 1)
    log.close()
    path_of(tmp_path, found.chain).with_suffix(DAMAGED).write_bytes(edited)
    _, [broken] = proved(tmp_path)
    assert broken == Break(found.chain, 1, batch.ids[0], "it was changed, or does not follow on the record before")


def test_a_line_that_is_still_being_written_is_no_break(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    recorded(log, decided(artifact, [EXAMPLE]))
    with journals(tmp_path)[0].path.open("ab") as half:
        half.write(b"00ff\t{")
    summary, breaks = proved(tmp_path)
    log.close()
    assert (summary.decisions, breaks) == (1, [])


def verified(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "decisions.verify", *arguments], capture_output=True, text=True)


def test_the_command_says_what_it_has_proved(folder: Path, edit: Callable[..., None]) -> None:
    done = verified("--decisions", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 chains, 6 decisions, 0 forgotten, from 2")
    assert done.stdout.endswith("every hash fits\n")
    chain, *_ = chains(folder)
    edit("DELETE FROM decisions WHERE chain = ? AND number = 3", chain)
    done = verified("--decisions", str(folder))
    assert (done.returncode, done.stderr) == (1, "")
    first, last = done.stdout.splitlines()
    assert first == f"chain {chain}, record 3: records 3 to 3 are missing"
    assert last.endswith("; 1 do not fit")


def test_the_command_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    done = verified("--decisions", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"riskline: there are no decisions in {tmp_path}; ")
    assert list(tmp_path.iterdir()) == []


def test_openings_are_the_journals_first_lines(folder: Path) -> None:
    store = AuditStore(folder / STORE)
    assert all(json.loads(text)["opening"] == chain for chain, text in store.openings().items())
    store.close()
