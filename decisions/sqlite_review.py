"""The embedded store as people use it: pages of decisions, single ones, reviews and outcomes.

It has a connection of its own, so that nobody who decides waits for somebody who reads. What people say is in no
journal, so a commit here waits for the disk.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from decisions.errors import Forgotten, Outdated, UnknownDecision
from decisions.proof import Around, Chain, Stored
from decisions.record import Place, Record, written
from decisions.review import Became, Listed, Outcome, Page, Query, Review, Reviewed, Whole, state_of
from decisions.sqlite import BUSY_S, STORED, transaction
from preprocessing.errors import RisklineError

# Their conditions stand in the statement word for word, or SQLite does not see that the index has all it needs
_QUEUED = "state = 'queued' AND personal IS NOT NULL"
_REVIEWED = "state IN ('approved', 'declined', 'conflict')"
_LATEST = "~"  # after every time
# Decisions come here nearly in the order of their times, so this is where a page begins and ends to look
_ALL = (0, 2**63 - 1)
_BOUNDS = "SELECT min(n), max(n) FROM decisions WHERE time >= :since AND time < :until"
_FORGOTTEN_AMONG = "SELECT id, personal IS NULL FROM decisions WHERE id IN (SELECT value FROM json_each(?))"
_ADD_OUTCOME = "INSERT INTO outcomes (id, time, outcome, date) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
# once it is forgotten, nobody can look at it any more
_STATE = "iif(personal IS NULL AND state = 'queued', '', state)"
_FORGOTTEN = "the personal data of this decision were erased, so nobody can judge it any more"


class SQLiteReviews:
    """Opens a file that SQLiteStore has made, once somebody asks."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.RLock()

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    def page(self, query: Query) -> Page:
        """The decisions that `query` asks for, from its cursor on."""
        values = {**query.model_dump(), "most": query.limit + 1}
        with self._transaction("DEFERRED"):
            if query.since or query.until:
                values["since"] = written(query.since) if query.since else ""
                values["until"] = written(query.until) if query.until else _LATEST
                last = query.until if query.order == "oldest" else query.since
                goes_on = query.cursor is not None and last is None  # it has begun, and ends where the table does
                [(values["low"], values["high"])] = [_ALL] if goes_on else self._run(_BOUNDS, values)
            rows = self._run(page_statement(query), values)
        listed = [Listed(id_, facts, state, bool(gone)) for _, id_, facts, state, gone in rows[: query.limit]]
        return Page(listed, rows[query.limit - 1][0] if len(rows) > query.limit else None)

    def get(self, id_: str) -> Whole:
        """One decision; UnknownDecision where there is none."""
        with self._transaction("DEFERRED"):
            return self._whole(id_)

    def around(self, id_: str) -> tuple[Whole, Around]:
        """One decision, and what proves it as of the same moment; UnknownDecision where there is none."""
        with self._transaction("DEFERRED"):
            whole = self._whole(id_)
            chain, number = whole.record.chain, whole.record.number
            rows = self._run(f"{STORED} WHERE chain = ? AND number BETWEEN ? AND ?", (chain, number - 2, number + 1))
            chains = self._run("SELECT opening, number, hash, start, start_hash FROM chains WHERE chain = ?", (chain,))
        near = {row[0]: Stored(*row) for row in rows}
        of_chain = [Chain(row[0], Place(*row[1:3]), Place(*row[3:])) for row in chains]
        return whole, Around(near[number], near, of_chain[0] if of_chain else None)

    def review(self, id_: str, review: Review) -> Whole:
        """Adds a review, unless it says again what its reviewer said last.

        Raises UnknownDecision, Forgotten, or Outdated where there are more reviews than the reviewer has seen.
        """
        with self._transaction("IMMEDIATE"):
            whole = self._whole(id_)
            if whole.record.personal is None:
                raise Forgotten(_FORGOTTEN)
            by_reviewer = {earlier.reviewer: earlier for earlier in whole.reviews}
            added = Reviewed(review.reviewer, review.verdict, review.note, written(datetime.now(UTC)))
            if (last := by_reviewer.get(review.reviewer)) is not None and last[:3] == added[:3]:
                return whole
            if review.seen is not None and review.seen != len(whole.reviews):
                raise Outdated(
                    f"this decision has {len(whole.reviews)} reviews and not {review.seen}; look at it again"
                )
            reviews = [*whole.reviews, added]
            state = state_of(reviews)
            self._run("INSERT INTO reviews (id, reviewer, verdict, note, time) VALUES (?, ?, ?, ?, ?)", (id_, *added))
            self._run("UPDATE decisions SET state = ? WHERE id = ?", (state, id_))
            return whole._replace(state=state, reviews=reviews)

    def add_outcomes(self, outcomes: Sequence[Outcome]) -> list[bool | RisklineError]:
        """For each outcome whether it is new here, or why it cannot be added."""
        told = written(datetime.now(UTC))
        ids = json.dumps([outcome.decision_id for outcome in outcomes])
        with self._transaction("IMMEDIATE"):
            forgotten = dict(self._run(_FORGOTTEN_AMONG, (ids,)))
            return [self._add_outcome(outcome, told, forgotten.get(outcome.decision_id)) for outcome in outcomes]

    def _add_outcome(self, outcome: Outcome, told: str, is_forgotten: bool | None) -> bool | RisklineError:
        if is_forgotten is None:
            return _unknown()
        if is_forgotten:
            return Forgotten("the personal data of this decision were erased, so nothing can be learned from it")
        values = (outcome.decision_id, told, outcome.outcome, outcome.date.isoformat())
        return self._connection.execute(_ADD_OUTCOME, values).rowcount > 0

    def close(self) -> None:
        with self._lock:
            if "_connection" in vars(self):
                self._connection.close()

    def _whole(self, id_: str) -> Whole:
        found = self._run(
            f"SELECT chain, number, hash, facts, personal, digest, {_STATE} FROM decisions WHERE id = ?",  # noqa: S608 - values are bound
            (id_,),
        )
        if not found:
            raise _unknown()
        [(*record, state)] = found
        reviews = self._run("SELECT reviewer, verdict, note, time FROM reviews WHERE id = ? ORDER BY n", (id_,))
        outcomes = self._run("SELECT outcome, date, time FROM outcomes WHERE id = ? ORDER BY n", (id_,))
        return Whole(
            Record(*record),
            state,
            [Reviewed(*review) for review in reviews],
            [Became(*outcome) for outcome in outcomes],
        )

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        with self._lock, transaction(self._connection, kind):
            yield

    def _run(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


def page_statement(query: Query) -> str:
    """The SELECT behind a page. It names its index, since SQLite has no statistics to choose a good one by.

    There is none for the tier: each is common enough to be met with soon, and an index costs every decision.
    """
    conditions: list[str] = []
    index = ""
    for column in ("tier", "channel", "model_version"):
        if getattr(query, column) is not None:
            conditions.append(f"{column} = :{column}")
            if column != "tier":
                index = f"INDEXED BY decisions_by_{column}"
    if query.state == "queued":
        conditions.append(_QUEUED)
        index = "INDEXED BY decisions_queued"
    elif query.state is not None:
        conditions += [_REVIEWED, *([] if query.state == "reviewed" else ["state = :state"])]
        index = "INDEXED BY decisions_reviewed"
    if query.since or query.until:
        conditions.append("time >= :since AND time < :until AND n BETWEEN :low AND :high")
    ahead, order = (">", "ASC") if query.order == "oldest" else ("<", "DESC")
    if query.cursor is not None:
        conditions.append(f"n {ahead} :cursor")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT n, id, facts, {_STATE}, personal IS NULL FROM decisions {index or 'NOT INDEXED'} {where}"  # noqa: S608 - values are bound
        f" ORDER BY n {order} LIMIT :most"
    )


def _unknown() -> UnknownDecision:
    return UnknownDecision("there is no decision with this id")
