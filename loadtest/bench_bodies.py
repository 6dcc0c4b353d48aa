"""The requests of every workload, made from the bundled applications and laid out in files for wrk to load."""

import csv
import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from loadtest import bench_tables, traffic
from loadtest.bench_plan import JSON, WORKLOADS, Dialect, Workload
from loadtest.bench_tables import Codes
from loadtest.traffic import Values
from model.graph import Graph
from preprocessing.encode import FIELDS
from preprocessing.fields import Number
from preprocessing.schema import BAD, LABEL

ANSWER_WITHIN_S = 60
# Answers are rounded to 6 digits, and a row in a batch may differ from the same row alone in the last bit of a float32
PROBABILITY_TOLERANCE = 2e-6


@dataclass(frozen=True, slots=True)
class Requests:
    """What wrk sends in turn: `files` with a body each, or one file with a body in each line.

    `expected` are the artefact's probabilities for the first body.
    """

    path: str
    content_type: str
    rows: int
    files: tuple[Path, ...]
    lines: bool
    first: bytes
    expected: npt.NDArray[np.float32]


def read_bad(path: Path = traffic.APPLICATIONS) -> list[bool]:
    """The verdicts on the applications of `traffic.read_applications`, in the same order."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row[LABEL] == BAD for row in csv.DictReader(file)]


def all_requests(applications: Sequence[Values], model: Path, folder: Path) -> Mapping[tuple[Dialect, str], Requests]:
    """The requests of each dialect and workload; those of tensors have JSON alone."""
    folder.mkdir(parents=True, exist_ok=True)
    values = bench_tables.codes(applications)
    expected = Graph((model / "model.onnx").read_bytes()).run(bench_tables.matrix(values))[0].reshape(-1)
    requests: dict[tuple[Dialect, str], Requests] = {}
    for workload in WORKLOADS:
        starts = range(0, len(applications) - workload.rows + 1, workload.rows)
        parts = [slice(start, start + workload.rows) for start in starts]
        bodies = [_body(workload, applications[part], values[part]) for part in parts]
        path = ("/predict" if workload.rows == 1 else "/predict_batch") + workload.query
        first = expected[: workload.rows]
        requests["application", workload.name] = _laid_out(folder, workload, path, bodies, first)
        if workload.content_type == JSON:
            path = "/v2/models/riskline/infer"
            bodies = [_tensor(bench_tables.features(values[part])) for part in parts]
            requests["tensor", workload.name] = _laid_out(folder / "tensor", workload, path, bodies, first)
            bodies = [_tensors(applications[part]) for part in parts]
            requests["tensors", workload.name] = _laid_out(folder / "tensors", workload, path, bodies, first)
    return requests


def _body(workload: Workload, applications: Sequence[Values], values: Codes) -> bytes:
    if workload.rows == 1:
        return traffic.application_body(applications[0]).encode()
    if workload.content_type == JSON:
        return traffic.batch_body(applications).encode()
    if workload.content_type == "application/jsonlines":
        return "\n".join(traffic.application_body(application) for application in applications).encode()
    return bench_tables.rendered(bench_tables.table(values), workload.content_type)


def _tensor(features: npt.NDArray[np.float32]) -> bytes:
    """The V2 protocol's request. As few digits as a float32 needs, null for NaN, which JSON does not have."""
    data = [None if value != value else float(str(value)) for value in features.reshape(-1)]
    tensor = {"name": "features", "shape": list(features.shape), "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def _tensors(applications: Sequence[Values]) -> bytes:
    """The V2 protocol's request with a tensor for each field that any of the applications has."""
    inputs = []
    for field in FIELDS:
        data = [application.get(field.name) for application in applications]
        if any(value is not None for value in data):
            datatype = "FP64" if isinstance(field.kind, Number) else "BYTES"
            inputs.append({"name": field.name, "shape": [len(data)], "datatype": datatype, "data": data})
    return json.dumps({"inputs": inputs}).encode()


def _laid_out(
    folder: Path, workload: Workload, path: str, bodies: Sequence[bytes], expected: npt.NDArray[np.float32]
) -> Requests:
    folder.mkdir(parents=True, exist_ok=True)
    lines = workload.rows == 1
    contents = [b"\n".join(bodies)] if lines else bodies
    files = tuple(folder / f"{workload.name}.{number}" for number in range(len(contents)))
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return Requests(path, workload.content_type, workload.rows, files, lines, bodies[0], expected)


def wrong_with(url: str, requests: Requests, same_graph: bool) -> str:
    """Sends the first body and judges the answer: one sentence, "" where it is right."""
    try:
        status, content_type, body = post(url, requests.path, requests.content_type, requests.first)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    if status != 200:
        return f"status {status} {_error_code(body)}".rstrip()
    try:
        scores = bench_tables.probabilities(content_type, body)
    except ValueError as error:
        return str(error)
    if len(scores) != requests.rows:
        return f"{len(scores)} scores for {requests.rows} rows"
    if same_graph and not np.allclose(scores, requests.expected, rtol=0, atol=PROBABILITY_TOLERANCE):
        return "other probabilities than the artefact's"
    return ""


def post(
    url: str, path: str, content_type: str, body: bytes, within_s: float = ANSWER_WITHIN_S
) -> tuple[int, str, bytes]:
    """Status, Content-Type and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=within_s)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()
    finally:
        connection.close()


def _error_code(body: bytes) -> str:
    """Our own error's code, if it is one: another's answer may be anything."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return str(answer.get("error", ""))[:100] if isinstance(answer, dict) else ""
