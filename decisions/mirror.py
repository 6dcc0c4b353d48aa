"""From the embedded store into another one: whichever worker of the machine holds the lock copies what is new.

How far the mirror is stands in the embedded store, and is written after the mirror has said that it has the decisions.
A crash between the two puts some of them again, which changes nothing there.
"""

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from decisions.errors import StoreAway, StoreError
from decisions.places import MIRROR_LOCK, locked
from decisions.record import Record
from decisions.sqlite import SQLiteStore
from decisions.sqlite_mirror import Spool, Waiting

log = logging.getLogger("riskline")

AT_ONCE = 100  # decisions that are put before it is noted that they are there
EVERY_S = 0.25
_SHORTEST_S, _LONGEST_S = 0.25, 10.0  # between two tries while the mirror is away
_CLOSE_WITHIN_S = 5.0
_EXPECTED = (StoreAway, StoreError, sqlite3.Error, OSError)


class Target(Protocol):
    """A store that is fed from this one."""

    @property
    def table(self) -> str: ...

    @property
    def retries(self) -> int: ...

    def check(self) -> None: ...

    def put(self, records: Sequence[Record]) -> list[Record]: ...

    def get(self, ids: Sequence[str]) -> dict[str, Record]: ...

    def forget(self, records: Sequence[Record]) -> None: ...

    def stop(self) -> None: ...


class Mirror:
    """Keeps `target` up to date with the store of the folder, in a thread of its own once it is started."""

    def __init__(self, folder: Path, store: SQLiteStore, target: Target) -> None:
        self.target = target
        self._folder = folder
        self._spool = Spool(store, f"dynamodb:{target.table}")
        self.waiting: Waiting = self._spool.waiting()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def step(self) -> bool:
        """Copies the next decisions; False where there are none, or another worker is at it."""
        with locked(self._folder / MIRROR_LOCK, wait=False) as is_ours:
            if not is_ours:
                return False
            n, records = self._spool.next(AT_ONCE)
            if not records:
                return False
            conflicts = self.target.put(records)
            self._spool.done(n, conflicts)
        for record in conflicts:
            log.error("decision %s was made on another machine too; both are kept in %s", record.id, self.target.table)
        return True

    def close(self) -> None:
        """Ends the thread, and copies what is left as far as that is done in a few seconds; the next start goes on."""
        self._ending.set()
        self.target.stop()
        self._thread.join()
        deadline = time.monotonic() + _CLOSE_WITHIN_S
        try:
            while time.monotonic() < deadline and self.step():
                pass
        except _EXPECTED as error:
            log.warning("some decisions stay here until the next start: %s", error)

    def _run(self) -> None:
        failed = 0
        while not self._ending.is_set():
            try:
                pause = 0.0 if self.step() else EVERY_S
                failed = 0
            except Exception as error:
                if not failed:
                    log.warning("decisions wait here for now: %s", error, exc_info=not isinstance(error, _EXPECTED))
                failed += 1
                pause = random.uniform(_SHORTEST_S, min(_LONGEST_S, _SHORTEST_S * 2**failed))  # noqa: S311 - no secret
            with suppress(sqlite3.Error):
                self.waiting = self._spool.waiting()
            self._ending.wait(pause)
