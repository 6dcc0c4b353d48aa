"""What the embedded store knows of its archives: how far each of them is, and what has left for them.

A range of records is planned here before its files are written, and done after. So whoever finds a plan that is not
done, after whatever crash, writes the same records into files of the same names.
"""

import secrets
from typing import NamedTuple

from decisions.record import Record
from decisions.sqlite import SQLiteStore


class Span(NamedTuple):
    """The records after n = `after` up to `last`, to be archived together."""

    source: str
    after: int
    last: int


class ArchiveState:
    """The part of a store that archiving needs."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def plan(self, target: str, most: int) -> Span | None:
        """The next `most` records that `target` lacks, or what was planned and is not done; None where it has all."""
        run = self._store._run
        with self._store.writing():
            run("INSERT OR IGNORE INTO archives VALUES (?, ?, 0, 0)", (target, secrets.token_hex(4)))
            [[source, done, planned]] = run("SELECT source, done, planned FROM archives WHERE target = ?", (target,))
            if done == planned:
                next_ones = "SELECT n FROM decisions WHERE n > ? ORDER BY n LIMIT ?"
                [[last]] = run(f"SELECT max(n) FROM ({next_ones})", (done, most))  # noqa: S608 - nothing but places
                if last is None:
                    return None
                planned = last
                run("UPDATE archives SET planned = ? WHERE target = ?", (planned, target))
        return Span(source, done, planned)

    def records(self, span: Span) -> list[Record]:
        """The span's records in the order in which they came."""
        rows = self._store._run(
            "SELECT chain, number, hash, facts, personal, digest FROM decisions WHERE n > ? AND n <= ? ORDER BY n",
            (span.after, span.last),
        )
        return [Record(*row) for row in rows]

    def finish(self, target: str, span: Span, forgotten: int) -> bool:
        """Notes that the span is in the archive; False where more of it than `forgotten` records are forgotten by now:
        then it must be written again."""
        with self._store.writing():
            [[now]] = self._store._run(
                "SELECT count(*) FROM decisions WHERE n > ? AND n <= ? AND personal IS NULL", (span.after, span.last)
            )
            if now != forgotten:
                return False
            self._store._run("UPDATE archives SET done = ? WHERE target = ?", (span.last, target))
        return True

    def remove(self, target: str, before: str) -> int:
        """Removes what `target` has and is older than `before`, a time as records give it; how many records that were.

        Always the beginning of a chain, so that what stays can be verified: `chains.start` says what it follows on.
        """
        removed = 0
        for [chain] in self._store._run("SELECT chain FROM chains WHERE number > start"):
            with self._store.writing():
                removed += self._remove(chain, target, before)
        return removed

    def _remove(self, chain: str, target: str, before: str) -> int:
        run = self._store._run
        # the newest record of all stays, because the next one's n is counted from it
        [[kept]] = run(
            "SELECT min(number) FROM decisions WHERE chain = ? AND (time >= ? OR n = (SELECT max(n) FROM decisions)"
            " OR n > coalesce((SELECT done FROM archives WHERE target = ?), 0))",
            (chain, before, target),
        )
        to_go = "FROM decisions WHERE chain = ? AND number < ?"
        [[last]] = run(f"SELECT max(number) {to_go}", (chain, 2**62 if kept is None else kept))
        if last is None:
            return 0
        [[count]] = run(f"SELECT count(*) {to_go}", (chain, last + 1))
        run(
            "UPDATE chains SET start = ?, start_hash = (SELECT hash FROM decisions WHERE chain = ? AND number = ?)"
            " WHERE chain = ?",
            (last, chain, last, chain),
        )
        run(f"DELETE {to_go}", (chain, last + 1))
        return int(count)
