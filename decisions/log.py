"""The log of a worker: decisions in, durable records out.

    submit → (a lane's thread) texts → chain → one write, one fsync for all that waited → done
                                                (drain's thread) journal → store

What arrives while the disk is busy goes together with the next write, so the more load, the fewer writes a decision.
A decision whose id its caller chose may have been made before, by any worker: such a group is written while nobody else
can write to the store, and a row that stands already gets its first record back. It has a lane of its own, so that the
others need not wait for a store that is slow or away.
"""

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
from decisions.errors import Conflict, Forgotten, NotRecorded, UnreadableRecord
from decisions.journal import Writer, is_asked_to_end
from decisions.mirror import Mirror, Target
from decisions.places import STORE
from decisions.record import PERSONAL, Decided, Entry, Kept, Line, as_object, chained, entries, opening
from decisions.sqlite import Head, SQLiteStore
from preprocessing.errors import RisklineError

log = logging.getLogger("riskline")

DRAIN_EVERY_S, _ROOM_AGAIN_S = 0.1, 0.005
ROTATE_BYTES, ROTATE_S = 64 * 2**20, 3600.0
Earlier = Mapping[int, Kept | RisklineError]  # by row: the decision that a caller's id stands for already, or an error
Done = Callable[[Earlier | Exception], None]
_RETRY = "the decision was not recorded, so it is not given; try again"


@dataclass(frozen=True, slots=True)
class Limits:
    """`waiting` rows may wait for the disk, `backlog_bytes` for a store that is away; more are refused.

    `gather_s`: how long a write waits for others to come along.
    """

    waiting: int = 100_000
    backlog_bytes: int = 1024 * 2**20
    gather_s: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What an operator should know.

    `behind_s`: how long ago the embedded store was last brought up to date, or for how long the oldest decision has
    waited for the store behind it. `retries` are this worker's, the rest is true of the machine.
    """

    chain: str
    height: int
    waiting: int
    backlog_bytes: int
    behind_s: float
    conflicts: int = 0
    retries: int = 0


class _Lane:
    """What waits for one kind of writing."""

    def __init__(self, record: Callable[[Sequence[Decided]], Sequence[Earlier]]) -> None:
        self.record = record
        self.waiting: list[tuple[Decided, Done]] = []
        self.rows = 0
        self.wake = threading.Condition()


class Log:
    """Opens a chain of its own in `folder`, beside a store that all workers share; threads start with it.

    What the store has goes on to `target`, if there is one.
    """

    def __init__(self, folder: Path, limits: Limits | None = None, target: Target | None = None) -> None:
        self.store = SQLiteStore(folder / STORE)
        self.folder, self._limits = folder, limits or Limits()
        self._drainer = Drain(folder, self.store)
        self.mirror = None if target is None else Mirror(folder, self.store, target)
        self._backlog, self._drained_at = 0, time.monotonic()
        self.drain()
        self._writer = self._begin()
        self._begun_at, self._is_broken = time.monotonic(), False
        self._appending, self._rotating = threading.Lock(), threading.Lock()
        self._unnamed, self._named = _Lane(self._record), _Lane(self._record_named)
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=[self._unnamed], name="log", daemon=True),
            threading.Thread(target=self._write, args=[self._named], name="log of named", daemon=True),
            threading.Thread(target=self._drain, name="drain", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        if self.mirror:
            self.mirror.start()

    def submit(self, decided: Decided, done: Done) -> None:
        """Has the batch recorded; `done` is called from another thread once it is on disk, or cannot be.

        Raises NotRecorded where too much waits already.
        """
        if self._unnamed.rows + self._named.rows > self._limits.waiting:
            raise NotRecorded(f"more than {self._limits.waiting} decisions wait to be recorded; {_RETRY}")
        if self.is_full:
            raise NotRecorded(f"the store of decisions is away, and too much waits for it; {_RETRY}")
        lane = self._named if decided.named else self._unnamed
        with lane.wake:
            lane.waiting.append((decided, done))
            lane.rows += len(decided.ids)
            lane.wake.notify()

    def wait_for_room(self) -> None:
        """Waits while the store is far behind. For bodies of many: whoever looks for a decision would have to wait for
        what they bring faster than the store takes it."""
        while self._drainer.is_behind and not self._ending.wait(_ROOM_AGAIN_S):
            pass

    @property
    def is_full(self) -> bool:
        """Whether so much waits for a store that is away that no more is taken."""
        return self._backlog + (self.mirror.waiting.bytes if self.mirror else 0) > self._limits.backlog_bytes

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
        waiting = self._unnamed.rows + self._named.rows
        if self.mirror is None:
            return State(self._writer.chain, head.number, waiting, self._backlog, behind)
        rest = self.mirror.waiting
        backlog = self._backlog + rest.bytes
        behind, retries = max(behind, rest.seconds), self.mirror.target.retries
        return State(self._writer.chain, head.number, waiting, backlog, behind, rest.conflicts, retries)

    def close(self) -> None:
        """Records what waits, and ends."""
        self._ending.set()
        for lane in (self._unnamed, self._named):
            with lane.wake:
                lane.wake.notify()
        for thread in self._threads:
            thread.join()
        self._writer.close()
        try:
            self.drain()
        except (sqlite3.Error, OSError):
            log.exception("the store is away; the journal keeps what it has not got")
        if self.mirror:
            self.mirror.close()
        self.store.close()

    def _write(self, lane: _Lane) -> None:
        while True:
            with lane.wake:
                if not (lane.waiting or self._ending.is_set()):
                    lane.wake.wait(ROTATE_S)
                idle = not lane.waiting
            if idle and self._ending.is_set():
                return
            if self._limits.gather_s:
                self._ending.wait(self._limits.gather_s)
            with lane.wake:
                group, lane.waiting, lane.rows = lane.waiting, [], 0
            self._tell(lane.record, group)

    def _tell(
        self, record: Callable[[Sequence[Decided]], Sequence[Earlier]], group: Sequence[tuple[Decided, Done]]
    ) -> None:
        try:
            self._rotate_if_due()
            outcomes: Sequence[Earlier | Exception] = record([decided for decided, _ in group]) if group else []
        except (OSError, sqlite3.Error) as error:
            log.error("decisions could not be recorded: %s", error)
            outcomes = [NotRecorded(_RETRY)] * len(group)
            self._drainer.let_go()
        except Exception as error:  # a bug: everybody who waits is told, and the log goes on
            outcomes = [error] * len(group)
            self._drainer.let_go()
        for (_, done), outcome in zip(group, outcomes, strict=True):
            try:
                done(outcome)
            except Exception:  # a bug of one caller's: the others are told, and the log goes on
                log.exception("whoever asked for a record could not be told of it")

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
        if not records:
            return
        with self._appending:
            if self._is_broken:
                raise OSError("the chain is broken, and no other could be begun")
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
        """Begins another chain where this one is long, old, broken or asked to end, and can be."""
        with self._rotating:
            writer, age = self._writer, time.monotonic() - self._begun_at
            is_due = self._is_broken or writer.bytes > ROTATE_BYTES or (age > ROTATE_S and writer.head.number > 0)
            if not (is_due or is_asked_to_end(writer.path)):
                return
            try:
                new = self._begin()  # asks the store, which whoever appends may hold: so not while nobody can append
            except (OSError, sqlite3.Error) as error:
                log.error("another chain cannot be begun: %s", error)
                return
            with self._appending:
                self._writer, self._begun_at, self._is_broken = new, time.monotonic(), False
                writer.close()

    def _begin(self) -> Writer:
        now = datetime.now(UTC)
        chain = f"{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(8)}"
        return Writer(self.folder, chain, opening(chain, now, self.store.unsigned()))

    def _drain(self) -> None:
        while not self._ending.wait(DRAIN_EVERY_S):
            try:
                self.drain(others=False)
            except (sqlite3.Error, OSError) as error:
                log.warning("the store of decisions is away for now: %s", error)
            except Exception:  # a bug: the journals keep what the store has not got, and the next round may go well
                log.exception("the store of decisions could not be brought up to date")
            try:
                self._backlog = self._drainer.backlog()
                if is_asked_to_end(self._writer.path):
                    with self._unnamed.wake:
                        self._unnamed.wake.notify()
            except OSError as error:
                log.warning("the folder of decisions cannot be read: %s", error)


def _standing(before: Kept, record: Entry) -> Kept | RisklineError:
    """What stands already, if it is the same applicant's decision and can be read."""
    if before.personal is None:
        return Forgotten("the decision under this id was made, and forgotten on request")
    try:
        first = as_object(before.personal, PERSONAL).get("application")
    except UnreadableRecord as error:  # of this one decision alone: others are in its group
        return error
    now = as_object(record.personal, PERSONAL)["application"]
    return before if first == now else Conflict("this id stands for the decision on another application")
