"""What auditors and data protection ask of the embedded store: all of a chain, all since a time, and to forget.

Nothing here holds a transaction for longer than one block of rows, so that a long walk keeps nobody from writing, nor
the write-ahead log from being emptied.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from decisions.proof import Stored
from decisions.record import Place, Record
from decisions.sqlite import STORED, SQLiteStore

_BLOCK_ROWS = 2048
_BEFORE_ALL = -(2**63)  # the smallest number that SQLite knows
_AGAIN_S = 0.1


class AuditStore(SQLiteStore):
    """The store with the questions that only commands ask."""

    def openings(self) -> dict[str, str]:
        """The facts of each chain's first record."""
        return dict(self._run("SELECT chain, opening FROM chains"))

    def starts(self) -> dict[str, Place]:
        """The newest record of each chain that has left for the archive, where any has; the next one follows on it."""
        rows = self._run("SELECT chain, start, start_hash FROM chains WHERE start > 0")
        return {chain: Place(number, hash_) for chain, number, hash_ in rows}

    def archives(self) -> set[str]:
        """Every place that decisions were ever archived to, without what is secret in its address."""
        return {target for [target] in self._run("SELECT DISTINCT target FROM archives")}

    def chains_of_decisions(self) -> set[str]:
        """The chains that decisions say they are of."""
        return {chain for [chain] in self._run("SELECT DISTINCT chain FROM decisions")}

    def walk(self, chain: str) -> Iterator[Stored]:
        """A chain's decisions in order, those that come meanwhile as well."""
        yield from map(
            Stored._make,
            self._blocks(
                f"{STORED} WHERE chain = ? AND number > ? ORDER BY number",
                (chain,),
            ),
        )

    def since(self, start: str = "") -> Iterator[Record]:
        """The decisions from a time on (RFC 3339 in UTC), in the order in which they came here; as of now."""
        [[newest]] = self._run("SELECT coalesce(max(n), 0) FROM decisions")
        rows = self._blocks(
            "SELECT n, chain, number, hash, facts, personal, digest FROM decisions "
            "WHERE time >= ? AND n <= ? AND n > ? ORDER BY n",
            (start, newest),
        )
        for _, *record in rows:
            yield Record(*record)

    def forget(self, ids: Sequence[str], now: str, who: str) -> int:
        """Erases the personal part of these decisions and what reviewers noted, and records who did it and when; those
        forgotten before stay as they are. How many there were to forget."""
        erased = 0
        with self.writing():
            for id_ in ids:
                # a note may be here still when its decision has left for the archive
                self._run("UPDATE reviews SET note = NULL WHERE id = ? AND note NOTNULL", (id_,))
                if self._run(
                    "UPDATE decisions SET personal = NULL WHERE id = ? AND personal NOTNULL RETURNING n", (id_,)
                ):
                    self._run("INSERT INTO forgotten VALUES (?, ?, ?)", (id_, now, who))
                    erased += 1
        return erased

    def empty_log(self, within_s: float) -> bool:
        """Moves everything into the database itself, so that no older page is left in the write-ahead log; False where
        somebody else was reading there for so long."""
        deadline = time.monotonic() + within_s
        while True:
            [[is_busy, _, _]] = self._run("PRAGMA wal_checkpoint(TRUNCATE)")
            if not is_busy:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_AGAIN_S)

    def _blocks(self, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query that goes on after its last value, which is each row's first column."""
        last = _BEFORE_ALL
        while rows := self._run(f"{query} LIMIT {_BLOCK_ROWS}", (*values, last)):
            yield from rows
            last = rows[-1][0]
