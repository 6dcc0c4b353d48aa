"""What the embedded store knows of a mirror: what it lacks, and how far it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from decisions.record import Record
from decisions.sqlite import SQLiteStore

_MEASURED = 64  # rows whose size stands for the size of all that wait


class Waiting(NamedTuple):
    """What a mirror lacks: rows, about how many bytes, for how long the oldest waits; its conflicts so far."""

    rows: int
    bytes: int
    seconds: float
    conflicts: int


class Spool:
    """The decisions in `store` as the mirror called `target` is to get them: in the order in which they came."""

    def __init__(self, store: SQLiteStore, target: str) -> None:
        self._store, self._target = store, target
        with store.writing():
            store._run("INSERT OR IGNORE INTO mirrors VALUES (?, 0, 0)", (target,))

    def next(self, most: int) -> tuple[int, list[Record]]:
        """The next `most` decisions that the mirror lacks, and the `n` of the last of them."""
        rows = self._store._run(
            "SELECT n, chain, number, hash, facts, personal, digest FROM decisions"
            " WHERE n > (SELECT n FROM mirrors WHERE target = ?) ORDER BY n LIMIT ?",
            (self._target, most),
        )
        return (rows[-1][0] if rows else 0), [Record(*rest) for _, *rest in rows]

    def done(self, n: int, conflicts: Sequence[Record]) -> None:
        """Notes that the mirror has everything up to `n`."""
        with self._store.writing():
            self._store._run(
                "UPDATE mirrors SET n = ?, conflicts = conflicts + ? WHERE target = ?",
                (n, len(conflicts), self._target),
            )

    def waiting(self) -> Waiting:
        [[n, conflicts, newest]] = self._store._run(
            "SELECT n, conflicts, ifnull((SELECT max(n) FROM decisions), 0) FROM mirrors WHERE target = ?",
            (self._target,),
        )
        if newest <= n:
            return Waiting(0, 0, 0.0, conflicts)
        # adding up all of them would be reading all of them
        [[size]] = self._store._run(
            "SELECT avg(length(facts) + ifnull(length(personal), 0)) FROM"
            " (SELECT facts, personal FROM decisions WHERE n > ? ORDER BY n DESC LIMIT ?)",
            (n, _MEASURED),
        )
        [[oldest]] = self._store._run("SELECT time FROM decisions WHERE n > ? ORDER BY n LIMIT 1", (n,))
        seconds = (datetime.now(UTC) - datetime.fromisoformat(oldest)).total_seconds()
        return Waiting(newest - n, int(size * (newest - n)), max(0.0, seconds), conflicts)
