"""Takes up a promoted model while the service runs: looks a few times a second whether there is one.

The model is read and verified in a thread while requests go on with the one before. It is then put in its place by one
assignment (serving/served.py). One that does not verify is refused, and the one before goes on.
"""

import asyncio
import logging
import os

from model.artifact import open_artifact
from model.promotion import Note, Promotions, Worker
from model.storage import STORE_NAME, saved
from preprocessing.errors import RisklineError
from serving import metrics
from serving.api import Api

log = logging.getLogger("riskline")


class Switch:
    """`note` is this worker's, `stamp` that of the newest promotion when its model was loaded; a `fixed` one stays."""

    def __init__(self, api: Api, promotions: Promotions, note: Worker, stamp: str, fixed: str) -> None:
        self._api, self._promotions, self._note = api, promotions, note
        self._seen, self._fixed = stamp, fixed
        self._tell()

    async def watch(self) -> None:
        """Runs beside the requests."""
        while not self._fixed:
            await asyncio.sleep(metrics.FLUSH_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Takes up the promoted model if it is another one than at the last look."""
        try:
            if (stamp := self._promotions.stamp()) != self._seen:
                self._seen = stamp
                await asyncio.to_thread(self._take)
        except Exception as error:  # whatever it is, the model before goes on
            message = error.message if isinstance(error, RisklineError) else type(error).__name__
            log.error("a promoted model is refused: %s", message, exc_info=not isinstance(error, RisklineError))
            metrics.count_promotion("refused")
            self._tell(message)

    def close(self) -> None:
        self._note.close()

    def _take(self) -> None:
        before = self._api.artifact
        tag = self._promotions.model()
        if tag != f"{STORE_NAME}:{before.version}":
            artifact = open_artifact(tag)  # verified: the golden rows have been scored right
            since = saved(tag)
            self._api.serve(artifact)
            metrics.show_model(artifact, since, before)
            metrics.count_promotion("taken")
            log.info("%s is served in the place of %s", tag, before.version)
        self._tell()

    def _tell(self, refused: str = "") -> None:
        tag = f"{STORE_NAME}:{self._api.artifact.version}"
        self._note.tell(Note(os.getpid(), tag, self._fixed, refused, self._seen))
