"""The Open Inference Protocol (V2) of KServe and Triton, over HTTP: its paths, its form of errors, its way to a score.

    GET /v2   GET /v2/health/live   GET /v2/health/ready
    GET /v2/models/{name}   GET /v2/models/{name}/ready   POST /v2/models/{name}/infer
    and the same with /versions/{version} after the name

Tensors are read in `v2_tensors.py` and written in `v2_outputs.py`; between them an application goes the way of all.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import to_json

from decisions.record import Origin
from model.artifact import Artifact
from preprocessing.encode import FIELDS, Batch
from preprocessing.errors import BatchTooLarge
from serving import VERSION, bulk
from serving.bodies import Body, as_file
from serving.bulk import Bulk
from serving.errors import STATUS, ErrorAnswer, InvalidHeader, NotFound, UnsupportedMediaType
from serving.formats import JSON, Format
from serving.keys import Scope
from serving.messages import Answer, Headers, Request, Worked, error_answer, json_answer
from serving.scorer import Scores
from serving.served import Served
from serving.turn import Asked
from serving.v2_known import Known
from serving.v2_outputs import NAME, OUTPUTS, all_of, written
from serving.v2_tensors import Asked as Tensors
from serving.v2_tensors import datatype_of, read

SERVER = "/v2"
LIVE, READY = "/v2/health/live", "/v2/health/ready"
MODEL, MODEL_READY, INFER = "/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer"
BINARY = "application/octet-stream"
JSON_BYTES = b"inference-header-content-length"
BLOCK_ROWS = 4096  # as tables are read
FEW_ROWS = 256  # are scored before a thread would have started on them

_PLAIN = frozenset({JSON_BYTES, b"content-encoding"})  # without these a body of JSON is all JSON
_OF_MODELS = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<what>/ready|/infer|)")
_SCOPES: dict[str, Scope | None] = {INFER: "score", LIVE: None, READY: None}


class Found(NamedTuple):
    """A route, as it is called wherever paths must be few, and the model and the version that its path names."""

    route: str
    name: str = ""
    version: str = ""

    @property
    def method(self) -> str:
        return "POST" if self.route == INFER else "GET"

    @property
    def scope(self) -> Scope | None:
        """What a key must be good for; None for probes, which are open."""
        return _SCOPES.get(self.route, "read")


ASKED_MOST = f"{SERVER}/models/{NAME}/infer"
_KNOWN = {ASKED_MOST: Found(INFER, NAME), **{path: Found(path) for path in (SERVER, LIVE, READY)}}


def is_v2(path: str) -> bool:
    """Whether a path is the protocol's, known or not."""
    return path.startswith(SERVER) and path[len(SERVER) :][:1] in ("", "/")


def route_of(path: str) -> Found | None:
    """Which route a path is; None for those that the protocol does not have."""
    if (known := _KNOWN.get(path)) is not None:
        return known
    if not is_v2(path) or (found := _OF_MODELS.fullmatch(path)) is None:
        return None
    return Found(MODEL + found["what"], found["name"], found["version"] or "")


def error_body(error: ErrorAnswer) -> bytes:
    """An error as the protocol has it: one sentence, with what it has in detail."""
    detail = [f"{problem.field}: {problem.message}" for problem in error.detail]
    return to_json({"error": "; ".join([error.message, *detail])})


def error_at(path: str, error: ErrorAnswer) -> Answer:
    """The answer to a request to `path` that no route took, in the form that its callers know."""
    if not is_v2(path):
        return error_answer(error)
    return json_answer(error_body(error), STATUS[error.error])._replace(error=error.error)


def about_server() -> dict[str, Any]:
    return {"name": NAME, "version": VERSION, "extensions": ["binary_tensor_data"]}


def about_model(artifact: Artifact) -> dict[str, Any]:
    """The model's metadata: an input for each field in schema order, and what is answered."""
    inputs = [
        {
            "name": field.name,
            "datatype": datatype_of(field),
            "shape": [-1],
            "parameters": {"required": field.required, "description": f"{field.kind.label}: {field.kind.rule}"},
        }
        for field in FIELDS
    ]
    outputs = [{"name": name, "datatype": output.datatype, "shape": [-1]} for name, output in OUTPUTS.items()]
    versions = [artifact.model_version]
    return {"name": NAME, "versions": versions, "platform": NAME, "inputs": inputs, "outputs": outputs}


def check_model(name: str, version: str, artifact: Artifact) -> None:
    """NotFound for a model or a version that is not the one being served."""
    if name != NAME:
        raise NotFound(f"there is no model {name[:64]} here; this one is called {NAME}")
    check_version(version, artifact)


def check_version(version: str, artifact: Artifact) -> None:
    if version and version != artifact.model_version:
        raise NotFound(f"there is no version {version[:64]} here; this one is {artifact.model_version}")


def is_short(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is read, and mostly scored too, within a turn of the event loop."""
    length = headers.get(b"content-length", b"")
    return length.isdigit() and int(length) <= bulk.INLINE_BYTES


class Inference:
    """Scores what tensors say for one worker; `threads` do what takes long."""

    def __init__(self, many: Bulk, threads: Executor) -> None:
        self._many, self._threads, self._known = many, threads, Known()

    async def answer(self, request: Request, origin: Origin, explain: bool, key: str | None, served: Served) -> Worked:
        """`explain` where the request itself does not say. A row that is refused costs only itself."""
        started = time.perf_counter()
        json_bytes = _json_bytes(request.headers)
        if request.decision_id:
            check_version(request.decision_id, served.artifact)
        if isinstance(request.body, bytes) and len(request.body) <= bulk.INLINE_BYTES:
            asked, row = self._known.read(request.body, json_bytes)
        else:
            loop = asyncio.get_running_loop()
            asked = await loop.run_in_executor(self._threads, _read, request.body, json_bytes)
            row = asked.row() if asked.rows == 1 else None
        explain = explain if asked.explain is None else asked.explain
        if row is None:
            return await self._many_rows(request.body, asked, explain, origin, key, served)
        decoded = time.perf_counter()
        _, _, seconds, scores, place = await served.turn.score(Asked(row, explain, origin, decoded, key))
        wanted = asked.wanted or all_of(explain)
        body, json_bytes = written([(scores, [place])], wanted, asked.binary, asked.id)
        seconds = {"decode": decoded - started, **seconds}
        if json_bytes is None:
            return Worked(200, JSON, body, seconds)
        return Worked(200, BINARY, body, seconds, headers=_headers(json_bytes))

    async def _many_rows(
        self, body: Body, asked: Tensors, explain: bool, origin: Origin, key: str | None, served: Served
    ) -> Worked:
        json_bytes: list[int | None] = []

        def read_rows(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001 - read already
            if asked.rows > most_rows:
                raise BatchTooLarge.of(asked.rows, most_rows, "RISKLINE_MAX_ROWS")
            return asked.batches(BLOCK_ROWS)

        def write(answers: Iterable[Scores], target: BinaryIO, explained: bool) -> None:  # noqa: ARG001 - known beforehand
            blocks = [(scores, range(len(scores))) for scores in answers]
            answer = written(blocks, asked.wanted or all_of(explain), asked.binary, asked.id)
            target.write(answer.body)
            json_bytes.append(answer.json_bytes)

        form = Format(JSON, read_rows, write)
        if asked.rows > FEW_ROWS:
            body = as_file(body)
        worked = await self._many.answer(served, bulk.Asked(body, form, form, explain, origin, key))
        if (binary := json_bytes.pop()) is None:
            return worked
        return worked._replace(media_type=BINARY, headers=_headers(binary))


def _headers(json_bytes: int) -> Headers:
    """What the headers of an answer with binary tensors say besides its type and length."""
    return [(JSON_BYTES, b"%d" % json_bytes)]


def _json_bytes(headers: Mapping[bytes, bytes]) -> int | None:
    """Where the JSON of the body ends; None where all of it is JSON. Errors for a body that cannot be read."""
    if headers.get(b"content-type") == b"application/json" and _PLAIN.isdisjoint(headers):
        return None
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in (b"", JSON.encode(), BINARY.encode()):
        raise UnsupportedMediaType(f"the Content-Type must be {JSON}, or {BINARY} with binary tensors")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise UnsupportedMediaType("the body must come as it is, without a Content-Encoding")
    if (sent := headers.get(JSON_BYTES)) is None:
        return None
    if not sent.isdigit() or len(sent) > 12:
        raise InvalidHeader("Inference-Header-Content-Length must be a number of bytes")
    return int(sent)


def _read(body: Body, json_bytes: int | None) -> Tensors:
    return read(body if isinstance(body, bytes) else as_file(body).read(), json_bytes)
