"""Forgetting: no byte of what is personal is left in the folder, and everything that proves the decision is."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from decisions import forget as command
from decisions.archive import archive, files, read
from decisions.drain import DAMAGED
from decisions.errors import Forgotten, StoreError, UnknownDecision
from decisions.forget import forget
from decisions.journal import journals
from decisions.log import Log
from decisions.places import STORE
from decisions.review import Review
from decisions.sqlite_archive import ArchiveStore
from decisions.sqlite_audit import AuditStore
from decisions.sqlite_review import SQLiteReviews
from model.artifact import Artifact
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded
from tests.decisions.test_verify import proved


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def store(log: Log, tmp_path: Path) -> Iterator[AuditStore]:
    assert log.folder == tmp_path
    opened = AuditStore(tmp_path / STORE)
    yield opened
    opened.close()


def personal_of(store: AuditStore, id_: str) -> dict[str, bytes]:
    """What a grep would look for: the salt, and the application as it stands in the record."""
    person = store.get([id_])[id_].personal
    assert person is not None
    salt, application = person.split(',"application":')
    return {"salt": salt.encode(), "application": application.split(',"warnings"')[0].encode()}


def files_with(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and text in path.read_bytes()]


def test_what_a_reviewer_noted_of_the_applicant_goes_too(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    log.drain()
    reviews = SQLiteReviews(tmp_path / STORE)
    reviews.review(batch.ids[0], Review(reviewer="ann", verdict="approve", note="lives next door to me"))
    assert files_with(tmp_path, b"next door") != []
    forget(tmp_path, store, batch.ids, "a test")
    [review] = reviews.get(batch.ids[0]).reviews
    reviews.close()
    assert (review.verdict, review.note, files_with(tmp_path, b"next door")) == ("approve", None, [])


def test_nothing_personal_is_left_in_any_file_while_the_worker_goes_on(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, batch)
    log.drain()
    personal = personal_of(store, batch.ids[1])
    assert all(len(files_with(tmp_path, text)) >= 2 for text in personal.values()), "the store and the journal"
    assert forget(tmp_path, store, [batch.ids[1]], "a test") == 1
    assert {name: files_with(tmp_path, text) for name, text in personal.items()} == {"salt": [], "application": []}
    recorded(log, decided(artifact, [EXAMPLE]))
    summary, breaks = proved(tmp_path)
    assert (summary.decisions, summary.forgotten, breaks) == (3, 1, [])


def test_what_others_said_stays(log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER, EXAMPLE])
    recorded(log, batch)
    log.drain()
    before = store.get(batch.ids)
    forget(tmp_path, store, batch.ids[1:2], "a test")
    after = store.get(batch.ids)
    assert [after[id_] for id_ in batch.ids[::2]] == [before[id_] for id_ in batch.ids[::2]]
    forgotten, was = after[batch.ids[1]], before[batch.ids[1]]
    assert forgotten.personal is None
    assert (forgotten.facts, forgotten.digest, forgotten.hash) == (was.facts, was.digest, was.hash)


def test_who_forgot_and_when_is_a_fact_that_stays(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    assert forget(tmp_path, store, batch.ids, "J. Doe") == 1
    assert forget(tmp_path, store, batch.ids, "somebody later") == 0
    [(id_, time, who)] = store._run("SELECT * FROM forgotten")
    assert (id_, who) == (batch.ids[0], "J. Doe")
    assert time.endswith("Z")
    for statement in ("DELETE FROM forgotten", "UPDATE forgotten SET who = 'nobody'"):
        with pytest.raises(sqlite3.IntegrityError):
            store._run(statement)


def test_many_are_forgotten_from_pages_that_have_moved(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    """Pages are split and joined as rows come and shrink; no copy may stay behind in what a page no longer uses."""
    batch = decided(artifact, [EXAMPLE, OTHER] * 2_000)
    recorded(log, batch)
    log.drain()
    salts = {id_: personal_of(store, id_)["salt"] for id_ in batch.ids}
    for start in (0, 1, 2):
        forget(tmp_path, store, batch.ids[start::7], "a test")
    gone = {id_ for start in (0, 1, 2) for id_ in batch.ids[start::7]}
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert not [id_ for id_ in gone if salts[id_] in content]
    assert all(salt in content for id_, salt in salts.items() if id_ not in gone)


def test_the_id_of_a_forgotten_decision_gives_nothing_back(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    recorded(log, decided(artifact, [EXAMPLE], named={0: "key"}))
    forget(tmp_path, store, ["key"], "a test")
    outcome = recorded(log, decided(artifact, [EXAMPLE], named={0: "key"}))
    assert isinstance(outcome[0], Forgotten)


def test_an_unknown_id_forgets_nothing(log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    with pytest.raises(UnknownDecision, match="there is no decision other; nothing was forgotten"):
        forget(tmp_path, store, [*batch.ids, "other"], "a test")
    assert store.get(batch.ids)[batch.ids[0]].personal is not None


def test_a_worker_that_does_not_let_go_of_its_journal_is_named(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    monkeypatch.setattr("decisions.log.is_asked_to_end", lambda _: False)
    with pytest.raises(StoreError, match="still being written"):
        forget(tmp_path, store, batch.ids, "a test", wait_s=0.0)
    monkeypatch.undo()
    assert forget(tmp_path, store, batch.ids, "a test") == 0, "run again, it takes up where it was"
    assert files_with(tmp_path, f'{{"id":"{batch.ids[0]}"'.encode()) == [STORE]


def test_a_damaged_journal_that_holds_it_is_named(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    [found] = journals(tmp_path)
    (tmp_path / f"old{DAMAGED}").write_bytes(found.path.read_bytes())
    for _ in range(2):  # also once the salt is no longer known
        with pytest.raises(StoreError, match=r"old\.damaged in .* has some of it"):
            forget(tmp_path, store, batch.ids, "a test")


def test_a_mark_across_two_blocks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_BLOCK_BYTES", 8)
    (tmp_path / "file").write_bytes(b"012345salt6789")
    assert command._holds(tmp_path / "file", [b"salt"])
    assert not command._holds(tmp_path / "file", [b"salz"])


def test_the_command_says_what_it_forgot(log: Log, artifact: Artifact, tmp_path: Path) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, batch)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "decisions.forget", *arguments, "--decisions", str(tmp_path)]
        return subprocess.run(line, capture_output=True, text=True)

    done = run(batch.ids[0], "--by", "J. Doe")
    assert (done.returncode, done.stdout) == (0, "forgot 1 decision; their facts and hashes stay\n")
    done = run(*batch.ids)
    assert done.stdout == "forgot 1 decision, 1 were before; their facts and hashes stay\n"
    archives = ArchiveStore(tmp_path / STORE)
    archive(archives, str(tmp_path / "elsewhere"))
    archives.close()
    done = run(*batch.ids)
    assert (done.returncode, done.stderr) == (
        1, f"riskline: {tmp_path / 'elsewhere'} may have them still; run this again with each as --archive\n",
    )  # fmt: skip
    assert run(*batch.ids, "--archive", str(tmp_path / "elsewhere")).returncode == 0
    done = run("none")
    assert (done.returncode, done.stderr) == (1, "riskline: there is no decision none; nothing was forgotten\n")


def test_the_archive_forgets_too_also_what_has_left_the_store(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    old, new = decided(artifact, [EXAMPLE, OTHER]), decided(artifact, [EXAMPLE])
    for batch in (old, new):
        recorded(log, batch)
    log.drain()
    target = str(tmp_path / "archive")
    archives = ArchiveStore(tmp_path / STORE)
    assert archive(archives, target, timedelta()).removed == 2
    archives.close()
    assert "every hash fits" in str(proved(tmp_path)[0])
    assert forget(tmp_path, store, [old.ids[0], new.ids[0]], "a test", target) == 2
    forgotten = {record.id for place in files(target) for record in read(place) if record.personal is None}
    assert forgotten == {old.ids[0], new.ids[0]}
    with pytest.raises(UnknownDecision, match="no decision nobodys"):
        forget(tmp_path, store, [old.ids[1], "nobodys"], "a test", target)


def test_a_note_that_stays_in_the_store_after_its_decision_left_goes_too(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, batch)
    log.drain()
    reviews = SQLiteReviews(tmp_path / STORE)
    reviews.review(batch.ids[0], Review(reviewer="ann", verdict="approve", note="lives next door to me"))
    reviews.close()
    to = str(tmp_path / "archive")
    archiving = ArchiveStore(tmp_path / STORE)
    assert archive(archiving, to, timedelta(0)).removed == 1
    archiving.close()
    forget(tmp_path, store, batch.ids[:1], "a test", to)
    assert files_with(tmp_path, b"next door") == []
    [(note,)] = store._run("SELECT note FROM reviews")
    assert note is None


def test_what_somebody_killed_has_left_beside_a_file_of_the_archive_goes_too(
    log: Log, store: AuditStore, artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE])
    recorded(log, batch)
    log.drain()
    archiving = ArchiveStore(tmp_path / STORE)
    archive(archiving, str(tmp_path / "archive"))
    archiving.close()
    [whole] = (tmp_path / "archive").rglob("*.parquet")
    partial = whole.with_name(f".{whole.name}.01234567.partial")
    partial.write_bytes(whole.read_bytes())
    forget(tmp_path, store, batch.ids, "a test", str(tmp_path / "archive"))
    assert not partial.exists()
