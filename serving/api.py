"""The edges' shared part: a request in, its answer out. No server, no framework, so every lane gives the same bytes.

Whatever is wrong with a request becomes an answer here. `?timing=true` adds a Server-Timing header with the stages.
"""

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from decisions.errors import Conflict
from decisions.log import Log
from decisions.record import Origin
from model.artifact import Artifact
from preprocessing.decode import decode_application
from preprocessing.encode import Row, encode
from preprocessing.errors import InvalidApplication, RisklineError
from preprocessing.schema import Application
from serving import bulk, channels, metrics, v2
from serving.admission import Admission
from serving.bodies import Body, as_file, size_of
from serving.bulk import Bulk
from serving.channels import CHANNEL_OF
from serving.cores import cores, give_way
from serving.drift import Drift
from serving.drift_report import DriftReport, report
from serving.drift_watch import DriftWatch
from serving.errors import OVERLOADED, STATUS, BodyTooLarge, ErrorAnswer
from serving.explanation import explain
from serving.fellows import Fellows
from serving.formats import JSON, format_accepted, format_of, is_bulk
from serving.hosting import Hosting
from serving.invocations import CUSTOM_ATTRIBUTES, MOST_OF_ONE, Invocations, attributes
from serving.logs import DecisionLog, trace_id
from serving.messages import RETRY_AFTER, Answer, Request, Worked, text
from serving.realised import Outcomes
from serving.recording import channel_of, counted_channel, idempotency_key
from serving.reviewing import OUTCOMES, REVIEW, REVIEWING, Reviewing
from serving.scorer import Score
from serving.served import Served
from serving.settings import Settings
from serving.shadow import Shadow
from serving.telemetry import Telemetry
from serving.turn import Asked

log = logging.getLogger("riskline")

ONE, MANY, EXPLAIN, INVOCATIONS = "/predict", "/predict_batch", "/explain", "/invocations"
ROUTES = frozenset({ONE, MANY, EXPLAIN})

NOTHING_SAID = Telemetry()
SINGLE_BYTES = MOST_OF_ONE  # it is decoded on the event loop
_EXPLAIN = re.compile(rb"(?:^|&)explain=(true|false)(?:&|$)")
_CALLERS_ID = re.compile(rb"[!-~]{1,128}")


class Batch(BaseModel):
    """Many applications in one request; declared here for the contract, decoded by `read_batch`."""

    model_config = ConfigDict(extra="forbid")

    applications: Annotated[list[Application], Field(description="At most RISKLINE_MAX_ROWS of them.")]


class Results(BaseModel):
    """The answer to a batch: for each application, in order, its score or its own error."""

    results: list[Score | ErrorAnswer]


class Api:
    """The scoring routes of one worker, and those of the people who look at its decisions."""

    def __init__(
        self,
        artifact: Artifact,
        settings: Settings,
        hosting: Hosting | None = None,
        log: Log | None = None,
        shadow: Shadow | None = None,
        drift_folder: Path | None = None,
        telemetry: Telemetry = NOTHING_SAID,
        fellows: Fellows | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission(settings.max_wait_ms / 1000)
        self.log, self._shadow, self._telemetry, self._fellows = log, shadow, telemetry, fellows
        self._settings, self._hosting = settings, hosting or Hosting()
        self._most_bytes = settings.most_bytes(bulk=False)
        self._invocations = Invocations(settings, self._hosting)
        self._reviewing = Reviewing(log, settings)
        # two pools: a body waits in its thread for the parts that it is scored in
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="body", initializer=give_way)
        self._parts = ThreadPoolExecutor(cores(), thread_name_prefix="part", initializer=give_way)
        self._bulk = Bulk(settings, self._threads)
        self._inference = v2.Inference(self._bulk, self._threads)
        lines, share = telemetry.lines, settings.log_decisions
        self._decision_log = DecisionLog(lines, share) if lines and share else None
        self._served = self._made(artifact, None if drift_folder is None else Drift(artifact, drift_folder))
        self._outcomes = None if log is None else Outcomes(log.store.path)
        self._drift_watch = DriftWatch(self._outcomes)
        self._request_ids = map("{}-{:x}".format, itertools.repeat(secrets.token_hex(4)), itertools.count(1))

    @property
    def artifact(self) -> Artifact:
        """The model that new requests are answered with."""
        return self._served.artifact

    @property
    def is_ready(self) -> bool:
        """Whether half of the workers live, and more can be recorded; the model has proved itself before."""
        return self.has_fellows and (self.log is None or not self.log.is_full)

    @property
    def has_fellows(self) -> bool:
        """Whether half of the workers live, this one among them."""
        return self._fellows is None or self._fellows.are_enough

    def serve(self, artifact: Artifact) -> None:
        """Answers every request that begins from now on with this model; safe to call from any thread."""
        drift = self._served.drift
        self._served = self._made(artifact, drift and drift.for_model(artifact))

    def drift(self) -> DriftReport | None:
        """How what all workers have scored with this model differs from its training; None where nobody counts."""
        return report(self._served.drift, self._outcomes) if self._served.drift else None

    def _made(self, artifact: Artifact, drift: Drift | None) -> Served:
        return Served(artifact, self._settings, self.log, self._parts, self._shadow, drift, self._decision_log)

    def beside(self, artifact: Artifact) -> "Api":
        """An Api for another model in the same worker, with the same settings and log."""
        return Api(
            artifact, self._settings, self._hosting, self.log, telemetry=self._telemetry, admission=self._admission
        )

    def most_bytes(self, path: str, headers: Mapping[bytes, bytes]) -> tuple[int, str]:
        """The limit of a request's body, and the setting that it comes from."""
        if path == INVOCATIONS:
            return self._invocations.most_bytes()
        if path in CHANNEL_OF:
            return channels.most_bytes(path)
        if path == v2.INFER:
            return self._most_bytes
        if path not in (MANY, OUTCOMES):
            return SINGLE_BYTES, "one review" if path == REVIEW else "one application"
        return self._settings.most_bytes(bulk=is_bulk(headers.get(b"content-type", b"")))

    async def answer(self, path: str, request: Request) -> Answer:
        """Answers a request to a route of `ROUTES`, `REVIEWING` or `CHANNEL_OF`, /invocations or `INFER`, whatever is
        wrong."""
        started = time.perf_counter()
        size, request_id = size_of(request.body), self.request_id(request.headers)
        short = path == ONE or is_short(path, request.headers)
        if short and not self._admission.enter(started):
            _close(request.body)
            await self._admission.refuse()
            return self._finished(path, request, _refused(OVERLOADED, path), size, request_id, time.perf_counter())
        metrics.IN_PROGRESS.value += 1
        try:
            worked = await self._worked(path, request, size, request_id, started)
        finally:
            metrics.IN_PROGRESS.value -= 1
            if short:
                self._admission.leave()
        return self._finished(path, request, worked, size, request_id, started)

    def too_late(self, path: str, headers: Mapping[bytes, bytes]) -> Answer:
        """The answer to a request that was not whole, or not answered, in time."""
        error = ErrorAnswer("timeout", "the request was not whole, or not answered, within RISKLINE_TIMEOUT_S")
        started = time.perf_counter() - self._settings.timeout_s
        request = Request(headers, b"", b"")
        return self._finished(path, request, _refused(error, path), 0, self.request_id(headers), started)

    def _finished(
        self, path: str, request: Request, worked: Worked, size: int, request_id: str, started: float
    ) -> Answer:
        """Gives an answer its headers, and counts it."""
        headers = [
            (b"content-type", worked.media_type.encode()),
            (b"content-length", b"%d" % size_of(worked.body)),
            (b"x-request-id", request_id.encode()),
            *worked.headers,
        ]
        if worked.status == 204:
            headers = headers[-1:]
        if worked.error == OVERLOADED.error:
            headers.append(RETRY_AFTER)
        if path in REVIEWING:
            headers.append((b"cache-control", b"no-store"))  # applicants' data
        if path == INVOCATIONS and (returned := attributes(request.headers)) is not None:
            headers.append((CUSTOM_ATTRIBUTES, returned))
        if request.query and b"timing=true" in request.query.split(b"&"):
            headers.append((b"server-timing", _server_timing(worked.seconds)))
        answer = Answer(worked.status, headers, worked.body, worked.error)
        spent = time.perf_counter() - started
        self.count(path, answer, spent, size, request_id, request.headers)
        if self._telemetry.traces:
            self._telemetry.traces.add(
                path, answer.status, answer.error, spent, worked.seconds, request_id, request.headers
            )
        return answer

    def request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """The caller's, if it can be one, else a new one."""
        sent = headers.get(b"x-request-id")
        return sent.decode() if sent is not None and _CALLERS_ID.fullmatch(sent) else next(self._request_ids)

    def count(
        self, route: str, answer: Answer, seconds: float, size: int, request_id: str, headers: Mapping[bytes, bytes]
    ) -> None:
        """Counts a request with a body of `size` bytes, and logs it where that is asked for."""
        channel = CHANNEL_OF.get(route) or counted_channel(headers)
        metrics.count_request(route, answer.status, seconds, channel, answer.error)
        if self._settings.access_log and self._telemetry.lines:
            self._telemetry.lines.add(
                "request",
                route=route,
                status=answer.status,
                seconds=round(seconds, 6),
                bytes_in=size,
                request_id=request_id,
                trace_id=trace_id(headers),
            )

    async def housekeeping(self) -> None:
        """Runs beside the requests: hands on, a few times a second, what they have gathered."""
        looked = -metrics.LOOK_EVERY_S
        while True:
            await asyncio.sleep(metrics.FLUSH_EVERY_S)
            self._admission.look(time.perf_counter())
            try:
                metrics.show_ready(self.is_ready)
                if self.log:
                    metrics.look_at(self.log)
                if (now := time.monotonic()) > looked + metrics.LOOK_EVERY_S:
                    looked = now
                    metrics.look_at_process()
                metrics.flush()
                await self._drift_watch.look(self._served.drift)
                if self._telemetry.cloudwatch:
                    await self._telemetry.cloudwatch.look()
            except Exception:  # a full disk, say: the next round may find room
                log.exception("counts could not be handed on")

    def close(self) -> None:
        """Hands on the rest and ends the threads; log, shadow and telemetry are whose they were before."""
        metrics.flush()
        if self._served.drift:
            self._served.drift.gather()
        self._threads.shutdown()
        self._parts.shutdown()
        self._reviewing.close()

    async def _worked(self, path: str, request: Request, size: int, request_id: str, started: float) -> Worked:
        try:
            most_bytes, setting = self.most_bytes(path, request.headers)
            if size > most_bytes:
                limit = round(most_bytes / 2**20, 3)
                raise BodyTooLarge(f"the body is larger than the limit of {limit:g} MiB ({setting})")
            if path in REVIEWING:
                return await self._reviewing.answer(path, request)
            origin = Origin(channel_of(request.headers), request_id, started, trace_id(request.headers))
            key = idempotency_key(request.headers)
            if path in CHANNEL_OF:
                return await self._collect(request, origin._replace(channel=CHANNEL_OF[path]), key)
            if path == ONE:
                return await self._predict(request, origin, self._explains(request), key)
            if path == INVOCATIONS:
                return await self._invoke(request, origin, size, key)
            if path == v2.INFER:
                return await self._inference.answer(request, origin, self._explains(request), key, self._served)
            if path == MANY:
                return await self._predict_batch(request, origin, key)
            return await self._explain(request, origin, key)
        except RisklineError as error:
            return _refused(ErrorAnswer.of(error), path)
        except Exception:
            about = {"request_id": request_id, "trace_id": trace_id(request.headers)}
            log.exception("unexpected error in %s", path, extra={"about": about})
            return _refused(ErrorAnswer("internal_error", "something broke on our side; the log says what"), path)
        finally:
            _close(request.body)

    async def _invoke(self, request: Request, origin: Origin, size: int, key: str | None) -> Worked:
        if not size:
            return Worked(204, "", b"", {})
        origin, unsure = channels.collected_before(request.headers, origin)
        asked = self._invocations.asked(request.headers, request.body, size)
        explain = self._explains(request) if asked.explain is None else asked.explain
        decision_id = asked.decision_id or key
        if asked.formats is None:
            return await self._predict(request, origin, explain, decision_id, unsure)
        many = bulk.Asked(request.body, *asked.formats, explain, origin, decision_id)
        worked = await self._bulk.answer(self._served, many)
        self._invocations.check_answer(worked.body)
        return worked

    async def _collect(self, request: Request, origin: Origin, key: str | None) -> Worked:
        explain, least = self._explains(request), self._settings.low_confidence
        return await channels.collect(request, origin, explain, key, least, self._served.turn, self._threads)

    async def _predict(
        self, request: Request, origin: Origin, explain: bool, decision_id: str | None, unsure: Sequence[str] = ()
    ) -> Worked:
        started = time.perf_counter()
        row = _application(request)
        decoded = time.perf_counter()
        answered = await self._served.turn.score(Asked(row, explain, origin, decoded, decision_id, unsure))
        error = "" if answered.refused is None else answered.refused.code
        seconds = {"decode": decoded - started, **answered.seconds}
        return Worked(STATUS[error] if error else 200, JSON, answered.json.encode(), seconds, error)

    async def _explain(self, request: Request, origin: Origin, decision_id: str | None) -> Worked:
        started = time.perf_counter()
        served, row = self._served, _application(request)
        decoded = time.perf_counter()
        if isinstance(row, InvalidApplication):
            metrics.count_scores(served.single.score(encode([row])), {})
            return _refused(ErrorAnswer.of(row))
        loop = asyncio.get_running_loop()
        batch = encode([row])
        explanation, scores = await loop.run_in_executor(self._threads, explain, served.single, row, batch, decision_id)
        seconds = {"decode": decoded - started, **scores.seconds}
        metrics.count_scores(scores, seconds)
        if served.drift:
            served.drift.take(batch, scores, [origin])
        if served.recorder:
            recorded = await asyncio.wrap_future(served.recorder.record(scores, batch, [origin]))
            if recorded.refused:
                return _refused(ErrorAnswer.of(recorded.refused[0]))
            explained_by = (explanation.model_version, explanation.policy_version)
            if recorded.stood and (recorded.stood[0].model_version, recorded.stood[0].policy_version) != explained_by:
                raise Conflict(
                    "this id stands for a decision of another model or policy, which can no longer be explained here"
                )
            scores, seconds = recorded, {**seconds, **recorded.seconds}
        if served.decision_log:
            served.decision_log.add(scores, [origin])
        return Worked(200, JSON, to_json(explanation), seconds)

    async def _predict_batch(self, request: Request, origin: Origin, key: str | None) -> Worked:
        sent = format_of(text(request.headers.get(b"content-type")))
        wanted = format_accepted(text(request.headers.get(b"accept")), sent)
        many = bulk.Asked(request.body, sent, wanted, self._explains(request), origin, key)
        return await self._bulk.answer(self._served, many)

    def _explains(self, request: Request) -> bool:
        """Whether the answer gets reasons: as the query says, else as the setting does."""
        if request.query and (asked := _EXPLAIN.search(request.query)):
            return asked[1] == b"true"
        return self._settings.explain


def _application(request: Request) -> Row:
    """The one application that the body is."""
    content_type = request.headers.get(b"content-type")
    if content_type != b"application/json":
        format_of(text(content_type), (JSON,))
    [row] = decode_application(request.body if isinstance(request.body, bytes) else as_file(request.body).read())
    return row


def is_short(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is scored within a turn of the event loop; others take a thread for as long as they need."""
    if path == v2.INFER:
        return v2.is_short(headers)
    if path in CHANNEL_OF:
        return path != channels.MAIL
    return path == ONE or (path in (MANY, INVOCATIONS) and not bulk.takes_long(headers))


def _close(body: Body) -> None:
    if not isinstance(body, bytes):
        body.close()


def _refused(error: ErrorAnswer, path: str = "") -> Worked:
    body = v2.error_body(error) if path == v2.INFER else to_json(error)
    return Worked(STATUS[error.error], JSON, body, {}, error.error)


def _server_timing(seconds: Mapping[str, float]) -> bytes:
    return ", ".join(f"{stage};dur={spent * 1000:.3f}" for stage, spent in seconds.items()).encode()
