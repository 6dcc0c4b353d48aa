"""The workers of a server look after each other: BentoML's supervisor sees who has died, and nobody sees who hangs.

Each worker beats four times a second, from its event loop, in a file that all of them map. Readiness falls while fewer
than half of them beat. One that has not beaten for a minute is killed by a fellow, and the supervisor starts another.
A minute is counted in one's own beats: who has slept with the machine has not beaten either, and blames nobody.
Workers whose supervisor was killed end in order: nobody would replace or stop them, and they would keep the port.
"""

import asyncio
import logging
import mmap
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("riskline")

MOST_WORKERS = 512  # a supervisor that replaces workers numbers them up to twice their amount
BEAT_EVERY_S = 0.25
LIVE_WITHIN_S = 2.0
HUNG_AFTER_BEATS = 240  # a minute
SOON_S = 10.0  # who dies within so many seconds of its start counts as having failed to start
LONGEST_WAIT_S = 30.0
# A slot is four doubles: pid, when it began to start, its last beat, how many died soon before it; 0 where none is
_SLOT = 4
_PID, _BEGAN, _BEAT, _DIED = range(_SLOT)
_BYTES = MOST_WORKERS * _SLOT * struct.calcsize("d")

Clock = Callable[[], float]


class Fellows:
    """What one of `wanted` workers knows of the others; `worker` counts from 1, and who replaces another has its slot.

    `clock` gives the machine's monotonic seconds, which are the same in all processes.
    """

    def __init__(self, file: Path, worker: int, wanted: int, clock: Clock = time.monotonic) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _BYTES)
            self._slots = memoryview(mmap.mmap(descriptor, _BYTES)).cast("d")
        finally:
            os.close(descriptor)
        self._own, self._wanted, self._clock = (worker - 1) * _SLOT, wanted, clock
        self._silent: dict[int, tuple[float, int]] = {}  # slot → its last beat, and own beats since
        self._supervisor = os.getppid()

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Takes the slot, and returns when it may start: 1, 2, 4 … 30 s after the last start, if that worker died soon.

        The supervisor would start a worker that cannot live again and again, and its load with it. For before the event
        loop: there a signal ends a process that waits.
        """
        own, slots, now = self._own, self._slots, self._clock()
        began, beat = slots[own + _BEGAN], slots[own + _BEAT]
        failed = 0 < began <= now and max(beat, began) < began + SOON_S
        died = int(slots[own + _DIED]) + 1 if failed else 0
        slots[own + _BEAT] = 0.0  # first: who starts is not looked after
        slots[own + _PID], slots[own + _BEGAN], slots[own + _DIED] = os.getpid(), now, died
        if died:
            seconds = max(0.0, began + min(2.0 ** (died - 1), LONGEST_WAIT_S) - now)
            log.warning(
                "workers died soon after their start, %d in a row: the next one starts in %.0f s", died, seconds
            )
            sleep(seconds)
            slots[own + _BEGAN] = self._clock()

    def beat(self) -> None:
        self._slots[self._own + _BEAT] = self._clock()

    def leave(self) -> None:
        """It ends in order, for however long: nobody looks after it, and nobody has to wait in its place."""
        for value in range(_SLOT):
            self._slots[self._own + value] = 0.0

    def live(self) -> int:
        """Workers that beat, compared with one's own last beat: the clock may have gone on while the machine slept."""
        beats = self._slots[_BEAT::_SLOT]
        since = max(self._slots[self._own + _BEAT] - LIVE_WITHIN_S, 0.0)
        return sum(beat > since for beat in beats)

    @property
    def are_enough(self) -> bool:
        """Whether half of the workers live; who asks does."""
        return self._wanted < 3 or 2 * self.live() >= self._wanted

    def look(self) -> None:
        """Kills who hangs; to be called after each beat."""
        for slot in range(0, 2 * self._wanted * _SLOT, _SLOT):
            beat = self._slots[slot + _BEAT]
            if not beat or slot == self._own:
                self._silent.pop(slot, None)
                continue
            last, since = self._silent.get(slot, (0.0, 0))
            self._silent[slot] = (beat, since + 1 if beat == last else 0)
            if self._silent[slot][1] >= HUNG_AFTER_BEATS:
                del self._silent[slot]
                self._kill(slot)

    def _kill(self, slot: int) -> None:
        pid = int(self._slots[slot + _PID])
        self._slots[slot + _BEAT] = self._slots[slot + _BEGAN] = 0.0  # no other fellow does it again; it has started
        if _is_fellow(pid):
            log.error("worker %d has hung for %.0f s and is killed", pid, HUNG_AFTER_BEATS * BEAT_EVERY_S)
            os.kill(pid, signal.SIGKILL)

    async def watch(self) -> None:
        """Runs beside the requests, for as long as there is a supervisor."""
        while os.getppid() == self._supervisor:
            self.beat()
            try:
                self.look()
            except OSError:
                log.exception("a worker that hangs could not be killed")
            await asyncio.sleep(BEAT_EVERY_S)
        log.error("the supervisor was killed: this worker ends too, and leaves the port to another server")
        os.kill(os.getpid(), signal.SIGTERM)


def _is_fellow(pid: int) -> bool:
    """Whether it is still a living child of the supervisor, and no other process that has got its number."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state not in "ZX" and int(parent) == os.getppid()
