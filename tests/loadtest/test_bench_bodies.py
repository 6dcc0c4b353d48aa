"""What the benchmark sends, and how it reads what comes back."""

import csv
import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from loadtest import bench_bodies, bench_tables, traffic
from loadtest.bench_bodies import Requests
from loadtest.bench_plan import WORKLOADS, Dialect
from loadtest.bench_tables import Codes
from preprocessing.columns import encode_table
from preprocessing.encode import FIELDS


@pytest.fixture(scope="module")
def values() -> Codes:
    return bench_tables.codes(traffic.read_applications())


@pytest.fixture(scope="module")
def requests(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[Dialect, str], Requests]:
    return bench_bodies.all_requests(traffic.read_applications(), model_folder, tmp_path_factory.mktemp("bodies"))


def test_the_benchmark_encodes_as_the_service_does(values: Codes) -> None:
    batch = encode_table(bench_tables.table(values))

    assert not batch.refused
    np.testing.assert_array_equal(bench_tables.matrix(values), batch.matrix)


def test_all_bodies_of_a_batch_bring_the_same_applications(
    requests: Mapping[tuple[Dialect, str], Requests],
) -> None:
    bodies = {name: request.first for (dialect, name), request in requests.items() if dialect == "application"}
    sent = json.loads(bodies["batch1000-json"])["applications"]
    names = [field.name for field in FIELDS]
    as_json = [{name: row.get(name) for name in names} for row in sent]

    assert len(sent) == requests["application", "batch1000-json"].rows
    assert [json.loads(line) for line in bodies["batch1000-jsonl"].splitlines()] == sent
    assert pyarrow.ipc.open_stream(bodies["batch1000-arrow"]).read_all().to_pylist() == as_json
    assert pyarrow.parquet.read_table(io.BytesIO(bodies["batch1000-parquet"])).to_pylist() == as_json
    texts = csv.DictReader(io.StringIO(bodies["batch1000-csv"].decode()))
    assert [
        {name: _value(text, row[name]) for name, text in cells.items()}
        for cells, row in zip(texts, as_json, strict=True)
    ] == as_json


def _value(text: str, like: object) -> object:
    """A cell of CSV as the JSON value `like` has it."""
    return None if text == "" else float(text) if isinstance(like, float) else text


def test_ready_features_come_with_null_for_what_is_missing(
    values: Codes, requests: Mapping[tuple[Dialect, str], Requests]
) -> None:
    [tensor] = json.loads(requests["tensor", "batch1000-json"].first)["inputs"]

    sent = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])

    np.testing.assert_array_equal(sent, bench_tables.features(values[:1000]))


def test_tensors_of_the_fields_bring_the_same_applications_too(
    requests: Mapping[tuple[Dialect, str], Requests],
) -> None:
    sent = json.loads(requests["application", "batch1000-json"].first)["applications"]
    tensors = json.loads(requests["tensors", "batch1000-json"].first)["inputs"]

    assert {tensor["name"]: tensor["data"] for tensor in tensors} == {
        name: [row.get(name) for row in sent] for name in {name for row in sent for name in row}
    }


def test_every_workload_has_several_bodies_to_send_in_turn(
    requests: Mapping[tuple[Dialect, str], Requests],
) -> None:
    for workload in WORKLOADS:
        given = requests["application", workload.name]
        contents = given.files[0].read_bytes().split(b"\n") if given.lines else [f.read_bytes() for f in given.files]
        assert contents[0] == given.first
        assert len(set(contents)) > 1


def test_made_up_applications_are_valid_and_the_same_every_time(values: Codes) -> None:
    [once], [again] = (list(bench_tables.blocks(values, 5000)) for _ in range(2))

    np.testing.assert_array_equal(once, again)
    assert not encode_table(bench_tables.table(once)).refused
    assert len(np.unique(once, axis=0)) > 4000


SCORES = [0.25, 0.5]
COLUMNS = pa.table({"probability": SCORES, "tier": ["low", "high"]})
ANSWERS = {
    "application/json": [
        json.dumps({"results": [{"probability": score} for score in SCORES]}).encode(),
        json.dumps([{"probability": score} for score in SCORES]).encode(),
        json.dumps({"model_name": "m", "outputs": [{"name": "predict", "data": SCORES}]}).encode(),
    ],
    "application/jsonlines": [b'{"probability": 0.25}\n{"probability": 0.5}\n'],
    **{
        media_type: [bench_tables.rendered(COLUMNS, media_type)]
        for media_type in ("text/csv", "application/x-parquet", "application/vnd.apache.arrow.stream")
    },
}


@pytest.mark.parametrize(("media_type", "body"), [(name, body) for name, bodies in ANSWERS.items() for body in bodies])
def test_the_scores_of_every_kind_of_answer_are_found(media_type: str, body: bytes) -> None:
    assert bench_tables.probabilities(f"{media_type}; charset=utf-8", body) == SCORES


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b"<html>"),
        ("application/json", b'{"error": "internal_error"}'),
        ("application/json", b'{"results": [{"error": "invalid_application"}]}'),
        ("text/csv", b"tier\nlow\n"),
        ("application/x-parquet", b"PAR1"),
        ("text/html", b"<html>"),
    ],
)
def test_an_answer_without_scores_is_none(media_type: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="no scores in an answer of type"):
        bench_tables.probabilities(media_type, body)


@pytest.mark.parametrize(
    ("status", "answer", "verdict"),
    [
        (200, {"results": [{"probability": 0.25}, {"probability": 0.5}]}, ""),
        (200, {"results": [{"probability": 0.25}]}, "1 scores for 2 rows"),
        (200, {"results": [{"probability": 0.25}, {"probability": 0.6}]}, "other probabilities than the artefact's"),
        (415, {"error": "unsupported_media_type"}, "status 415 unsupported_media_type"),
        (500, [], "status 500"),
    ],
)
def test_a_contender_is_checked_by_one_answer(status: int, answer: object, verdict: str) -> None:
    asked = Requests("/predict_batch", "application/json", 2, (), False, b"{}", np.array(SCORES, dtype=np.float32))
    with answering(status, answer) as url:
        assert bench_bodies.wrong_with(url, asked, same_graph=True) == verdict

    assert bench_bodies.wrong_with(url, asked, same_graph=True) == "no answer (ConnectionRefusedError)"


@contextmanager
def answering(status: int, answer: object) -> Iterator[str]:
    """The URL of a server that gives everybody the same answer."""
    body = json.dumps(answer).encode()

    class Same(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Same) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
