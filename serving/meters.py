"""How much of its limits each key has used, over all workers: a small file a key that all of them map.

No lock: a worker that is stopped while it holds one would stop all. Two that look within the same microsecond may count
one request instead of two.
"""

import mmap
import os
import time
from pathlib import Path
from typing import NamedTuple

from serving.keys import Key

DAY_S = 86_400
_SIZE = 24


class Use(NamedTuple):
    """What one request was told. `error` is empty where it may go on, else the code; it could after `wait_s` seconds.

    `left` and `policy` are what the headers RateLimit and RateLimit-Policy say (draft-ietf-httpapi-ratelimit-headers).
    """

    error: str
    wait_s: float
    left: bytes
    policy: bytes


class Meter:
    """One key's. By the second it is a bucket that leaks evenly (GCRA, ITU-T I.371), so that a second's worth may come
    at once; by the day it is a count from midnight UTC on."""

    def __init__(self, folder: Path, key: Key) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / key.id, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _SIZE)
            shared = memoryview(mmap.mmap(descriptor, _SIZE))
        finally:
            os.close(descriptor)
        self._count = shared[:16].cast("q")  # the day in days since 1970, and the requests of that day
        self._full_at = shared[16:].cast("d")  # when the bucket will be empty again, in seconds since 1970
        self._rate, self._quota = key.per_second, key.per_day
        self._burst_s = max(1.0, 1 / key.per_second) if key.per_second else 0.0
        self._policy = b", ".join(self._policies())

    def _policies(self) -> list[bytes]:
        by_second = [] if self._rate is None else [b'"second";q=%d;w=%d' % (self._burst(), self._burst_s)]
        return by_second + ([] if self._quota is None else [b'"day";q=%d;w=%d' % (self._quota, DAY_S)])

    def _burst(self) -> int:
        return int((self._rate or 0) * self._burst_s)

    def take(self, now: float | None = None) -> Use:
        """Counts one request at `now`, in seconds since 1970, if the limits have room for it."""
        now = time.time() if now is None else now
        left: list[bytes] = []
        error, wait, full_at = "", 0.0, 0.0
        if self._rate is not None:
            if self._full_at[0] > now + self._burst_s:  # the clock was put back: a full bucket is all that it can mean
                self._full_at[0] = now + self._burst_s
            full_at = max(now, self._full_at[0]) + 1 / self._rate
            room = now + self._burst_s - full_at
            if room < -1e-6:
                error, wait = "rate_limited", -room
            left.append(b'"second";r=%d;t=%d' % (max(0.0, room + 1e-6) * self._rate, full_at - now + 0.999))
        if self._quota is not None:
            today = int(now // DAY_S)
            if self._count[0] != today:
                self._count[0], self._count[1] = today, 0
            unused = self._quota - self._count[1]
            ends = (today + 1) * DAY_S - now
            if unused <= 0:
                error, wait = "quota_exceeded", ends
            left.append(b'"day";r=%d;t=%d' % (max(0, unused - (not error)), ends + 0.999))
        if not error:
            if self._rate is not None:
                self._full_at[0] = full_at
            if self._quota is not None:
                self._count[1] += 1
        return Use(error, wait, b", ".join(left), self._policy)


class Meters:
    """The meters of those keys that have limits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[Key, Meter]] = {}

    def take(self, key: Key) -> Use | None:
        """Counts a request with this key; None where it has no limits."""
        if key.per_second is None and key.per_day is None:
            return None
        found = self._open.get(key.id)
        if found is None or found[0] is not key:  # other limits since the last reading of the file
            found = self._open[key.id] = (key, Meter(self._folder, key))
        return found[1].take()
