"""Beside the requests: what a worker has scored is counted a few times a second, and every few seconds the drift
metrics say what all workers have counted."""

import asyncio
import time

from serving import drift_metrics
from serving.drift import Drift
from serving.drift_report import report
from serving.realised import Outcomes

SHOW_EVERY_S = 5.0
FEW = 500  # rows, which take a millisecond; more are counted by a thread


class DriftWatch:
    """Part of a worker's housekeeping."""

    def __init__(self, outcomes: Outcomes | None) -> None:
        self._outcomes = outcomes
        self._shown = time.monotonic()

    async def look(self, drift: Drift | None) -> None:
        """One round; with nothing to do where nobody counts."""
        if drift is None:
            return
        if time.monotonic() - self._shown >= SHOW_EVERY_S:
            self._shown = time.monotonic()
            drift_metrics.show_drift(await asyncio.to_thread(report, drift, self._outcomes))
        elif drift.rows_waiting > FEW:
            await asyncio.to_thread(drift.gather)
        else:
            drift.gather()
