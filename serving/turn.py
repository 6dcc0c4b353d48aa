"""Batches that form by themselves: what arrives within one turn of the event loop is scored in one call of the model.

There is no timer. An idle service scores a batch of one at once. Where several wait already, the loop looks once more
at its sockets, and again as long as that finds more: what came while they were decoded joins them. So the more
load, the larger the batch, and the call's fixed cost is shared.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

from decisions.record import Origin
from preprocessing.encode import Row, encode
from preprocessing.errors import RisklineError
from serving import metrics
from serving.answers import json_rows
from serving.drift import Drift
from serving.logs import DecisionLog
from serving.recording import Recorder
from serving.scorer import Scorer, Scores


class Asked(NamedTuple):
    """One application and what its caller wants to be done with it; `decoded` is perf_counter's, when it was read."""

    row: Row
    explain: bool
    origin: Origin
    decoded: float
    decision_id: str | None = None  # that its caller gave
    unsure: Sequence[str] = ()  # the fields whose values were read with little confidence


class Answered(NamedTuple):
    """One row's answer as JSON, what refused it if anything did, the seconds that its batch spent in each stage, and
    the batch's scores, in which it is `row`."""

    json: str
    refused: RisklineError | None
    seconds: Mapping[str, float]
    scores: Scores
    row: int


ENOUGH = 64  # rows; more share the fixed cost no better, and those that wait should be answered
_Waiting = list[tuple[Asked, "asyncio.Future[Answered]"]]


class Turn:
    """Gathers rows until the event loop has run everything that is ready now."""

    def __init__(
        self,
        scorer: Scorer,
        recorder: Recorder | None = None,
        drift: Drift | None = None,
        decision_log: DecisionLog | None = None,
    ) -> None:
        self._scorer, self._recorder, self._drift, self._decision_log = scorer, recorder, drift, decision_log
        self._seen = 0  # how many waited at the last look
        self._waiting: _Waiting = []

    async def score(self, asked: Asked) -> Answered:
        """Scores one row; with a recorder, it is recorded when this returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._look)
        self._waiting.append((asked, future))
        return await future

    def _look(self) -> None:
        if max(1, self._seen) < len(self._waiting) < ENOUGH:
            self._seen = len(self._waiting)
            asyncio.get_running_loop().call_soon(self._look)
        else:
            self._seen = 0
            self._end()

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        # an id that a caller gave is looked for in the store, which may be slow or away: the others need not wait
        named = [one for one in waiting if one[0].decision_id] if self._recorder else []
        others = [one for one in waiting if not one[0].decision_id] if named else waiting
        for some in (others, named):
            if some:
                self._score(some)

    def _score(self, waiting: _Waiting) -> None:
        try:
            started = time.perf_counter()
            batch = encode([asked.row for asked, _ in waiting])
            if unsure := {number: asked.unsure for number, (asked, _) in enumerate(waiting) if asked.unsure}:
                batch = replace(batch, unsure=unsure)
            encoded = time.perf_counter()
            scores = self._scorer.score(
                batch,
                [number for number, (asked, _) in enumerate(waiting) if asked.explain] or None,
                {number: asked.decision_id for number, (asked, _) in enumerate(waiting) if asked.decision_id},
            )
            seconds = {"encode": encoded - started, **scores.seconds}
            metrics.count_scores(scores, seconds, [started - asked.decoded for asked, _ in waiting])
            origins = [asked.origin for asked, _ in waiting]
            if self._drift:
                self._drift.take(batch, scores, origins)
            if self._recorder is None:
                self._answer(waiting, scores, seconds)
            else:
                recorded = self._recorder.record(scores, batch, origins)
                loop = asyncio.get_running_loop()
                recorded.add_done_callback(
                    lambda recorded: loop.call_soon_threadsafe(self._answer_recorded, waiting, recorded, seconds)
                )
        except Exception as error:  # refused by the log, or a bug: everybody who waits is told, and the loop goes on
            _tell(waiting, error)

    def _answer_recorded(self, waiting: _Waiting, recorded: "Future[Scores]", seconds: Mapping[str, float]) -> None:
        try:
            scores = recorded.result()
            self._answer(waiting, scores, {**seconds, **scores.seconds})
        except Exception as error:  # refused by the log, or a bug: whoever waits must hear of it
            _tell(waiting, error)

    def _answer(self, waiting: _Waiting, scores: Scores, seconds: Mapping[str, float]) -> None:
        for row, ((_, future), answer) in enumerate(zip(waiting, json_rows(scores), strict=True)):
            if not future.done():  # its caller may have gone
                future.set_result(Answered(answer, scores.refused.get(row), seconds, scores, row))
        if self._decision_log:
            self._decision_log.add(scores, [asked.origin for asked, _ in waiting])


def _tell(waiting: _Waiting, error: BaseException) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
