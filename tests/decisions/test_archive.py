"""The archive: what the store has, once, whole and typed, whatever happens on the way."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from decisions import archive as archiving
from decisions.archive import alone, archive, files, forget_in_archive, read
from decisions.archive_columns import APPLICATION, SCHEMA
from decisions.errors import StoreError, UnreadableRecord
from decisions.log import Log
from decisions.places import STORE
from decisions.record import Record, hash_of
from decisions.review import Outcome, Review
from decisions.sqlite_archive import DECISIONS, OUTCOMES, REVIEWS, ArchiveStore, Dataset, Span
from decisions.sqlite_review import SQLiteReviews
from model.artifact import Artifact
from model.errors import ScoringError
from model.places import place_of
from preprocessing.encode import FIELDS
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded, stored

ROOT = Path(__file__).parent.parent.parent
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveStore]:
    opened = ArchiveStore(tmp_path / STORE)
    yield opened
    opened.close()


def seconds(first: datetime, count: int) -> list[datetime]:
    return [first + timedelta(seconds=number) for number in range(count)]


def archived(to: str) -> list[Record]:
    return [record for place in files(to) for record in read(place)]


def rows(to: str) -> list[dict[str, Any]]:
    """Of all files, typed columns as SQL sees them."""
    found: list[dict[str, Any]] = []
    for place in files(to):
        with place.files.open_input_file(place.path) as file:
            found += pyarrow.parquet.ParquetFile(file).read().to_pylist()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_archive_holds_every_record_as_the_store_does(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path
) -> None:
    ids = stored(store, "a", artifact, seconds(NOON, 5)) + stored(store, "b", artifact, seconds(NOON, 3))
    to = str(tmp_path / "archive")
    assert archive(store, to).records == 8
    assert {record.id: record for record in archived(to)} == store.get(ids)


def test_columns_are_typed_and_say_what_the_texts_say(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    missing = next(field.name for field in FIELDS if not field.required)
    log = Log(tmp_path)
    recorded(log, decided(artifact, [{**OTHER, missing: None}], channel="phone"))
    log.close()
    to = str(tmp_path / "archive")
    archive(store, to)
    [row], [record] = rows(to), archived(to)
    assert record.person is not None
    for name in ("id", "channel", "probability", "tier", "points", "model_version", "request_id", "seconds"):
        assert row[name] == record.fact[name]
    assert row["time"] == datetime.fromisoformat(record.fact["time"]).replace(tzinfo=None)
    assert {field.name: row[APPLICATION + field.name] for field in FIELDS} == record.person["application"]
    assert row[APPLICATION + missing] is None
    assert row["warnings"] == [f"{warning['field']}:{warning['code']}" for warning in record.person["warnings"]]
    assert f"{missing}:missing" in row["warnings"]
    with pyarrow.parquet.ParquetFile(files(to)[0].path) as file:
        assert file.schema_arrow == SCHEMA


@pytest.mark.parametrize("column", ["facts", "personal"])
def test_a_damaged_record_is_named_and_not_archived(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, column: str
) -> None:
    stored(store, "a", artifact, seconds(NOON, 3))
    with sqlite3.connect(tmp_path / STORE) as connection:
        connection.execute(f"UPDATE decisions SET {column} = 'no JSON' WHERE number = 2")
    connection.close()
    with pytest.raises(UnreadableRecord, match="chain a, record 2 was changed and cannot be read"):
        archive(store, str(tmp_path / "archive"))


def test_the_archive_can_be_verified_by_itself(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    stored(store, "a", artifact, seconds(MIDNIGHT - timedelta(seconds=2), 5))
    to = str(tmp_path / "archive")
    archive(store, to)
    records = sorted(archived(to), key=lambda record: record.number)
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    for before, record in pairwise(records):
        assert record.hash == hash_of(before.hash, record.facts.encode(), record.digest)


def test_a_day_ends_at_midnight_in_utc(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    stored(store, "a", artifact, [MIDNIGHT - timedelta(milliseconds=1), MIDNIGHT, MIDNIGHT + timedelta(hours=1)])
    to = str(tmp_path / "archive")
    archive(store, to)
    assert [Path(place.path).parent.name for place in files(to)] == ["day=2026-11-24", "day=2026-11-25"]
    assert [len(read(place)) for place in files(to)] == [1, 2]


def test_an_empty_store_makes_no_file(store: ArchiveStore, tmp_path: Path) -> None:
    to = str(tmp_path / "archive")
    assert archive(store, to, retain=timedelta(0)) == (0, 0, 0)
    assert files(to) == []


def test_a_second_run_brings_only_what_is_new(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    to = str(tmp_path / "archive")
    stored(store, "a", artifact, seconds(NOON, 3))
    archive(store, to)
    before = contents(tmp_path / "archive")
    assert archive(store, to).records == 0
    assert contents(tmp_path / "archive") == before
    stored(store, "b", artifact, seconds(NOON, 2))
    assert archive(store, to).records == 2
    assert before.items() < contents(tmp_path / "archive").items(), "what is there is left alone"
    assert len(archived(to)) == 5


def test_two_stores_share_an_archive(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    to = str(tmp_path / "archive")
    other = ArchiveStore(tmp_path / "another machine" / STORE)
    ids = stored(store, "a", artifact, seconds(NOON, 2)) + stored(other, "b", artifact, seconds(NOON, 2))
    archive(store, to)
    archive(other, to)
    other.close()
    assert sorted(record.id for record in archived(to)) == sorted(ids)


KILLED_AT = {
    "before the file": "archiving._put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
    "within the file": "pyarrow.parquet.write_table = lambda table, stream, **_: ("
    "stream.write(b'half'), stream.flush(), os.kill(os.getpid(), signal.SIGKILL))",
    "between two files": "put = archiving._put; archiving._put = lambda *given: ("
    "put(*given), os.kill(os.getpid(), signal.SIGKILL))",
    "before it is noted": "ArchiveStore.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.slow
@pytest.mark.parametrize("point", KILLED_AT)
def test_a_kill_leaves_nothing_out_and_nothing_twice(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr(archiving, "ROWS_AT_ONCE", 4)
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(MIDNIGHT - timedelta(seconds=2), 5))
    killing = (
        "import os, signal, sys, pyarrow.parquet\n"
        "from decisions import archive as archiving\n"
        "from decisions.sqlite_archive import ArchiveStore\n"
        f"archiving.ROWS_AT_ONCE = 4\n{KILLED_AT[point]}\narchiving.main()"
    )
    command = [sys.executable, "-c", killing, "--to", to, "--decisions", str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == -signal.SIGKILL
    assert all(len(read(place)) > 0 for place in files(to)), "what has its name is whole"
    ids += stored(store, "b", artifact, seconds(MIDNIGHT, 2))  # what comes meanwhile changes no name
    archive(store, to)
    assert sorted(record.id for record in archived(to)) == sorted(ids)
    assert [path for path in contents(tmp_path / "archive") if "partial" in path] == []


def test_two_archivers_at_once_archive_once(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    """The lock keeps them apart; and if it did not, they would write the same files."""
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(NOON, 3))
    span = store.plan(to, DECISIONS, 100)
    assert span is not None
    other = ArchiveStore(tmp_path / STORE)
    assert archive(other, to).records == 3
    other.close()
    before = contents(tmp_path / "archive")
    archiving._write(store, place_of(to), DECISIONS, span)
    assert contents(tmp_path / "archive") == before
    assert archive(store, to).records == 0
    assert sorted(record.id for record in archived(to)) == sorted(ids)


def command(*arguments: str) -> tuple[int, str]:
    """Exit code, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "decisions.archive", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    return done.returncode, (done.stdout or done.stderr).strip()


@pytest.mark.slow
def test_the_command_archives_what_only_a_journal_has(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisions.log.DRAIN_EVERY_S", 3600)
    log = Log(tmp_path)
    batch = decided(artifact, [EXAMPLE, OTHER])
    recorded(log, batch)
    assert log.store.get(batch.ids) == {}
    to = str(tmp_path / "archive")
    assert command("--to", to, "--decisions", str(tmp_path)) == (0, f"2 decisions archived; {to}")
    log.close()
    assert [record.id for record in archived(to)] == batch.ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("ftp://lender/archive", "no file is named by this ftp:// address"),
        ("/proc/archive", "/proc/archive/decisions/day=2026-11-24 cannot be written to"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_said_in_one_line(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, to: str, said: str
) -> None:
    stored(store, "a", artifact, seconds(NOON, 1))
    code, line = command("--to", to, "--decisions", str(tmp_path))
    assert code == 1
    assert line.startswith(f"riskline: {said}")
    assert "\n" not in line


@pytest.mark.slow
def test_a_second_archiver_is_sent_away(tmp_path: Path) -> None:
    with alone(tmp_path):
        code, line = command("--to", str(tmp_path / "archive"), "--decisions", str(tmp_path))
    assert (code, line) == (1, f"riskline: another archiver is at work in {tmp_path}; let it finish")
    with alone(tmp_path), pytest.raises(StoreError, match="let it finish"), alone(tmp_path):
        pass


def test_who_waits_gets_a_turn_once_the_archiver_is_done(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with alone(tmp_path, wait=True):
            order.append("second")

    thread = threading.Thread(target=second)
    with alone(tmp_path):
        thread.start()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def say(tmp_path: Path, id_: str, note: str | None = None) -> None:
    """A review of the decision, and its outcome."""
    reviews = SQLiteReviews(tmp_path / STORE)
    reviews.review(id_, Review(reviewer="J. Doe", verdict="decline", note=note))
    assert reviews.add_outcomes([Outcome(decision_id=id_, outcome="bad", date=date(2026, 12, 1))]) == [True]
    reviews.close()


def said(to: str, dataset: Dataset) -> list[dict[str, Any]]:
    return [row for place in files(to, dataset) for row in pyarrow.parquet.read_table(place.path).to_pylist()]


def test_reviews_and_outcomes_are_archived_beside_the_decisions(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path
) -> None:
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(NOON, 3))
    assert archive(store, to) == (3, 0, 0)
    say(tmp_path, ids[1], note="has another loan")
    assert archive(store, to) == (0, 2, 0)
    assert archive(store, to) == (0, 0, 0)
    [review], [outcome] = said(to, REVIEWS), said(to, OUTCOMES)
    assert review | {"time": None} == {
        "id": ids[1], "time": None, "reviewer": "J. Doe", "verdict": "decline", "note": "has another loan",
    }  # fmt: skip
    assert outcome["date"] == date(2026, 12, 1)
    assert forget_in_archive(to, [ids[1]]) == 2
    [review] = said(to, REVIEWS)
    assert (review["verdict"], review["note"]) == ("decline", None)


def test_a_decision_of_which_something_is_not_archived_yet_stays(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path
) -> None:
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(NOON - timedelta(days=400), 4))
    archive(store, to)
    for id_ in ids[1:3]:
        say(tmp_path, id_)
    assert store.remove(to, "9999") == 1, "the first one, and nothing from the reviewed ones on"
    assert archive(store, to, retain=timedelta(days=30)) == (0, 4, 2)
    assert set(store.get(ids)) == {ids[3]}
    assert store._run("SELECT id FROM reviews UNION SELECT id FROM outcomes") == [(ids[2],)], "the newest of each stays"


def forget(store: ArchiveStore, ids: Sequence[str]) -> None:
    """As the store forgets."""
    with store.writing():
        for id_ in ids:
            store._run("UPDATE decisions SET personal = NULL WHERE id = ?", (id_,))


def test_the_archive_forgets_what_is_personal_and_nothing_else(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path
) -> None:
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(MIDNIGHT - timedelta(seconds=3), 6))
    archive(store, to)
    untouched, before = contents(tmp_path / "archive"), {row["id"]: row for row in rows(to)}
    assert forget_in_archive(to, [ids[1], ids[2], "unknown"]) == 2
    after = {row["id"]: row for row in rows(to)}
    assert list(after) == list(before)
    for id_ in ids:
        personal = {name for name in SCHEMA.names if name.startswith(APPLICATION)} | {"warnings", "reasons", "personal"}
        expected = dict.fromkeys(personal) if id_ in ids[1:3] else {}
        assert after[id_] == before[id_] | expected
    changed = [name for name, content in contents(tmp_path / "archive").items() if content != untouched[name]]
    assert len(changed) == 1, "a file without them is not written again"
    assert forget_in_archive(to, ids[1:3]) == 0


def test_who_is_forgotten_while_the_file_is_written_is_not_in_it(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = str(tmp_path / "archive")
    ids = stored(store, "a", artifact, seconds(NOON, 3))
    read_before = ArchiveStore.rows

    def rows(store: ArchiveStore, dataset: Dataset, span: Span) -> list[tuple[Any, ...]]:
        found = read_before(store, dataset, span)
        forget(store, ids[:1])
        return found

    monkeypatch.setattr(ArchiveStore, "rows", rows)
    archive(store, to)
    assert [record.personal is None for record in archived(to)] == [True, False, False]


def test_what_is_old_and_archived_leaves_the_store(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, new = now - timedelta(days=40), now - timedelta(days=1)
    ids = stored(store, "a", artifact, [old, old, new, new])
    stored(store, "b", artifact, [old, old])
    stored(store, "c", artifact, [new])
    to = str(tmp_path / "archive")
    assert archive(store, to, retain=timedelta(days=30)) == (7, 0, 4)
    assert set(store.get(ids)) == set(ids[2:])
    assert len(archived(to)) == 7
    # what stays follows on what the store says of the beginning
    [[start, before]] = store._run("SELECT start, start_hash FROM chains WHERE chain = 'a'")
    first = store.get(ids)[ids[2]]
    assert first.number == start + 1
    assert first.hash == hash_of(before, first.facts.encode(), first.digest)
    # a chain of which nothing is left ends where it ended
    assert store._run("SELECT number, hash FROM chains WHERE chain = 'b' AND start_hash = hash AND start = number")
    stored(store, "d", artifact, [new])
    assert archive(store, to).records == 1, "the count goes on"


def test_what_is_not_archived_stays_whatever_its_age(store: ArchiveStore, artifact: Artifact, tmp_path: Path) -> None:
    ids = stored(store, "a", artifact, seconds(NOON - timedelta(days=400), 3))
    assert store.remove("never archived to", "9999") == 0
    archive(store, str(tmp_path / "archive"))
    ids += stored(store, "b", artifact, seconds(NOON - timedelta(days=400), 3))
    assert store.remove(str(tmp_path / "archive"), "9999") == 3
    assert set(store.get(ids)) == set(ids[3:])


def test_an_archive_that_was_away_gets_everything_later(
    store: ArchiveStore, artifact: Artifact, tmp_path: Path
) -> None:
    to = tmp_path / "archive"
    to.write_text("a file where the folder should be")
    ids = stored(store, "a", artifact, seconds(NOON, 3))
    with pytest.raises(ScoringError, match="cannot be written to"):
        archive(store, str(to), retain=timedelta(0))
    to.unlink()
    archive(store, str(to))
    assert [record.id for record in archived(str(to))] == ids
