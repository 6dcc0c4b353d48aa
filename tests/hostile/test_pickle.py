"""Nothing that arrives over the network is unpickled: each pickle here would leave a file behind, and none does."""

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from loadtest.server import Server
from preprocessing.tables import read_arrow, read_parquet
from tests.generated import EXAMPLE

SCORING = ("/predict", "/predict_batch", "/explain", "/invocations")
READING = (*SCORING, "/outcomes", "/decisions/some/review")
PICKLES = (
    "application/vnd.bentoml+pickle",
    "application/vnd.bentoml+pickle; charset=utf-8",
    "Application/Vnd.BentoML+Pickle",
    "application/x-pickle",
    "application/pickle",
    "application/python-pickle",
    "application/x-python-pickle",
    "application/x-python-serialize",
    "application/octet-stream",
    "application/vnd.bentoml.stream_outputs",
    "application/vnd.bentoml.PandasDataFrameContainer",
    "python-pickle",
)
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/x-parquet"


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._file,)


@pytest.fixture
def caught(tmp_path: Path) -> Path:
    return tmp_path / "it-was-unpickled"


@pytest.fixture
def trap(caught: Path) -> bytes:
    """A pickle that makes the file `caught`, as is proved here first."""
    sprung = pickle.dumps(Trap(caught), protocol=2)
    pickle.loads(sprung)  # noqa: S301 - it is ours
    caught.unlink()
    return sprung


def send(lane: Server, path: str, body: bytes, headers: list[tuple[str, str]]) -> httpx.Response:
    return httpx.post(lane.url + path, content=body, headers=headers, timeout=30)


def in_our_form(answer: httpx.Response) -> tuple[int, str]:
    told = answer.json()
    assert set(told) == {"error", "message", "detail"}
    assert "Traceback" not in answer.text
    return answer.status_code, told["error"]


@pytest.mark.slow
@pytest.mark.parametrize("media_type", PICKLES)
def test_a_pickle_is_refused_by_its_type_on_every_route(
    lane: Server, trap: bytes, caught: Path, media_type: str
) -> None:
    for path in READING:
        answer = send(lane, path, trap, [("content-type", media_type)])
        assert in_our_form(answer) == (415, "unsupported_media_type"), path
    assert not caught.exists()


@pytest.mark.slow
def test_a_second_type_hides_none(lane: Server, trap: bytes, caught: Path) -> None:
    for types in (("application/json", PICKLES[0]), (PICKLES[0], "application/json")):
        headers = [("content-type", media_type) for media_type in types]
        for path in SCORING:
            status, _ = in_our_form(send(lane, path, trap, headers))
            assert status == (415 if types[1] == PICKLES[0] else 400), path
    assert not caught.exists()


@pytest.mark.slow
@pytest.mark.parametrize("media_type", ["application/json", ARROW, PARQUET, *PICKLES[:1]])
@pytest.mark.parametrize("container", ["DefaultContainer", "NdarrayContainer", "PandasDataFrameContainer"])
def test_what_bentomls_runners_tell_each_other_means_nothing_here(
    lane: Server, trap: bytes, caught: Path, media_type: str, container: str
) -> None:
    meta = json.dumps({"format": "pickle5", "with_buffer": True, "pickle_bytes_str": trap.hex(), "indices": [0]})
    headers = [
        ("content-type", media_type),
        ("payload-container", container),
        ("payload-meta", meta),
        ("bento-payload-meta", meta),
        ("args-number", "1"),
        ("buffer-lengths", json.dumps([len(trap)])),
    ]
    for path in SCORING:
        status, _ = in_our_form(send(lane, path, trap, headers))
        assert status in (400, 415), path
    assert not caught.exists()


@pytest.mark.slow
def test_a_pickle_in_a_part_of_a_form_is_refused(lane: Server, trap: bytes, caught: Path) -> None:
    head = b'--x\r\ncontent-disposition: form-data; name="application"; filename="a.pkl"\r\n'
    body = head + b"content-type: application/vnd.bentoml+pickle\r\n\r\n" + trap + b"\r\n--x--\r\n"
    for path in READING:
        answer = send(lane, path, body, [("content-type", "multipart/form-data; boundary=x")])
        assert in_our_form(answer) == (415, "unsupported_media_type"), path
    assert not caught.exists()


def pickled_metadata(trap: bytes) -> Mapping[bytes, bytes]:
    """The metadata of a column by which pyarrow's old extension types were unpickled."""
    return {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": trap}


def with_traps(trap: bytes) -> pa.Table:
    """A good application in columns whose metadata, like pandas' beside them, hold the pickle."""
    table = pa.Table.from_pylist([EXAMPLE])
    fields = [field.with_metadata(pickled_metadata(trap)) for field in table.schema]
    pandas = {"index_columns": [trap.hex()], "columns": [{"name": "x", "numpy_type": "object", "metadata": trap.hex()}]}
    return table.cast(pa.schema(fields, metadata={b"pandas": json.dumps(pandas).encode(), b"PANDAS_ATTRS": trap}))


def bodies(trap: bytes) -> dict[str, bytes]:
    table = with_traps(trap)
    stream, file = io.BytesIO(), io.BytesIO()
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    pyarrow.parquet.write_table(table, file)
    assert stream.getvalue().count(trap) > len(EXAMPLE)
    return {ARROW: stream.getvalue(), PARQUET: file.getvalue()}


def test_metadata_of_columns_are_not_unpickled_where_columns_are_read(trap: bytes, caught: Path) -> None:
    sent = bodies(trap)
    for read, media_type in ((read_arrow, ARROW), (read_parquet, PARQUET)):
        [batch] = read(io.BytesIO(sent[media_type]))
        assert not batch.refused
    assert not caught.exists()


@pytest.mark.slow
@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_metadata_of_columns_are_not_unpickled_by_the_service(
    lane: Server, trap: bytes, caught: Path, media_type: str
) -> None:
    for path in ("/predict_batch", "/invocations"):
        answer = send(lane, path, bodies(trap)[media_type], [("content-type", media_type)])
        assert answer.status_code == 200  # the columns are good, and nobody looks at what stands beside them
    for path in ("/predict", "/explain"):
        answer = send(lane, path, bodies(trap)[media_type], [("content-type", media_type)])
        assert in_our_form(answer) == (415, "unsupported_media_type")
    assert not caught.exists()


@pytest.mark.slow
def test_pickles_in_cells_are_words_like_others(lane: Server, trap: bytes, caught: Path) -> None:
    cells = pa.table({name: pa.array([trap], pa.binary()) for name in EXAMPLE})
    stream = io.BytesIO()
    with pyarrow.ipc.new_stream(stream, cells.schema) as writer:
        writer.write_table(cells)
    for path in ("/predict_batch", "/invocations"):
        headers = [("content-type", ARROW), ("accept", "application/json")]
        [row] = send(lane, path, stream.getvalue(), headers).json()["results"]
        assert row["error"] == "invalid_application"
    assert not caught.exists()


@pytest.mark.slow
def test_a_type_that_nobody_knows_is_not_logged(lane: Server) -> None:
    for media_type in (b"text/marker-of-a-caller", b"text/\xff"):
        for path in (*SCORING, "/model"):
            for method in ("GET", "POST"):
                httpx.request(method, lane.url + path, headers=[(b"content-type", media_type)])
    assert "marker-of-a-caller" not in lane.log.read_text()
    assert "Traceback" not in lane.log.read_text()
