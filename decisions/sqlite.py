"""The embedded store: one SQLite file in WAL mode, for all workers of a machine and the commands beside them.

The journals make a decision durable; this makes it findable. So commits here need not wait for the disk: what a power
failure takes from the end, the journals still have, and `Store.sync` is called before one of them is deleted.
"""

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from decisions.errors import StoreError
from decisions.journal import sync_folder
from decisions.record import Line, Place, Record

log = logging.getLogger("riskline")

APPLICATION_ID = 0x5269736B  # "Risk", in the file's header: so that nobody else's file is taken for ours
VERSION = 1
BUSY_S = 5.0
_TABLES = """
CREATE TABLE chains (
    chain TEXT PRIMARY KEY,
    number INTEGER NOT NULL,    -- of its newest record here
    hash BLOB NOT NULL,         -- of its newest record here
    offset INTEGER NOT NULL,    -- the byte after that record in the journal
    opening TEXT NOT NULL,      -- the chain's first record
    signed INTEGER NOT NULL,    -- the newest of its records that another chain's opening names
    start INTEGER NOT NULL,     -- the newest of its records that has left the store; 0, the opening, stands above
    start_hash BLOB NOT NULL    -- of that record: the first one that is here follows on it
) STRICT;
CREATE TABLE decisions (
    n INTEGER PRIMARY KEY,      -- the order in which they came here
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    time TEXT NOT NULL,         -- RFC 3339 in UTC
    channel TEXT NOT NULL,
    tier TEXT NOT NULL,
    model_version TEXT NOT NULL,
    state TEXT NOT NULL,        -- queued, or what the reviews come to; empty for neither
    facts TEXT NOT NULL,        -- JSON, see decisions/record.py
    personal TEXT,              -- JSON; NULL once it is forgotten
    digest BLOB NOT NULL,       -- sha256 of personal
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE forgotten (
    id TEXT PRIMARY KEY,        -- of a decision whose personal part was erased
    time TEXT NOT NULL,         -- when, RFC 3339 in UTC
    who TEXT NOT NULL           -- erased it
) STRICT;
CREATE TRIGGER forgotten_stays BEFORE DELETE ON forgotten BEGIN SELECT RAISE(ABORT, 'what was forgotten stays so'); END;
CREATE TRIGGER forgotten_is_fixed BEFORE UPDATE ON forgotten BEGIN SELECT RAISE(ABORT, 'this is a fact'); END;
CREATE TABLE archives (
    target TEXT NOT NULL,       -- where it is, without what is secret in its address
    dataset TEXT NOT NULL,      -- the table that is archived
    source TEXT NOT NULL,       -- tells the files of this store from those of another in the same archive
    done INTEGER NOT NULL,      -- the newest n that is there
    planned INTEGER NOT NULL,   -- the newest n that may be there
    PRIMARY KEY (target, dataset)
) STRICT;
CREATE TABLE shadows (
    id TEXT NOT NULL,           -- the decision's
    model_version TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    probability REAL NOT NULL,
    tier TEXT NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (id, model_version, policy_version)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_by_time ON decisions (time);
CREATE INDEX decisions_by_channel ON decisions (channel);
CREATE INDEX decisions_by_model_version ON decisions (model_version);
CREATE INDEX decisions_queued ON decisions (n) WHERE state = 'queued' AND personal IS NOT NULL;
CREATE INDEX decisions_reviewed ON decisions (n, state) WHERE state IN ('approved', 'declined', 'conflict');
CREATE UNIQUE INDEX decisions_by_chain ON decisions (chain, number);
CREATE TABLE mirrors (
    target TEXT PRIMARY KEY,    -- the other store that gets what is here
    n INTEGER NOT NULL,         -- of the newest decision that it has
    conflicts INTEGER NOT NULL  -- how many of them had an id that stood there for another decision
) STRICT;
CREATE TABLE reviews (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,           -- of the decision
    time TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    verdict TEXT NOT NULL,      -- approve or decline
    note TEXT                   -- may say something of the applicant: goes with what is forgotten
) STRICT;
CREATE INDEX reviews_by_id ON reviews (id);
CREATE TABLE outcomes (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,           -- of the decision
    time TEXT NOT NULL,         -- when it was told
    outcome TEXT NOT NULL,      -- good or bad
    date TEXT NOT NULL,         -- since when that has been so
    UNIQUE (id, outcome, date)
) STRICT;
"""
_COLUMNS = "chain, number, id, time, channel, tier, model_version, state, facts, personal, digest, hash"
# the columns of a decisions.proof.Stored
STORED = (
    "SELECT number, d.id, d.time, channel, tier, facts, personal, digest, hash, f.id IS NOT NULL "
    "FROM decisions d LEFT JOIN forgotten f ON f.id = d.id"
)
_AT_ONCE = 64  # rows of one INSERT: the interpreter is given back once for all of them
_IDS_AT_ONCE = 500


class Head(NamedTuple):
    """How far a chain is in the store: its newest record's place, and the byte after it in the chain's journal."""

    place: Place
    offset: int


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """One that begins as `kind` says: IMMEDIATE for writing, DEFERRED to read twice and see the same."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has ended it itself where the disk is full
            connection.execute("ROLLBACK")
        raise


class SQLiteStore:
    """Opens the file, or makes it; StoreError in one line where it is not a whole file of ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # nobody else's to read
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path} cannot be used for decisions ({error})") from None

    def _prepare(self) -> None:
        run = self._connection.execute
        [[owner], [tables]] = [*run("PRAGMA application_id"), *run("SELECT count(*) FROM sqlite_schema")]
        if (owner, tables) != (0, 0) and owner != APPLICATION_ID:
            raise StoreError(f"{self.path} is another program's SQLite file; name another place for decisions")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA wal_autocheckpoint = 16000")  # pages: a page that changes often is copied into the file less often
        run("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
        with self.writing():
            [[version]] = run("PRAGMA user_version")
            if version == 0:
                for statement in _TABLES.split(";\n"):
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION_ID}")
                run(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise StoreError(f"{self.path} was written by another version of Riskline (form {version})")

    def check(self) -> None:
        """Reads all of it, some seconds for a million decisions; StoreError where it is damaged."""
        [[verdict]] = self._run("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise StoreError(f"{self.path} is damaged ({verdict}); restore it from a backup or move it away")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that keeps every other writer waiting, in this process and in others."""
        with self._lock, transaction(self._connection, "IMMEDIATE"):
            yield

    def heads(self) -> dict[str, Head]:
        """How far each chain is here."""
        rows = self._run("SELECT chain, number, hash, offset FROM chains")
        return {chain: Head(Place(number, hash_), offset) for chain, number, hash_, offset in rows}

    def head(self, chain: str) -> Head | None:
        """How far one chain is here; None where there is nothing of it."""
        rows = self._run("SELECT number, hash, offset FROM chains WHERE chain = ?", (chain,))
        return next((Head(Place(number, hash_), offset) for number, hash_, offset in rows), None)

    def put(self, chain: str, lines: Sequence[Line], head: Head) -> None:
        """Adds a chain's next records, which end at `head`."""
        first = head.place.number - len(lines) + 1
        if first == 0:
            opening, *lines = lines
            self._open(chain, opening, head)
            first = 1
        else:
            self._run(
                "UPDATE chains SET number = ?, hash = ?, offset = ? WHERE chain = ?", (*head.place, head.offset, chain)
            )
        for start in range(0, len(lines), _AT_ONCE):
            self._insert(chain, first + start, lines[start : start + _AT_ONCE])

    def _insert(self, chain: str, first: int, lines: Sequence[Line]) -> None:
        places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(lines))
        values: list[Any] = []
        for number, ((*found_by, facts, personal), digest, hash_) in enumerate(lines, first):
            values += (chain, number, *found_by, facts.decode(), personal.decode(), digest, hash_)
        try:
            self._run(f"INSERT INTO decisions ({_COLUMNS}) VALUES {places}", values)  # noqa: S608 - nothing but places
        except sqlite3.IntegrityError as error:
            if "decisions.id" not in str(error):
                raise
            self._insert_apart(chain, first, lines)

    def _insert_apart(self, chain: str, first: int, lines: Sequence[Line]) -> None:
        """Where an id stands for two decisions, as when journals come back from a backup: both are kept, the later one
        under a name that verify shows."""
        if len(lines) > 1:
            for number, line in enumerate(lines, first):
                self._insert(chain, number, [line])
            return
        [line] = lines
        name = f"{line.entry.id} {chain} {first}"
        log.error("the id %s stands for two decisions; the later one is kept as %r", line.entry.id, name)
        self._insert(chain, first, [line._replace(entry=line.entry._replace(id=name))])

    def _open(self, chain: str, opening: Line, head: Head) -> None:
        values = (chain, *head.place, head.offset, opening.entry.facts.decode(), -1, 0, opening.hash)
        self._run("INSERT INTO chains VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        for other, (number, _) in json.loads(opening.entry.facts)["heads"].items():
            self._run("UPDATE chains SET signed = max(signed, ?) WHERE chain = ?", (number, other))

    def unsigned(self) -> dict[str, Place]:
        """The heads of the chains that have grown since another one's opening named them."""
        rows = self._run("SELECT chain, number, hash FROM chains WHERE number > signed")
        return {chain: Place(number, hash_) for chain, number, hash_ in rows}

    def get(self, ids: Sequence[str]) -> dict[str, Record]:
        """Those of the decisions that are here."""
        found: dict[str, Record] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            places = ", ".join("?" * len(some))
            for id_, *rest in self._run(
                f"SELECT id, chain, number, hash, facts, personal, digest FROM decisions WHERE id IN ({places})",  # noqa: S608 - nothing but places
                some,
            ):
                found[id_] = Record(*rest)
        return found

    def sync(self) -> None:
        """Makes sure that everything here is on disk.

        What is committed is in the write-ahead log, or SQLite has synced the database that it was moved to. A
        checkpoint would do too, but it gives up where somebody reads for long, and keeps the store waiting until then.
        """
        file = os.open(f"{self.path.resolve()}-wal", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        sync_folder(self.path.resolve().parent)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _run(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()
