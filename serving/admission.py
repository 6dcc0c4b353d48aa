"""Whether one more application can still be answered in time, asked before anything is done for it.

By Little's law whoever comes now waits for as long as the worker takes for those that it has already. So there may be
as many as it answers in the longest wait that is allowed; whoever comes above that is told at once to come again, which
costs a fraction of an answer that nobody waits for any more.

How many a worker answers in a second is measured while it is busy: machines, models and disks differ.
"""

import asyncio
import time

from serving.turn import ENOUGH

FEWEST = ENOUGH  # what one call of the model takes in anyhow
FIRST = 4 * FEWEST  # before anything is measured
# A refusal costs half of an answer. More of them, while a worker is full, would come out of its answers
REFUSALS_PER_ANSWER = 0.1
LONGEST_REFUSAL_S = 5.0


class Admission:
    """One worker's; only its event loop may call it. `longest_wait_s` bounds the wait of who is let in."""

    def __init__(self, longest_wait_s: float) -> None:
        self._longest_wait_s = longest_wait_s
        self.most = FIRST
        self._inside = self._peak = self._answered = 0
        self._busy_s = self._busy_since = 0.0
        self._next_refusal = 0.0
        self._refusals_per_s = 100.0

    def enter(self, now: float) -> bool:
        """Lets one more in at `now`, by perf_counter, if there is room; whoever is in must `leave`."""
        inside = self._inside
        if inside >= self.most:
            self._peak = inside
            return False
        if not inside:
            self._busy_since = now
        self._inside = inside = inside + 1
        if inside > self._peak:
            self._peak = inside
        return True

    def leave(self) -> None:
        self._answered += 1
        self._inside -= 1
        if not self._inside:
            self._busy_s += time.perf_counter() - self._busy_since

    def look(self, now: float) -> None:
        """Measures, a few times a second, what the worker can do. Few at a time say nothing of what many would take."""
        if self._inside:
            self._busy_s += now - self._busy_since
            self._busy_since = now
        if 2 * self._peak >= self.most and self._answered and self._busy_s > 0:
            answers_per_s = self._answered / self._busy_s
            self.most = max(FEWEST, min(int(answers_per_s * self._longest_wait_s), 2 * self.most))
            self._refusals_per_s = answers_per_s * REFUSALS_PER_ANSWER
        self._peak, self._answered, self._busy_s = self._inside, 0, 0.0

    async def refuse(self) -> None:
        """Returns at once, unless so many are refused that refusing alone would keep the worker from its work.

        Then each waits for its turn, and its caller with it, who would otherwise come again that much sooner.
        """
        now = time.perf_counter()
        self._next_refusal = min(max(now, self._next_refusal + 1 / self._refusals_per_s), now + LONGEST_REFUSAL_S)
        if self._next_refusal > now:
            await asyncio.sleep(self._next_refusal - now)
