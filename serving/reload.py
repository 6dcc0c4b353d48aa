"""Takes up another state (serving/live.py) while the service runs, in all workers or in none (serving/agreement.py).

Each worker looks a few times a second whether there is something else: a promoted model, another file of keys, or
somebody who asks for a look at everything. It loads and verifies that in a thread while requests go on. Once every
worker has, all change over at one moment, by one assignment each (serving/served.py). If it verifies for one of them
not, all go on with what they have; so they do if one of them says nothing for long.
"""

import asyncio
import hashlib
import logging
import os
import time

from pydantic import BaseModel

from model.promotion import Note
from model.storage import STORE_NAME
from preprocessing.errors import RisklineError
from serving import live, metrics
from serving.agreement import Agreement, Verdict, soon
from serving.api import Api
from serving.keys import RING
from serving.live import Live, Sources
from serving.settings import LogLevel

log = logging.getLogger("riskline")

WITHIN_S = 30.0
POLL_S = 0.02
CHANGE_OVER_IN_S = 0.1  # longer than any worker takes to read of it
SUPERSEDED = "something has changed again"


class ReloadRefused(RisklineError):
    """What was to be taken up does not verify; the service goes on as before."""

    code = "reload_refused"


class Reloaded(BaseModel):
    """What `POST /reload` answers: what all workers serve now."""

    version: str
    model_version: str
    policy_version: str
    log_level: LogLevel


class Reload:
    """One worker's part. `start` gives the state to begin with, `serves` the `Api` that takes up others."""

    def __init__(self, agreement: Agreement, sources: Sources, within_s: float = WITHIN_S) -> None:
        self._agreement, self._sources, self._within_s = agreement, sources, within_s
        self._one_look = asyncio.Lock()
        self._refused = ""

    def begin(self) -> None:
        """In a server's first process: makes the state that all workers start with, or raises what is wrong with it."""
        self._agreement.begin()
        stamp = self._stamp()
        self._sources.snapshot(self._agreement.snapshot(stamp))
        self._agreement.take(stamp)

    def start(self) -> Live:
        """Takes part from now on, and loads the state that was taken up last."""
        self._note, self._promoted = self._agreement.worker(), self._sources.promotions.worker()
        self._seen = self._agreement.current()
        self._live = live.load(self._agreement.snapshot(self._seen))
        _apply(self._live)
        return self._live

    def serves(self, api: Api) -> None:
        self._api = api
        metrics.show_model(self._live.artifact, self._live.since)
        self._tell()

    async def watch(self) -> None:
        """Runs beside the requests."""
        while True:
            await asyncio.sleep(metrics.FLUSH_EVERY_S)
            try:
                await self.look()
            except Exception:  # a full disk, say: the next look may find room
                log.exception("whether something has changed cannot be told")

    def ask(self) -> None:
        """Has all workers look at everything again, also at a model's files."""
        self._agreement.ask()

    async def reload(self) -> Reloaded:
        """The same, and waits for what comes of it; ReloadRefused where that does not verify."""
        self.ask()
        await self.look()
        if self._refused:
            raise ReloadRefused(f"{self._refused}; the service goes on as before")
        served = self._live.artifact
        return Reloaded(
            version=served.version,
            model_version=served.model_version,
            policy_version=served.policy_version,
            log_level=self._live.log_level,
        )

    async def look(self) -> None:
        """Takes up what has changed since the last look, if all workers do."""
        async with self._one_look:
            while (stamp := self._stamp()) != self._seen:
                self._refused = await self._take(stamp)
                self._seen = stamp

    def close(self) -> None:
        self._note.close()
        self._promoted.close()

    def _stamp(self) -> str:
        text = f"{self._agreement.asked()} {self._sources.stamp()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    async def _take(self, stamp: str) -> str:
        """Takes up a state, or says why nobody does."""
        promoted = self._sources.promotions.stamp()
        try:
            loaded = await asyncio.to_thread(self._load, stamp)
        except Exception as error:  # whatever it is, the state before goes on
            if not isinstance(error, RisklineError | OSError):
                log.exception("what has changed cannot be loaded")
            why = error.message if isinstance(error, RisklineError) else str(error)
            verdict = self._agreement.decide(stamp, Verdict(refused=why))
            if not verdict.refused:
                raise  # the others have it; the next look tries again
        else:
            verdict = await self._agreed(stamp)
        if verdict.refused:
            if verdict.refused != SUPERSEDED:
                log.error("what has changed is refused: %s", verdict.refused)
                metrics.count_promotion("refused")
            self._tell(verdict.refused, promoted)
            return verdict.refused
        await asyncio.sleep(max(0.0, verdict.at - time.monotonic()))
        self._change_over(loaded)
        self._agreement.take(stamp)
        self._tell(stamp=promoted)
        return ""

    def _load(self, stamp: str) -> Live:
        snapshot = self._agreement.snapshot(stamp)
        if not snapshot.exists():
            self._sources.snapshot(snapshot)
        return live.load(snapshot)

    async def _agreed(self, stamp: str) -> Verdict:
        """The verdict on a state that this worker has loaded."""
        self._note.tell(Note(os.getpid(), stamp=stamp))
        deadline = time.monotonic() + self._within_s
        while (verdict := self._agreement.verdict(stamp)) is None:
            waiting = self._agreement.waiting_for(stamp)
            if not waiting:
                return self._agreement.decide(stamp, soon(CHANGE_OVER_IN_S))
            if self._stamp() != stamp:
                return self._agreement.decide(stamp, Verdict(refused=SUPERSEDED))
            if time.monotonic() > deadline:
                pids = ", ".join(str(note.pid) for note in waiting)
                why = f"after {self._within_s:g} s these workers have not loaded it: {pids}"
                return self._agreement.decide(stamp, Verdict(refused=why))
            await asyncio.sleep(POLL_S)
        return verdict

    def _change_over(self, loaded: Live) -> None:
        before, self._live = self._live, loaded
        if loaded.artifact.version != before.artifact.version:
            self._api.serve(loaded.artifact)
            metrics.show_model(loaded.artifact, loaded.since, before.artifact)
            metrics.count_promotion("taken")
            log.info("%s is served in the place of %s", loaded.artifact.version, before.artifact.version)
        _apply(loaded)

    def _tell(self, refused: str = "", stamp: str = "") -> None:
        tag = f"{STORE_NAME}:{self._live.artifact.version}"
        self._promoted.tell(Note(os.getpid(), tag, self._live.fixed, refused, stamp))


def _apply(state: Live) -> None:
    RING.keys = state.keys
    log.setLevel(state.log_level.upper())
