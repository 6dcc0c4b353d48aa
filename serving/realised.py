"""What the probabilities promised, and what became of the decisions whose outcome has been told.

Outcomes come months after the decisions, so drift's windows of hours would hold none: here it is the newest ones told.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from decisions.sqlite_labelled import became

MOST = 100_000  # outcomes, the newest told
FEWEST = 30  # good and bad ones each; of fewer, an AUC says nothing
_LOOK_AGAIN_S = 5.0
_SHARE = 0.01  # of the time, at most, goes into looking

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Realised:
    """Of `rows` decisions of the running model: how many of them went bad, and what their probabilities had promised,
    if these are calibrated (NannyML's confidence-based performance estimation). None where rows are too few to say."""

    rows: int
    bad_rate: float | None
    expected_bad_rate: float | None
    auc: float | None
    expected_auc: float | None


NOTHING_KNOWN = Realised(0, None, None, None, None)


def realised(probability: Floats, bad: npt.NDArray[np.bool_]) -> Realised:
    """(rows,), (rows,) → what was promised and what became of it."""
    if not len(bad):
        return NOTHING_KNOWN
    enough = min(bad.sum(), (~bad).sum()) >= FEWEST
    return Realised(
        len(bad),
        float(bad.mean()),
        float(probability.mean()),
        _auc_of_rows(probability, bad.astype(np.float64)) if enough else None,
        _auc_of_rows(probability, probability) if enough else None,
    )


def auc(bad: Floats, good: Floats) -> float:
    """(groups,) each, how many are bad and how many good, in ascending order of probability: the chance that of a bad
    and a good applicant the bad one has the higher probability, half of it where both are in one group."""
    return float((bad * (np.cumsum(good) - good / 2)).sum() / (bad.sum() * good.sum()))


def _auc_of_rows(probability: Floats, bad: Floats) -> float:
    """(rows,) each: how much of a row is bad is 0 or 1, or what is expected."""
    _, group = np.unique(probability, return_inverse=True)
    bad_of, good_of = (np.bincount(group, weights).astype(np.float64) for weights in (bad, 1 - bad))
    return auc(bad_of, good_of)


class Outcomes:
    """The store's outcomes, looked up now and then by whoever asks: at most a hundredth of the time goes into it."""

    def __init__(self, store: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now = store, now
        self._lock = threading.Lock()
        self._found, self._model, self._next_look = NOTHING_KNOWN, "", 0.0

    def of(self, model_version: str) -> Realised:
        """As it was seconds ago, or longer where there is much to read; waits for the disk."""
        with self._lock:
            started = self._now()
            if started >= self._next_look or model_version != self._model:
                try:
                    probability, bad = became(self._store, model_version, MOST)
                    self._found = realised(np.array(probability), np.array(bad, dtype=np.bool_))
                except sqlite3.Error:  # it is away, which others tell of
                    self._found = NOTHING_KNOWN
                self._model = model_version
                self._next_look = self._now() + max(_LOOK_AGAIN_S, (self._now() - started) / _SHARE)
            return self._found
