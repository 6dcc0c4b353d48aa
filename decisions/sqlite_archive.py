"""What the embedded store knows of its archives: how far each of them is, and what has left for them.

A range of rows is planned here before its files are written, and done after. So whoever finds a plan that is not done,
after whatever crash, writes the same rows into files of the same names.
"""

import secrets
from typing import Any, NamedTuple

from decisions.sqlite import SQLiteStore


class Dataset(NamedTuple):
    """A table that is archived: what of it, and the column that is emptied when an applicant is to be forgotten."""

    name: str
    columns: str
    personal: str = "NULL"


DECISIONS = Dataset("decisions", "chain, number, hash, facts, personal, digest", "personal")
REVIEWS = Dataset("reviews", "id, time, reviewer, verdict, note", "note")
OUTCOMES = Dataset("outcomes", "id, time, outcome, date")
DATASETS = (DECISIONS, REVIEWS, OUTCOMES)


class Span(NamedTuple):
    """The rows after n = `after` up to `last`, to be archived together."""

    source: str
    after: int
    last: int


class ArchiveStore(SQLiteStore):
    """The store with what archiving needs."""

    def plan(self, target: str, dataset: Dataset, most: int) -> Span | None:
        """The next `most` rows that `target` lacks, or what was planned and is not done; None where it has all."""
        of = (target, dataset.name)
        with self.writing():
            self._run("INSERT OR IGNORE INTO archives VALUES (?, ?, ?, 0, 0)", (*of, secrets.token_hex(4)))
            [[source, done, planned]] = self._run(
                "SELECT source, done, planned FROM archives WHERE target = ? AND dataset = ?", of
            )
            if done == planned:
                next_ones = f"SELECT n FROM {dataset.name} WHERE n > ? ORDER BY n LIMIT ?"  # noqa: S608 - a name of ours
                [[last]] = self._run(f"SELECT max(n) FROM ({next_ones})", (done, most))  # noqa: S608 - the same
                if last is None:
                    return None
                planned = last
                self._run("UPDATE archives SET planned = ? WHERE target = ? AND dataset = ?", (planned, *of))
        return Span(source, done, planned)

    def rows(self, dataset: Dataset, span: Span) -> list[tuple[Any, ...]]:
        """The span's rows in the order in which they came."""
        query = f"SELECT {dataset.columns} FROM {dataset.name} WHERE n > ? AND n <= ? ORDER BY n"  # noqa: S608 - ours
        return self._run(query, (span.after, span.last))

    def emptied(self, dataset: Dataset, span: Span) -> int:
        """In how many of the span's rows nothing personal is left, or was ever."""
        query = f"SELECT count(*) FROM {dataset.name} WHERE n > ? AND n <= ? AND {dataset.personal} IS NULL"  # noqa: S608 - ours
        [[count]] = self._run(query, (span.after, span.last))
        return int(count)

    def finish(self, target: str, dataset: Dataset, span: Span, emptied: int) -> bool:
        """Notes that the span is in the archive; False where more than `emptied` of its rows are so by now: then it
        must be written again."""
        with self.writing():
            if self.emptied(dataset, span) != emptied:
                return False
            self._run(
                "UPDATE archives SET done = ? WHERE target = ? AND dataset = ?", (span.last, target, dataset.name)
            )
        return True

    def remove(self, target: str, before: str) -> int:
        """Removes the decisions older than `before`, a time as records give it, which `target` has with all that was
        said of them; how many that were.

        Always the beginning of a chain, so that what stays can be verified: `chains.start` says what it follows on.
        """
        removed = 0
        for [chain] in self._run("SELECT chain FROM chains WHERE number > start"):
            with self.writing():
                removed += self._remove(chain, target, before)
        return removed

    def _remove(self, chain: str, target: str, before: str) -> int:
        done = dict(self._run("SELECT dataset, done FROM archives WHERE target = ?", (target,)))
        # the newest of all stays, because the next one's n is counted from it
        [[kept]] = self._run(
            "SELECT min(number) FROM decisions WHERE chain = ? AND (time >= ? OR n > ?"
            " OR n = (SELECT max(n) FROM decisions) OR n > (SELECT min(n) FROM mirrors)"
            " OR id IN (SELECT id FROM reviews WHERE n > ?) OR id IN (SELECT id FROM outcomes WHERE n > ?))",
            (chain, before, *(done.get(dataset.name, 0) for dataset in DATASETS)),
        )
        end = 2**62 if kept is None else kept
        [[count, last]] = self._run(
            "SELECT count(*), max(number) FROM decisions WHERE chain = ? AND number < ?", (chain, end)
        )
        if not count:
            return 0
        self._run(
            "UPDATE chains SET start = ?, start_hash = (SELECT hash FROM decisions WHERE chain = ? AND number = ?)"
            " WHERE chain = ?",
            (last, chain, last, chain),
        )
        for table in (REVIEWS.name, OUTCOMES.name):
            self._run(
                f"DELETE FROM {table} WHERE n < (SELECT max(n) FROM {table})"  # noqa: S608 - a name of ours
                " AND id IN (SELECT id FROM decisions WHERE chain = ? AND number < ?)",
                (chain, end),
            )
        self._run("DELETE FROM decisions WHERE chain = ? AND number < ?", (chain, end))
        return int(count)
