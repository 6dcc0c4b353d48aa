"""For tests that wait for another thread or process to get somewhere."""

import time
from collections.abc import Callable

POLL_S = 0.02


def until(true: Callable[[], bool], within_s: float = 60.0) -> None:
    """Returns once it is true; AssertionError if it is not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(POLL_S)
