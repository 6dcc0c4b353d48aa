"""The edges' shared part: a request in, its answer out. No server, no framework, so every lane gives the same bytes.

Whatever is wrong with a request becomes an answer here. `?timing=true` adds a Server-Timing header with the stages.
"""

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic_core import to_json

from decisions.log import Log
from decisions.record import Origin
from model.artifact import Artifact
from preprocessing.errors import RisklineError
from serving import metrics, v2
from serving.admission import Admission
from serving.bodies import Body, size_of
from serving.channels import CHANNEL_OF
from serving.cores import cores, give_way
from serving.drift import Drift
from serving.drift_report import DriftReport, report
from serving.drift_watch import DriftWatch
from serving.errors import OVERLOADED, STATUS, ErrorAnswer
from serving.fellows import Fellows
from serving.formats import JSON
from serving.hosting import Hosting
from serving.invocations import CUSTOM_ATTRIBUTES, attributes
from serving.logs import DecisionLog, trace_id
from serving.messages import RETRY_AFTER, Answer, Request, Worked
from serving.realised import Outcomes
from serving.recording import channel_of, counted_channel
from serving.reviewing import REVIEWING
from serving.routes import INVOCATIONS, ONE, Routes, is_short
from serving.served import Served
from serving.settings import Settings
from serving.shadow import Shadow
from serving.telemetry import Telemetry

log = logging.getLogger("riskline")

NOTHING_SAID = Telemetry()
_CALLERS_ID = re.compile(rb"[!-~]{1,128}")


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
        # a pool beside that of the routes: a body waits in its thread for the parts that it is scored in
        self._parts = ThreadPoolExecutor(cores(), thread_name_prefix="part", initializer=give_way)
        self._routes = Routes(settings, self._hosting, log)
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
        return self._routes.most_bytes(path, headers)

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
        self._routes.close()
        self._parts.shutdown()

    async def _worked(self, path: str, request: Request, size: int, request_id: str, started: float) -> Worked:
        try:
            origin = Origin(channel_of(request.headers), request_id, started, trace_id(request.headers))
            return await self._routes.answer(path, request, size, origin, self._served)
        except RisklineError as error:
            return _refused(ErrorAnswer.of(error), path)
        except Exception:
            about = {"request_id": request_id, "trace_id": trace_id(request.headers)}
            log.exception("unexpected error in %s", path, extra={"about": about})
            return _refused(ErrorAnswer("internal_error", "something broke on our side; the log says what"), path)
        finally:
            _close(request.body)


def _close(body: Body) -> None:
    if not isinstance(body, bytes):
        body.close()


def _refused(error: ErrorAnswer, path: str) -> Worked:
    body = v2.error_body(error) if path == v2.INFER else to_json(error)
    return Worked(STATUS[error.error], JSON, body, {}, error.error)


def _server_timing(seconds: Mapping[str, float]) -> bytes:
    return ", ".join(f"{stage};dur={spent * 1000:.3f}" for stage, spent in seconds.items()).encode()
