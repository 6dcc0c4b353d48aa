"""A challenger that scores what the service scores, after the answer and for nobody's eyes but the operator's.

    Scorer.score → offer (the answer goes on) → (another thread) challenger → metrics, and a row beside the decision

What waits is bounded: above that it is dropped and counted, and no answer is ever later or other for it.
"""

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from decisions.record import written
from decisions.sqlite_shadows import Shadowed, SQLiteShadows
from model.artifact import Artifact
from model.policy import TIERS
from preprocessing.encode import Matrix
from serving import metrics
from serving.cores import give_way
from serving.scorer import Scores

log = logging.getLogger("riskline")

MOST_WAITING = 50_000  # rows
LOOK_EVERY_S = 0.05  # nobody waits for it, and an answer need not wake it
ROWS_AT_ONCE = 1024  # more would keep those who write decisions waiting for longer


class _Offered(NamedTuple):
    matrix: Matrix
    scores: Scores


class Shadow:
    """Scores with `artifact` what it is offered; `store` keeps what it said, if decisions are kept."""

    def __init__(self, artifact: Artifact, store: SQLiteShadows | None = None) -> None:
        self._artifact, self._store = artifact, store
        self._waiting: list[_Offered] = []
        self._rows = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, matrix: Matrix, scores: Scores) -> None:
        """Takes a scored batch if there is room, and returns at once."""
        rows = len(scores)
        with self._lock:
            if self._rows + rows <= MOST_WAITING:
                self._waiting.append(_Offered(matrix, scores))
                self._rows += rows
                return
        metrics.count_shadow_dropped("waiting", rows)

    def close(self) -> None:
        """Scores what waits, and ends."""
        self._ending.set()
        self._thread.join()
        if self._store:
            self._store.close()

    def _run(self) -> None:
        give_way()
        while not self._ending.wait(LOOK_EVERY_S):
            self._work()
        self._work()

    def _work(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, []
        some: list[_Offered] = []
        rows = 0
        for offered in taken:
            some.append(offered)
            rows += len(offered.scores)
            if rows >= ROWS_AT_ONCE:
                self._judge(some, rows)
                some, rows = [], 0
        if some:
            self._judge(some, rows)

    def _judge(self, some: Sequence[_Offered], rows: int) -> None:
        try:
            self._compare(some)
        except Exception:  # the challenger's trouble is nobody else's
            log.exception("the challenger could not score %d applications", rows)
            metrics.count_shadow_dropped("failed", rows)
        with self._lock:
            self._rows -= rows

    def _compare(self, some: Sequence[_Offered]) -> None:
        challenger = self._artifact
        probability = challenger.score(np.concatenate([offered.matrix for offered in some]))
        tier = challenger.policy.tiers(probability)
        time, first = written(datetime.now(UTC)), 0
        shadowed: list[Shadowed] = []
        pairs: Counter[tuple[str, str]] = Counter()
        distances: list[float] = []
        for _, scores in some:
            for row, (id_, served, served_tier) in enumerate(
                zip(scores.decision_id, scores.probability, scores.tier, strict=True)
            ):
                if row not in scores.refused:
                    mine, word = probability[first + row], TIERS[tier[first + row]]
                    pairs[TIERS[served_tier], word] += 1
                    distances.append(abs(mine - served))
                    shadowed.append(
                        Shadowed(id_, challenger.model_version, challenger.policy_version, mine, word, time)
                    )
            first += len(scores)
        metrics.count_shadow(pairs, np.array(distances))
        if self._store:
            for at in range(0, len(shadowed), ROWS_AT_ONCE):
                self._keep(shadowed[at : at + ROWS_AT_ONCE])

    def _keep(self, shadowed: Sequence[Shadowed]) -> None:
        assert self._store is not None, "asked only where there is one"
        try:
            self._store.add(shadowed)
        except sqlite3.Error as error:
            log.warning("what the challenger said could not be kept: %s", error)
            metrics.count_shadow_dropped("unrecorded", len(shadowed))
