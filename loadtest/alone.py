"""For processes that would be in each other's way, such as two that install the same: one after the other."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Waits until no other process of this user is in a block for the same `what`, a name that a file can have."""
    with Path(tempfile.gettempdir(), f"riskline-{os.geteuid()}-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
