"""How long a call goes on trying. Nothing here waits or sends: the clients do what it says.

Every call of this client may be sent again: what decides brings an idempotency key, made once a call, under which the
service gives the first decision back; the service takes the same review and the same outcome only once; the rest reads.
"""

import random
import time
from dataclasses import dataclass

from riskline_client.errors import NoAnswer, RisklineError


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` are tried at most. One is given up where the connection is silent for `attempt_s`; after `deadline_s`
    of the whole call none begins, and no answer is read on.

    Before the n-th attempt a random time is waited, up to `first_wait_s`·2ⁿ⁻² and up to `longest_wait_s` (full jitter),
    on top of what the service asks for by Retry-After. Where the deadline comes first, the error is raised at once.
    """

    attempts: int = 4
    attempt_s: float = 10.0
    deadline_s: float = 30.0
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        for name in ("attempt_s", "deadline_s", "first_wait_s", "longest_wait_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number of seconds above 0")


class Attempts:
    """Those of one call."""

    def __init__(self, retry: Retry) -> None:
        self._retry, self._made = retry, 0
        self._ends = time.monotonic() + retry.deadline_s

    @property
    def left_s(self) -> float:
        return self._ends - time.monotonic()

    def begin(self) -> float:
        """Seconds of silence after which the attempt that begins now is given up."""
        self._made += 1
        return min(self._retry.attempt_s, max(self.left_s, 0.001))

    def check_time(self) -> None:
        """NoAnswer once the call's time is over."""
        if self.left_s <= 0:
            raise NoAnswer(f"the answer was not whole within {self._retry.deadline_s:g} s")

    def wait_after(self, error: RisklineError) -> float:
        """Seconds until the next attempt; raises the error where there is to be none."""
        bound = min(self._retry.longest_wait_s, self._retry.first_wait_s * 2 ** (self._made - 1))
        # by chance, so that callers who were refused together do not come back together
        wait_s = (error.retry_after_s or 0.0) + random.uniform(0, bound)  # noqa: S311 - nobody gains by guessing it
        if error.may_pass and self._made < self._retry.attempts and wait_s < self.left_s:
            return wait_s
        if self._made > 1:
            error.add_note(f"after {self._made} attempts")
        raise error
