"""The log of a worker: decisions in, durable records out.

    submit → (writer's thread) texts → chain → one write, one fsync for all that waited → done
                                                (drain's thread) journal → store

What arrives while the disk is busy goes together with the next write, so the more load, the fewer writes a decision.
A decision whose id its caller chose may have been made before, by any worker: such a group is written while nobody else
can write to the store, and a row that stands already gets its first record back.
"""

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from decisions.drain import Drain
from decisions.errors import Conflict, Forgotten, NotRecorded
from decisions.journal import Writer
from decisions.places import STORE
from decisions.record import Decided, Entry, Kept, Line, chained, entries, opening
from decisions.sqlite import Head, SQLiteStore
from preprocessing.errors import RisklineError

log = logging.getLogger("riskline")

DRAIN_EVERY_S = 0.1
ROTATE_BYTES, ROTATE_S = 64 * 2**20, 3600.0
Earlier = Mapping[int, Kept | RisklineError]  # by row: the decision that a caller's id stands for already, or an error
Done = Callable[[Earlier | Exception], None]
_RETRY = "the decision was not recorded, so it is not given; try again"


@dataclass(frozen=True, slots=True)
class Limits:
    """`waiting` rows may wait for the disk, `backlog_bytes` of journals for the store; more are refused.

    `gather_s`: how long a write waits for others to come along.
    """

    waiting: int = 100_000
    backlog_bytes: int = 1024 * 2**20
    gather_s: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What an operator should know. `behind_s`: how long ago the store was last brought up to date."""

    chain: str
    height: int
    waiting: int
    backlog_bytes: int
    behind_s: float


class Log:
    """Opens a chain of its own in `folder`, beside a store that all workers share; threads start with it."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.store = SQLiteStore(folder / STORE)
        self._folder, self._limits = folder, limits or Limits()
        self._drainer = Drain(folder, self.store)
        self._backlog, self._drained_at = 0, time.monotonic()
        self.drain()
        self._writer = self._begin()
        self._begun_at, self._is_broken = time.monotonic(), False
        self._waiting: list[tuple[Decided, Done]] = []
        self._rows = 0
        self._wake = threading.Condition()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, name="log", daemon=True),
            threading.Thread(target=self._drain, name="drain", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, decided: Decided, done: Done) -> None:
        """Has the batch recorded; `done` is called from another thread once it is on disk, or cannot be.

        Raises NotRecorded where too much waits already.
        """
        if self._rows > self._limits.waiting:
            raise NotRecorded(f"more than {self._limits.waiting} decisions wait to be recorded; {_RETRY}")
        if self._backlog > self._limits.backlog_bytes:
            raise NotRecorded(f"the store of decisions is away, and its journal is full; {_RETRY}")
        with self._wake:
            self._waiting.append((decided, done))
            self._rows += len(decided.ids)
            self._wake.notify()

    def drain(self, others: bool = True) -> None:
        """Brings the store up to date with every worker's journal, without `others` only with those that nobody else
        sees to; sqlite3.Error where it is away."""
        try:
            self._drainer.run(others)
        except BaseException:
            self._drainer.let_go()
            raise
        self._drained_at = time.monotonic()

    def state(self) -> State:
        head = self._writer.head
        behind = time.monotonic() - self._drained_at
        return State(self._writer.chain, head.number, self._rows, self._backlog, behind)

    def close(self) -> None:
        """Records what waits, and ends."""
        self._ending.set()
        with self._wake:
            self._wake.notify()
        for thread in self._threads:
            thread.join()
        self._writer.close()
        try:
            self.drain()
        except (sqlite3.Error, OSError):
            log.exception("the store is away; the journal keeps what it has not got")
        self.store.close()

    def _write(self) -> None:
        while True:
            with self._wake:
                if not (self._waiting or self._ending.is_set()):
                    self._wake.wait(ROTATE_S)
                idle = not self._waiting
            if idle and self._ending.is_set():
                return
            if self._limits.gather_s:
                self._ending.wait(self._limits.gather_s)
            with self._wake:
                group, self._waiting, self._rows = self._waiting, [], 0
            self._rotate_if_due()
            # a store that is away fails the rows that need to look into it, and no others
            for record, some in (
                (self._record, [entry for entry in group if not entry[0].named]),
                (self._record_named, [entry for entry in group if entry[0].named]),
            ):
                if some:
                    self._tell(record, some)

    def _tell(
        self, record: Callable[[Sequence[Decided]], Sequence[Earlier]], group: Sequence[tuple[Decided, Done]]
    ) -> None:
        try:
            outcomes: Sequence[Earlier | Exception] = record([decided for decided, _ in group])
        except (OSError, sqlite3.Error) as error:
            log.error("decisions could not be recorded: %s", error)
            outcomes = [NotRecorded(_RETRY)] * len(group)
            self._drainer.let_go()
        except Exception as error:  # a bug: everybody who waits is told, and the log goes on
            outcomes = [error] * len(group)
            self._drainer.let_go()
        for (_, done), outcome in zip(group, outcomes, strict=True):
            done(outcome)

    def _record(self, group: Sequence[Decided]) -> Sequence[Earlier]:
        now, at = datetime.now(UTC), time.perf_counter()
        self._append([record for decided in group for record in entries(decided, now, at).values()])
        return [{}] * len(group)

    def _record_named(self, group: Sequence[Decided]) -> Sequence[Earlier]:
        now, at = datetime.now(UTC), time.perf_counter()
        with self.store.writing():
            self._drainer.within()
            known = self.store.get([decided.ids[row] for decided in group for row in decided.named])
            stand = {id_: Kept(record.facts, record.personal) for id_, record in known.items()}
            earlier: list[dict[int, Kept | RisklineError]] = []
            fresh: list[Entry] = []
            for decided in group:
                earlier.append({})
                for row, record in entries(decided, now, at).items():
                    before = stand.get(decided.ids[row]) if row in decided.named else None
                    if before is None:
                        stand[decided.ids[row]] = Kept(record.facts, record.personal)
                        fresh.append(record)
                    else:
                        earlier[-1][row] = _standing(before, record)
            if fresh:
                self._append(fresh)
                self._drainer.within()
        return earlier

    def _append(self, records: Sequence[Entry]) -> None:
        if self._is_broken:
            raise OSError("the chain is broken, and no other could be begun")
        if not records:
            return
        lines: list[Line] = []
        before = self._writer.head.hash
        for record in records:
            lines.append(chained(before, record))
            before = lines[-1].hash
        try:
            self._writer.append(lines)
        except OSError:
            self._is_broken = True
            raise
        self._drainer.hand_over(self._writer.chain, lines, Head(self._writer.head, self._writer.bytes))

    def _rotate_if_due(self) -> None:
        """Begins another chain where this one is long, old or broken, and can be."""
        writer, age = self._writer, time.monotonic() - self._begun_at
        if self._is_broken or writer.bytes > ROTATE_BYTES or (age > ROTATE_S and writer.head.number > 0):
            try:
                self._writer = self._begin()
            except (OSError, sqlite3.Error) as error:
                log.error("another chain cannot be begun: %s", error)
                return
            self._begun_at, self._is_broken = time.monotonic(), False
            writer.close()

    def _begin(self) -> Writer:
        now = datetime.now(UTC)
        chain = f"{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(8)}"
        return Writer(self._folder, chain, opening(chain, now, self.store.unsigned()))

    def _drain(self) -> None:
        while not self._ending.wait(DRAIN_EVERY_S):
            try:
                self.drain(others=False)
            except (sqlite3.Error, OSError) as error:
                log.warning("the store of decisions is away for now: %s", error)
            self._backlog = self._drainer.backlog()


def _standing(before: Kept, record: Entry) -> Kept | RisklineError:
    """What stands already, if it is the same applicant's decision."""
    if before.personal is None:
        return Forgotten("the decision under this id was made, and forgotten on request")
    first, now = (json.loads(personal)["application"] for personal in (before.personal, record.personal))
    return before if first == now else Conflict("this id stands for the decision on another application")
