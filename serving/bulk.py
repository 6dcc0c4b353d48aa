"""Bodies of many applications: read, scored, recorded and written block by block, so that none is held whole.

Large ones have a thread of their own and answer once the last of their decisions is on disk.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from threading import Event
from typing import NamedTuple

from decisions.record import Origin
from preprocessing.encode import Batch
from preprocessing.errors import BatchTooLarge
from serving import metrics
from serving.bodies import Body, as_file, new_file, whole
from serving.formats import JSON, Format, is_bulk
from serving.invocations import ONE as ONE_APPLICATION
from serving.logs import DecisionLog
from serving.messages import Worked
from serving.recording import Recorder
from serving.scorer import Scores
from serving.served import Served
from serving.settings import Settings

INLINE_BYTES = 32 * 1024  # so much JSON is scored before a thread would have started on it
MOST_BEING_RECORDED = 4  # blocks of one body; then it waits, so that the others' decisions get their turn

_Recording = deque["Future[Scores]"]  # blocks on their way to the disk


class GivenUp(Exception):
    """It took too long, and its caller has been told so."""


class Asked(NamedTuple):
    """A body and what its caller wants. Rows are named `key`-1, `key`-2, … where there is a `key`, and a body that is
    one application is named `key` itself."""

    body: Body
    sent: Format
    wanted: Format
    explain: bool
    origin: Origin
    key: str | None


class Bulk:
    """Answers bodies of many applications under the settings' limits; `threads` do what takes long."""

    def __init__(self, settings: Settings, threads: Executor) -> None:
        self._settings, self._threads = settings, threads

    async def answer(self, served: Served, asked: Asked) -> Worked:
        """Small bodies are scored at once, unless they may have been before: looking that up takes a thread."""
        if _is_little(asked) and (asked.key is None or served.recorder is None):
            worked, recording = self._answered(served, asked, Event())
        else:
            loop, given_up = asyncio.get_running_loop(), Event()
            try:
                worked, recording = await loop.run_in_executor(self._threads, self._answered, served, asked, given_up)
            except asyncio.CancelledError:
                given_up.set()
                raise
        if not recording:
            return worked
        started = time.perf_counter()
        try:
            await asyncio.gather(*map(asyncio.wrap_future, recording))
        except BaseException:
            if not isinstance(worked.body, bytes):
                worked.body.close()
            raise
        return worked._replace(seconds={**worked.seconds, "record": time.perf_counter() - started})

    def _answered(self, served: Served, asked: Asked, given_up: Event) -> tuple[Worked, _Recording]:
        """The answer, which may leave once what is still being recorded is."""
        seconds: dict[str, float] = {}
        recording: _Recording = deque()
        answer = new_file()
        try:
            scored = self._scored(served, asked, seconds, given_up)
            answers = _recorded(served.recorder, scored, asked, recording) if served.recorder else _scores(scored)
            if served.decision_log:
                answers = _logged(served.decision_log, answers, asked)
            asked.wanted.write(answers, answer, asked.explain)
        except BaseException:
            answer.close()
            raise
        return Worked(200, asked.wanted.media_type, whole(answer), seconds), recording

    def _scored(
        self, served: Served, asked: Asked, seconds: dict[str, float], given_up: Event
    ) -> Iterator[tuple[Batch, Scores]]:
        """Block by block; the time that each stage took is added to `seconds`.

        A few bytes may be millions of rows: once nobody waits for the answer any more, no further block is read.
        """
        is_one = asked.sent is ONE_APPLICATION
        most_rows, setting = self._settings.most_rows(bulk=asked.sent.media_type != JSON)
        rows = 0
        batches = asked.sent.read(as_file(asked.body), most_rows)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            if given_up.is_set():
                raise GivenUp
            places = range(len(batch.matrix))
            rows += len(places)
            if rows > most_rows:
                raise BatchTooLarge.of(rows, most_rows, setting)
            first = rows - len(places) + 1
            named = (
                {} if asked.key is None else {n: asked.key if is_one else f"{asked.key}-{first + n}" for n in places}
            )
            scores = served.bulk.score(batch, places if asked.explain else None, named)
            spent = {"decode": time.perf_counter() - started - sum(scores.seconds.values()), **scores.seconds}
            for stage, more in spent.items():
                seconds[stage] = seconds.get(stage, 0.0) + more
            metrics.count_scores(scores, spent)
            if served.drift:
                served.drift.take(batch, scores, [asked.origin] * len(scores))
            if is_one and scores.refused:
                raise scores.refused[0]
            yield batch, scores


def _recorded(
    recorder: Recorder, scored: Iterator[tuple[Batch, Scores]], asked: Asked, recording: _Recording
) -> Iterator[Scores]:
    """Hands each block to the log and goes on; only those with a caller's ids must be waited for, since what stands
    already is known then."""
    for batch, scores in scored:
        if not _is_little(asked):
            recorder.wait_for_room()
        recorded = recorder.record(scores, batch, [asked.origin] * len(scores))
        if asked.key is not None:
            given = recorded.result()
            if asked.sent is ONE_APPLICATION and given.refused:
                raise given.refused[0]
            yield given
            continue
        recording.append(recorded)
        yield scores
        if len(recording) > MOST_BEING_RECORDED:
            recording.popleft().result()


def _logged(decision_log: DecisionLog, answers: Iterator[Scores], asked: Asked) -> Iterator[Scores]:
    for scores in answers:
        decision_log.add(scores, [asked.origin] * len(scores))
        yield scores


def _scores(scored: Iterator[tuple[Batch, Scores]]) -> Iterator[Scores]:
    for _, scores in scored:
        yield scores


def takes_long(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body of many applications is one for a thread, by what its headers say."""
    length = headers.get(b"content-length", b"")
    return is_bulk(headers.get(b"content-type", b"")) or not length.isdigit() or int(length) > INLINE_BYTES


def _is_little(asked: Asked) -> bool:
    """Whether scoring it takes no longer than starting a thread: few bytes, and not all of them tiny rows."""
    return (
        asked.sent.media_type == JSON
        and isinstance(asked.body, bytes)
        and len(asked.body) <= INLINE_BYTES
        and asked.body.count(b",") <= INLINE_BYTES // 10
    )
