"""The edges' shared part: a request in, its answer out. No server, no framework, so every lane gives the same bytes.

Whatever is wrong with a request becomes an answer here. `?timing=true` adds a Server-Timing header with the stages.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field
from pydantic_core import to_json

from model.artifact import Artifact
from preprocessing.decode import decode_application
from preprocessing.encode import Row, encode
from preprocessing.errors import BatchTooLarge, InvalidApplication, RisklineError
from preprocessing.schema import Application
from serving import metrics
from serving.access import AccessLog
from serving.bodies import Body, as_file, new_file, size_of, whole
from serving.cores import cores
from serving.errors import STATUS, BodyTooLarge, ErrorAnswer
from serving.explanation import explain
from serving.formats import JSON, Format, format_accepted, format_of, is_bulk
from serving.hosting import Hosting
from serving.invocations import CUSTOM_ATTRIBUTES, MOST_OF_ONE, Invocations, attributes
from serving.invocations import ONE as ONE_APPLICATION
from serving.messages import Answer, Request, text
from serving.scorer import Score, Scorer, Scores
from serving.settings import Settings
from serving.turn import Turn

log = logging.getLogger("riskline")

ONE, MANY, EXPLAIN, INVOCATIONS = "/predict", "/predict_batch", "/explain", "/invocations"
ROUTES = frozenset({ONE, MANY, EXPLAIN})

SINGLE_BYTES = MOST_OF_ONE  # it is decoded on the event loop
INLINE_BYTES = 32 * 1024  # so much JSON is scored before a thread would have started on it
_EXPLAIN = re.compile(rb"(?:^|&)explain=(true|false)(?:&|$)")
_CALLERS_ID = re.compile(rb"[!-~]{1,128}")


class Batch(BaseModel):
    """Many applications in one request; declared here for the contract, decoded by `read_batch`."""

    applications: Annotated[list[Application], Field(description="At most RISKLINE_MAX_ROWS of them.")]


class Results(BaseModel):
    """The answer to a batch: for each application, in order, its score or its own error."""

    results: list[Score | ErrorAnswer]


class Worked(NamedTuple):
    """What a route has made of a request, before it gets its headers."""

    status: int
    media_type: str
    body: Body
    seconds: Mapping[str, float]


class Api:
    """The scoring routes of one worker."""

    def __init__(self, artifact: Artifact, settings: Settings, hosting: Hosting | None = None) -> None:
        self.artifact = artifact
        self._settings, self._hosting = settings, hosting or Hosting()
        self._invocations = Invocations(settings, self._hosting)
        self._single = Scorer(artifact, against=settings.reasons_against)
        self._turn = Turn(self._single)
        # two pools: a body waits in its thread for the parts that it is scored in
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="body", initializer=_give_way)
        self._parts = ThreadPoolExecutor(cores(), thread_name_prefix="part", initializer=_give_way)
        self._bulk = Scorer(artifact, self._parts, cores(), settings.reasons_against)
        self._access_log = AccessLog() if settings.access_log else None
        self._request_ids = map("{}-{:x}".format, itertools.repeat(secrets.token_hex(4)), itertools.count(1))

    def beside(self, artifact: Artifact) -> "Api":
        """An Api for another model in the same worker, with the same settings and access log."""
        other = Api(artifact, self._settings, self._hosting)
        other._access_log = self._access_log
        return other

    def most_bytes(self, path: str, headers: Mapping[bytes, bytes]) -> tuple[int, str]:
        """The limit of a request's body, and the setting that it comes from."""
        if path == INVOCATIONS:
            return self._invocations.most_bytes()
        if path != MANY:
            return SINGLE_BYTES, "one application"
        return self._settings.most_bytes(bulk=is_bulk(headers.get(b"content-type", b"")))

    async def answer(self, path: str, request: Request) -> Answer:
        """Answers a request to one of `ROUTES`, or to /invocations, whatever is wrong with it."""
        started = time.perf_counter()
        size = size_of(request.body)
        return self._finished(path, request, await self._worked(path, request, size), size, started)

    def too_late(self, path: str, headers: Mapping[bytes, bytes]) -> Answer:
        """The answer to a request that was not whole, or not answered, in time."""
        error = ErrorAnswer("timeout", "the request was not whole, or not answered, within RISKLINE_TIMEOUT_S")
        started = time.perf_counter() - self._settings.timeout_s
        return self._finished(path, Request(headers, b"", b""), _refused(error), 0, started)

    def _finished(self, path: str, request: Request, worked: Worked, size: int, started: float) -> Answer:
        """Gives an answer its headers, and counts it."""
        request_id = self.request_id(request.headers)
        headers = [
            (b"content-type", worked.media_type.encode()),
            (b"content-length", b"%d" % size_of(worked.body)),
            (b"x-request-id", request_id),
        ]
        if worked.status == 204:
            headers = [(b"x-request-id", request_id)]
        if path == INVOCATIONS and (returned := attributes(request.headers)) is not None:
            headers.append((CUSTOM_ATTRIBUTES, returned))
        if request.query and b"timing=true" in request.query.split(b"&"):
            headers.append((b"server-timing", _server_timing(worked.seconds)))
        self.count(path, worked.status, time.perf_counter() - started, size, request_id, request.headers)
        return Answer(worked.status, headers, worked.body)

    def request_id(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The caller's, or a new one."""
        sent = headers.get(b"x-request-id")
        return sent if sent is not None and _CALLERS_ID.fullmatch(sent) else next(self._request_ids).encode()

    def count(
        self, route: str, status: int, seconds: float, size: int, request_id: bytes, headers: Mapping[bytes, bytes]
    ) -> None:
        """Counts a request with a body of `size` bytes, and logs it where that is asked for."""
        metrics.count_request(route, status, seconds)
        if self._access_log:
            self._access_log.add(route, status, seconds, size, request_id.decode(), text(headers.get(b"traceparent")))

    async def housekeeping(self) -> None:
        """Runs beside the requests: hands on, a few times a second, what they have gathered."""
        while True:
            await asyncio.sleep(metrics.FLUSH_EVERY_S)
            try:
                metrics.flush()
                if self._access_log:
                    await asyncio.to_thread(self._access_log.write, self._access_log.take())
            except Exception:  # a full disk, say: the next round may find room
                log.exception("counts or access log could not be handed on")

    def close(self) -> None:
        """Hands on the rest and ends the threads."""
        metrics.flush()
        if self._access_log:
            self._access_log.write(self._access_log.take())
        self._threads.shutdown()
        self._parts.shutdown()

    async def _worked(self, path: str, request: Request, size: int) -> Worked:
        try:
            most_bytes, setting = self.most_bytes(path, request.headers)
            if size > most_bytes:
                limit = round(most_bytes / 2**20, 3)
                raise BodyTooLarge(f"the body is larger than the limit of {limit:g} MiB ({setting})")
            if path == ONE:
                return await self._predict(request, self._explains(request))
            if path == INVOCATIONS:
                return await self._invoke(request, size)
            return await (self._predict_batch(request) if path == MANY else self._explain(request))
        except RisklineError as error:
            return _refused(ErrorAnswer.of(error))
        except Exception:
            log.exception("unexpected error in %s, traceparent %s", path, text(request.headers.get(b"traceparent")))
            return _refused(ErrorAnswer("internal_error", "something broke on our side; the log says what"))
        finally:
            if not isinstance(request.body, bytes):
                request.body.close()

    async def _invoke(self, request: Request, size: int) -> Worked:
        if not size:
            return Worked(204, "", b"", {})
        asked = self._invocations.asked(request.headers, request.body, size)
        explain = self._explains(request) if asked.explain is None else asked.explain
        if asked.formats is None:
            return await self._predict(request, explain, asked.decision_id)
        worked = await self._score_batch(request, *asked.formats, explain, asked.decision_id)
        self._invocations.check_answer(worked.body)
        return worked

    async def _predict(self, request: Request, explain: bool, decision_id: str | None = None) -> Worked:
        started = time.perf_counter()
        row = _application(request)
        decoded = time.perf_counter()
        answered = await self._turn.score(row, explain, decision_id)
        status = STATUS[row.code] if isinstance(row, InvalidApplication) else 200
        return Worked(status, JSON, answered.json.encode(), {"decode": decoded - started, **answered.seconds})

    async def _explain(self, request: Request) -> Worked:
        started = time.perf_counter()
        row = _application(request)
        decoded = time.perf_counter()
        if isinstance(row, InvalidApplication):
            metrics.count_scores(self._single.score(encode([row])), {})
            return _refused(ErrorAnswer.of(row))
        loop = asyncio.get_running_loop()
        explanation, scores = await loop.run_in_executor(self._threads, explain, self._single, row)
        seconds = {"decode": decoded - started, **scores.seconds}
        metrics.count_scores(scores, seconds)
        return Worked(200, JSON, to_json(explanation), seconds)

    async def _predict_batch(self, request: Request) -> Worked:
        sent = format_of(text(request.headers.get(b"content-type")))
        wanted = format_accepted(text(request.headers.get(b"accept")), sent)
        return await self._score_batch(request, sent, wanted, self._explains(request))

    async def _score_batch(
        self, request: Request, sent: Format, wanted: Format, explain: bool, batch_id: str | None = None
    ) -> Worked:
        if sent.media_type == JSON and isinstance(request.body, bytes) and _is_little(request.body):
            return self._score_all(request, sent, wanted, explain, batch_id)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._score_all, request, sent, wanted, explain, batch_id)

    def _explains(self, request: Request) -> bool:
        """Whether the answer gets reasons: as the query says, else as the setting does."""
        if request.query and (asked := _EXPLAIN.search(request.query)):
            return asked[1] == b"true"
        return self._settings.explain

    def _score_all(self, request: Request, sent: Format, wanted: Format, explain: bool, batch_id: str | None) -> Worked:
        """Runs in a thread for all but small bodies: reads, scores and writes block by block."""
        seconds: dict[str, float] = {}
        answer = new_file()
        try:
            wanted.write(self._scored(sent, request.body, explain, batch_id, seconds), answer, explain)
        except BaseException:
            answer.close()
            raise
        return Worked(200, wanted.media_type, whole(answer), seconds)

    def _scored(
        self, sent: Format, body: Body, explain: bool, batch_id: str | None, seconds: dict[str, float]
    ) -> Iterator[Scores]:
        most_rows, setting = self._settings.most_rows(bulk=sent.media_type != JSON)
        rows = 0
        batches = sent.read(as_file(body), most_rows)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            rows += len(batch.matrix)
            if rows > most_rows:
                raise BatchTooLarge.of(rows, most_rows, setting)
            places = range(len(batch.matrix))
            named = {}
            if batch_id is not None:  # rows are counted from 1; an application that is no batch has the id as it is
                first = rows - len(places) + 1
                named = {n: batch_id if sent is ONE_APPLICATION else f"{batch_id}-{first + n}" for n in places}
            scores = self._bulk.score(batch, places if explain else None, named)
            spent = {"decode": time.perf_counter() - started - sum(scores.seconds.values()), **scores.seconds}
            for stage, more in spent.items():
                seconds[stage] = seconds.get(stage, 0.0) + more
            metrics.count_scores(scores, spent)
            if sent is ONE_APPLICATION and scores.refused:
                raise scores.refused[0]
            yield scores


def _application(request: Request) -> Row:
    """The one application that the body is."""
    content_type = request.headers.get(b"content-type")
    if content_type != b"application/json":
        format_of(text(content_type), (JSON,))
    [row] = decode_application(request.body if isinstance(request.body, bytes) else as_file(request.body).read())
    return row


def _is_little(body: bytes) -> bool:
    """Whether scoring it takes no longer than starting a thread: few bytes, and not all of them tiny rows."""
    return len(body) <= INLINE_BYTES and body.count(b",") <= INLINE_BYTES // 10


def _refused(error: ErrorAnswer) -> Worked:
    return Worked(STATUS[error.error], JSON, to_json(error), {})


def _server_timing(seconds: Mapping[str, float]) -> bytes:
    return ", ".join(f"{stage};dur={spent * 1000:.3f}" for stage, spent in seconds.items()).encode()


def _give_way() -> None:
    """Lets a bulk thread wait wherever single requests want the core; on Linux a thread has a niceness of its own."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
