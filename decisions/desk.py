"""Where people work on decisions: whatever was acknowledged, by any worker, is here before anybody looks."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from decisions.errors import StoreAway
from decisions.log import Log
from decisions.proof import Proof, prove
from decisions.review import Outcome, Page, Query, Review, Whole
from decisions.sqlite_review import SQLiteReviews
from preprocessing.errors import RisklineError

log = logging.getLogger("riskline")

_Answer = TypeVar("_Answer")


class Desk:
    """Each method waits for the disk, so none is for the event loop. StoreAway where the store cannot be used."""

    def __init__(self, log: Log) -> None:
        self._log, self._reviews = log, SQLiteReviews(log.store.path)

    def page(self, query: Query) -> Page:
        return self._ask(lambda: self._reviews.page(query))

    def get(self, id_: str) -> Whole:
        return self._ask(lambda: self._reviews.get(id_))

    def proved(self, id_: str) -> tuple[Whole, Proof]:
        """One decision, and whether it can be proved."""
        whole, around = self._ask(lambda: self._reviews.around(id_))
        return whole, prove(around)

    def review(self, id_: str, review: Review) -> Whole:
        return self._ask(lambda: self._reviews.review(id_, review))

    def add_outcomes(self, outcomes: Sequence[Outcome]) -> list[bool | RisklineError]:
        return self._ask(lambda: self._reviews.add_outcomes(outcomes))

    def close(self) -> None:
        self._reviews.close()

    def _ask(self, ask: Callable[[], _Answer]) -> _Answer:
        try:
            self._log.drain()
            return ask()
        except (sqlite3.Error, OSError) as error:
            log.warning("the store of decisions is away for now: %s", error)
            raise StoreAway("the store of decisions is away for now; try again") from None
