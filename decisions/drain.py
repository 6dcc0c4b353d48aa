"""From the journals into the store: whoever holds the store's write lock can bring it up to date with every chain.

How far each chain is stands in the store, in the same transaction as the records. So it does not matter who drains, how
often, or at which point it was killed: nothing is left out and nothing comes twice.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from decisions.journal import NOT_BEGUN, Found, delete, is_finished, journals, path_of, read
from decisions.record import Line
from decisions.sqlite import Head, SQLiteStore

log = logging.getLogger("riskline")

DAMAGED = ".damaged"
_BYTES_AT_ONCE, _ROWS_AT_ONCE = 2**20, 2048  # in one transaction, so that others wait for milliseconds only
_MANY_HELD, _MOST_HELD = 20_000, 50_000  # rows in memory; what is more is read back from the journal
_BEGINNING = Head(NOT_BEGUN, 0)


class _Written(NamedTuple):
    chain: str
    lines: Sequence[Line]
    end: Head


class Drain:
    """Moves what stands in the folder's journals into the store; safe to call from any thread."""

    def __init__(self, folder: Path, store: SQLiteStore) -> None:
        self._folder, self._store = folder, store
        self._held: deque[_Written] = deque()
        self._held_rows = 0
        self._holding = threading.Lock()  # around the two above: a lane hands over and lets go without the store's lock
        self._read_back = False  # whether this worker's journal has something that is not held
        self._offsets: dict[str, int] = {}  # how far the store was with each chain when it last said so

    def hand_over(self, chain: str, lines: Sequence[Line], end: Head) -> None:
        """Takes what this worker has written to its journal, so that it need not be read back."""
        with self._holding:
            if self._held_rows < _MOST_HELD:
                self._held.append(_Written(chain, lines, end))
                self._held_rows += len(lines)
            else:
                self._read_back = True

    @property
    def is_behind(self) -> bool:
        """Whether so much is held that who can wait should."""
        return self._held_rows > _MANY_HELD

    def let_go(self) -> None:
        """To be called where a transaction failed: what was taken from memory for it must be read back."""
        with self._holding:
            self._held.clear()
            self._held_rows, self._read_back = 0, True

    def run(self, others: bool = True) -> None:
        """Brings the store up to date, and deletes journals that are finished; sqlite3.Error where it is away.

        Without `others` the journals that other workers are writing are left to them.
        """
        while self._held:
            with self._store.writing():
                self._put_held()
        with self._holding:
            others, self._read_back = others or self._read_back, False
        for found in journals(self._folder):
            finished = is_finished(found.path)  # asked before reading: what is written later is seen the next time
            end = _size(found)
            while (finished or others) and self._head(found.chain).offset < end:
                with self._store.writing():
                    if not self._step(found):
                        break
            if finished:
                self._end(found)

    def within(self) -> None:
        """Brings the store up to date within a transaction of the caller's."""
        while self._held:
            self._put_held()
        for found in journals(self._folder):
            self._follow(found, _size(found))

    def backlog(self) -> int:
        """Bytes of the journals that the store has not got, or had not when it last answered."""
        standing = journals(self._folder)
        with suppress(sqlite3.Error):
            for found in standing:
                self._head(found.chain)
        return sum(max(0, _size(found) - self._offsets.get(found.chain, 0)) for found in standing)

    def _put_held(self) -> None:
        if (taken := self._taken()) is None:  # another thread was faster
            return
        chain, lines, end = taken
        known = self._head(chain).place.number
        if known == end.place.number - len(lines):
            self._store.put(chain, lines, end)
        elif known < end.place.number:  # something between was not held
            self._follow(Found(chain, path_of(self._folder, chain)), end.offset)

    def _taken(self) -> _Written | None:
        """What is held of the first chain, put together up to a limit: many small groups are one INSERT."""
        with self._holding:
            if not self._held:
                return None
            chain, lines, end = self._held.popleft()
            gathered = list(lines)
            while self._held and self._held[0].chain == chain and len(gathered) < _ROWS_AT_ONCE:
                _, lines, end = self._held.popleft()
                gathered += lines
            self._held_rows -= len(gathered)
        return _Written(chain, gathered, end)

    def _follow(self, found: Found, end: int) -> None:
        """Moves what the journal had up to the byte `end`. Its worker may write faster than it is moved, so what comes
        meanwhile is left: the ids that callers chose are written by who holds the store, and so stand before `end`."""
        while self._head(found.chain).offset < end and self._step(found):
            pass

    def _step(self, found: Found) -> bool:
        """Moves a piece of a journal; False where there was no whole record left."""
        head = self._head(found.chain)
        try:
            lines, place, offset = read(found.path, head.place, head.offset, _BYTES_AT_ONCE)
        except FileNotFoundError:  # another process has just ended it
            return False
        if lines:
            self._store.put(found.chain, lines, Head(place, offset))
        return bool(lines)

    def _head(self, chain: str) -> Head:
        head = self._store.head(chain) or _BEGINNING
        self._offsets[chain] = head.offset
        return head

    def _end(self, found: Found) -> None:
        """Deletes the journal of a writer that is gone, unless there is something in it that the store has not got."""
        head = self._head(found.chain)
        try:
            with found.path.open("rb") as file:
                file.seek(head.offset)
                rest = file.read()
        except FileNotFoundError:
            return
        if b"\n" in rest:
            # A crash leaves at most its last write half done. This is a whole line that does not follow on the others.
            log.error("%s is damaged after record %d; it is kept as it is", found.path, head.place.number)
            with suppress(FileNotFoundError):  # another process found it at the same time
                found.path.rename(found.path.with_suffix(DAMAGED))
            return
        self._store.sync()
        delete(found.path)
        self._offsets.pop(found.chain, None)


def _size(found: Found) -> int:
    try:
        return found.path.stat().st_size
    except FileNotFoundError:
        return 0
