"""Batches that form by themselves: what arrives within one turn of the event loop is scored in one call of the model.

There is no timer and no added wait. An idle service scores a batch of one at once; the more load, the larger the batch,
and the call's fixed cost is shared.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from preprocessing.encode import Row, encode
from serving import metrics
from serving.answers import json_rows
from serving.scorer import Scorer


class Answered(NamedTuple):
    """One row's answer as JSON, and the seconds that its batch spent in each stage."""

    json: str
    seconds: Mapping[str, float]


class Turn:
    """Gathers rows until the event loop has run everything that is ready now."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._waiting: list[tuple[Row, bool, str | None, asyncio.Future[Answered]]] = []

    async def score(self, row: Row, explain: bool, decision_id: str | None = None) -> Answered:
        """Scores one row, under the id that its caller gave or a new one."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._end)
        self._waiting.append((row, explain, decision_id, future))
        return await future

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            started = time.perf_counter()
            batch = encode([row for row, _, _, _ in waiting])
            encoded = time.perf_counter()
            scores = self._scorer.score(
                batch,
                [number for number, (_, asked, _, _) in enumerate(waiting) if asked] or None,
                {number: name for number, (_, _, name, _) in enumerate(waiting) if name},
            )
            answers = json_rows(scores)
            seconds = {"encode": encoded - started, **scores.seconds}
            metrics.count_scores(scores, seconds)
        except Exception as error:  # a bug: everybody who waits is told, and the loop goes on
            for _, _, _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, _, _, future), answer in zip(waiting, answers, strict=True):
            if not future.done():  # its caller may have gone
                future.set_result(Answered(answer, seconds))
