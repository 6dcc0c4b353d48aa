"""What each scoring route does with its request: from the body to the answer's, one method a route.

What is wrong with a request is raised, as an error of the closed set; serving/api.py makes an answer of it.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from decisions.errors import Conflict
from decisions.log import Log
from decisions.record import Origin
from preprocessing.decode import decode_application
from preprocessing.encode import Row, encode
from preprocessing.errors import InvalidApplication, Problem
from preprocessing.schema import Application
from serving import bulk, channels, metrics, v2
from serving.bodies import as_file
from serving.bulk import Bulk
from serving.channels import CHANNEL_OF
from serving.cores import cores, give_way
from serving.errors import STATUS, BodyTooLarge, ErrorAnswer, InvalidRequest
from serving.explanation import explain
from serving.formats import JSON, format_accepted, format_of, is_bulk
from serving.hosting import Hosting
from serving.invocations import MOST_OF_ONE, Invocations
from serving.messages import Request, Worked, text
from serving.recording import idempotency_key
from serving.reviewing import OUTCOMES, REVIEW, REVIEWING, Reviewing
from serving.scorer import Score
from serving.served import Served
from serving.settings import Settings
from serving.turn import Asked

ONE, MANY, EXPLAIN, INVOCATIONS = "/predict", "/predict_batch", "/explain", "/invocations"
ROUTES = frozenset({ONE, MANY, EXPLAIN})

SINGLE_BYTES = MOST_OF_ONE  # it is decoded on the event loop
_EXPLAIN = re.compile(rb"(?:^|&)explain(?:=([^&]*))?(?:&|$)")


class Batch(BaseModel):
    """Many applications in one request; declared here for the contract, decoded by `read_batch`."""

    model_config = ConfigDict(extra="forbid")

    applications: Annotated[list[Application], Field(description="At most RISKLINE_MAX_ROWS of them.")]


class Results(BaseModel):
    """The answer to a batch: for each application, in order, its score or its own error."""

    results: list[Score | ErrorAnswer]


class Routes:
    """The routes of one worker. `served` is the model that a request began with, and is answered with."""

    def __init__(self, settings: Settings, hosting: Hosting, log: Log | None) -> None:
        self._settings = settings
        self._most_bytes = settings.most_bytes(bulk=False)
        self._invocations = Invocations(settings, hosting)
        self._reviewing = Reviewing(log, settings)
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="body", initializer=give_way)
        self._bulk = Bulk(settings, self._threads)
        self._inference = v2.Inference(self._bulk, self._threads)

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

    async def answer(self, path: str, request: Request, size: int, origin: Origin, served: Served) -> Worked:
        """Answers a request with a body of `size` bytes; raises RisklineError for whatever is wrong with it."""
        most_bytes, setting = self.most_bytes(path, request.headers)
        if size > most_bytes:
            limit = round(most_bytes / 2**20, 3)
            raise BodyTooLarge(f"the body is larger than the limit of {limit:g} MiB ({setting})")
        if path in REVIEWING:
            return await self._reviewing.answer(path, request)
        key = idempotency_key(request.headers)
        if path in CHANNEL_OF:
            return await self._collect(served, request, origin._replace(channel=CHANNEL_OF[path]), key)
        if path == ONE:
            return await self._predict(served, request, origin, self._explains(request), key)
        if path == INVOCATIONS:
            return await self._invoke(served, request, origin, size, key)
        if path == v2.INFER:
            return await self._inference.answer(request, origin, self._explains(request), key, served)
        if path == MANY:
            return await self._predict_batch(served, request, origin, key)
        return await self._explain(served, request, origin, key)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()
        self._reviewing.close()

    async def _invoke(self, served: Served, request: Request, origin: Origin, size: int, key: str | None) -> Worked:
        if not size:
            return Worked(204, "", b"", {})
        origin, unsure = channels.collected_before(request.headers, origin)
        asked = self._invocations.asked(request.headers, request.body, size)
        explain = self._explains(request) if asked.explain is None else asked.explain
        decision_id = asked.decision_id or key
        if asked.formats is None:
            return await self._predict(served, request, origin, explain, decision_id, unsure)
        many = bulk.Asked(request.body, *asked.formats, explain, origin, decision_id)
        worked = await self._bulk.answer(served, many)
        self._invocations.check_answer(worked.body)
        return worked

    async def _collect(self, served: Served, request: Request, origin: Origin, key: str | None) -> Worked:
        explain, least = self._explains(request), self._settings.low_confidence
        return await channels.collect(request, origin, explain, key, least, served.turn, self._threads)

    async def _predict(
        self,
        served: Served,
        request: Request,
        origin: Origin,
        explain: bool,
        decision_id: str | None,
        unsure: Sequence[str] = (),
    ) -> Worked:
        started = time.perf_counter()
        row = _application(request)
        decoded = time.perf_counter()
        answered = await served.turn.score(Asked(row, explain, origin, decoded, decision_id, unsure))
        error = "" if answered.refused is None else answered.refused.code
        seconds = {"decode": decoded - started, **answered.seconds}
        return Worked(STATUS[error] if error else 200, JSON, answered.json.encode(), seconds, error)

    async def _explain(self, served: Served, request: Request, origin: Origin, decision_id: str | None) -> Worked:
        started = time.perf_counter()
        row = _application(request)
        decoded = time.perf_counter()
        if isinstance(row, InvalidApplication):
            metrics.count_scores(served.single.score(encode([row])), {})
            raise row
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
                raise recorded.refused[0]
            explained_by = (explanation.model_version, explanation.policy_version)
            if recorded.stood and (recorded.stood[0].model_version, recorded.stood[0].policy_version) != explained_by:
                raise Conflict(
                    "this id stands for a decision of another model or policy, which can no longer be explained here"
                )
            scores, seconds = recorded, {**seconds, **recorded.seconds}
        if served.decision_log:
            served.decision_log.add(scores, [origin])
        return Worked(200, JSON, to_json(explanation), seconds)

    async def _predict_batch(self, served: Served, request: Request, origin: Origin, key: str | None) -> Worked:
        sent = format_of(text(request.headers.get(b"content-type")))
        wanted = format_accepted(text(request.headers.get(b"accept")), sent)
        many = bulk.Asked(request.body, sent, wanted, self._explains(request), origin, key)
        return await self._bulk.answer(served, many)

    def _explains(self, request: Request) -> bool:
        """Whether the answer gets reasons: as the query says, else as the setting does. InvalidRequest for neither."""
        if request.query and (asked := _EXPLAIN.search(request.query)):
            if asked[1] not in (b"true", b"false"):
                problem = Problem("explain", "category", "Input should be 'true' or 'false'")
                raise InvalidRequest("the query has 1 problem", [problem])
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
