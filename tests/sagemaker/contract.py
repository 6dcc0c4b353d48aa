"""What SageMaker demands of a container, as tests against whatever answers at a URL.

A test module takes them over and says where the service is:

    from tests.sagemaker.contract import *  # noqa: F403

    @pytest.fixture(scope="session")
    def endpoint() -> Endpoint: ...            # has `.url`; environment as it comes, no SAGEMAKER_* set

    @pytest.fixture(scope="session")
    def started() -> Started: ...              # environment → a context manager around an endpoint that has it

    @pytest.fixture(scope="session")
    def model_path() -> str: ...               # a model folder, as the started endpoint sees it

`tests/serving/test_sagemaker.py` does so with a server of two workers. Nothing here knows how an endpoint is run, so
ending one (SIGTERM) is left to the modules that do.
"""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Protocol

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from preprocessing.encode import FIELDS
from preprocessing.fields import Category
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/x-parquet"
FORMATS = (JSON, LINES, CSV, ARROW, PARQUET)
MIB = 2**20
PING_WITHIN_S = 2.0  # SageMaker's own limit
SATURATED_FOR_S = 4.0
BAD = {**EXAMPLE, NUMBER.name: -1}
ATTRIBUTES, INFERENCE_ID = "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id"
EXPLANATIONS = "X-Amzn-SageMaker-Enable-Explanations"


class Endpoint(Protocol):
    @property
    def url(self) -> str: ...


Started = Callable[[Mapping[str, str]], AbstractContextManager[Endpoint]]


# bodies ---------------------------------------------------------------------------------------------------------------


def cells(application: Mapping[str, Any]) -> str:
    return ",".join("" if (value := application.get(field.name)) is None else str(value) for field in FIELDS)


def codes(application: Mapping[str, Any]) -> str:
    """The line that a client writes who knows only numbers."""
    numbers = []
    for field in FIELDS:
        value = application.get(field.name)
        if value is not None and isinstance(field.kind, Category):
            value = field.kind.codes[value]
        numbers.append("NaN" if value is None else f"{float(value):.6e}")
    return ",".join(numbers)


def table(applications: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{**dict.fromkeys(EXAMPLE), **application} for application in applications])


def written(applications: list[dict[str, Any]], media_type: str) -> bytes:
    if media_type == JSON:
        return json.dumps({"applications": applications}).encode()
    if media_type == LINES:
        return "".join(json.dumps(application) + "\n" for application in applications).encode()
    if media_type == CSV:
        return "".join(f"{cells(application)}\n" for application in applications).encode()
    sink = io.BytesIO()
    rows = table(applications)
    if media_type == PARQUET:
        pyarrow.parquet.write_table(rows, sink)
    else:
        with pyarrow.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
    return sink.getvalue()


def probabilities(answer: httpx.Response) -> list[float | None]:
    """By row, None for a refused one, from an answer in any format."""
    media_type = answer.headers["content-type"]
    if media_type == JSON:
        return [row.get("probability") for row in answer.json()["results"]]
    if media_type == LINES:
        return [json.loads(line).get("probability") for line in answer.text.splitlines()]
    if media_type == CSV:
        return [float(line.split(",")[0]) if not line.startswith(",") else None for line in answer.text.splitlines()]
    source = io.BytesIO(answer.content)
    read = pyarrow.parquet.read_table(source) if media_type == PARQUET else pyarrow.ipc.open_stream(source).read_all()
    found: list[float | None] = read["probability"].to_pylist()
    return found


def invoke(
    endpoint: Endpoint, body: bytes, content_type: str | None = JSON, path: str = "/invocations", **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["content-type"] = content_type
    return httpx.post(endpoint.url + path, content=body, headers=named, timeout=60)


def error_of(answer: httpx.Response) -> str:
    said = answer.json()
    assert set(said) == {"error", "message", "detail"}
    return str(said["error"])


ONE = json.dumps(EXAMPLE).encode()

# ping and execution parameters ----------------------------------------------------------------------------------------


def test_ping_says_ready_with_an_empty_body(endpoint: Endpoint) -> None:
    answer = httpx.get(f"{endpoint.url}/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@contextmanager
def saturated(endpoint: Endpoint, bodies: int = 4) -> Iterator[list[int]]:
    """Sends large bodies all the time, from `bodies` threads; gives the statuses of their answers."""
    body, statuses, over = written([EXAMPLE] * 60_000, CSV), list[int](), threading.Event()
    assert len(body) <= 6 * MIB

    def send() -> None:
        with httpx.Client(base_url=endpoint.url, timeout=60) as client:
            while not over.is_set():
                statuses.append(client.post("/invocations", content=body, headers={"content-type": CSV}).status_code)

    threads = [threading.Thread(target=send) for _ in range(bodies)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_ping_is_answered_in_time_while_all_cores_are_busy_and_is_never_turned_away(endpoint: Endpoint) -> None:
    slowest, asked = 0.0, 0
    with saturated(endpoint) as statuses:
        until = time.monotonic() + SATURATED_FOR_S
        while time.monotonic() < until or len(statuses) < 4:
            started = time.monotonic()
            answer = httpx.get(f"{endpoint.url}/ping", timeout=4 * PING_WITHIN_S)  # a connection of its own, as there
            slowest, asked = max(slowest, time.monotonic() - started), asked + 1
            assert answer.status_code == 200
    assert set(statuses) == {200}
    print(f"slowest of {asked} pings: {slowest * 1000:.0f} ms, {len(statuses)} bodies beside them")  # noqa: T201
    assert slowest < PING_WITHIN_S


def test_execution_parameters_are_told(endpoint: Endpoint) -> None:
    answer = httpx.get(f"{endpoint.url}/execution-parameters")
    assert answer.status_code == 200
    said = answer.json()
    assert set(said) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert (said["BatchStrategy"], said["MaxPayloadInMB"]) == ("MULTI_RECORD", 6)
    assert said["MaxConcurrentTransforms"] >= 1


@pytest.mark.parametrize("path", ["/ping", "/execution-parameters", "/invocations"])
def test_another_method_is_refused(endpoint: Endpoint, path: str) -> None:
    answer = httpx.request("PUT", endpoint.url + path)
    assert (answer.status_code, error_of(answer)) == (405, "method_not_allowed")
    assert answer.headers["allow"] == ("POST" if path == "/invocations" else "GET")


# invocations: types and formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [None, "*/*", JSON])
def test_one_application_is_answered_as_by_predict(endpoint: Endpoint, accept: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    answers = [invoke(endpoint, ONE, path=path, **headers) for path in ("/invocations", "/predict")]
    ours, theirs = [{**answer.json(), "decision_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert ours == theirs


@pytest.mark.parametrize("accept", [None, "*/*", *FORMATS])
@pytest.mark.parametrize("content_type", [*FORMATS, "application/x-ndjson"])
def test_every_type_is_taken_and_given(endpoint: Endpoint, content_type: str, accept: str | None) -> None:
    body = written([EXAMPLE, BAD, EXAMPLE], LINES if content_type == "application/x-ndjson" else content_type)
    answer = invoke(endpoint, body, content_type, **({} if accept is None else {"accept": accept}))
    assert answer.status_code == 200
    own = LINES if content_type == "application/x-ndjson" else content_type
    assert answer.headers["content-type"] == (own if accept in (None, "*/*") else accept)
    expected = invoke(endpoint, ONE).json()["probability"]
    assert probabilities(answer) == [expected, None, expected]
    if answer.headers["content-type"] in (LINES, CSV):
        assert answer.text.endswith("\n")


@pytest.mark.parametrize("accept", [LINES, CSV, ARROW, PARQUET])
def test_one_application_is_answered_in_another_type_too(endpoint: Endpoint, accept: str) -> None:
    answer = invoke(endpoint, ONE, accept=accept)
    assert answer.headers["content-type"] == accept
    assert probabilities(answer) == [invoke(endpoint, ONE).json()["probability"]]
    refused = invoke(endpoint, json.dumps(BAD).encode(), accept=accept)
    assert (refused.status_code, error_of(refused)) == (422, "invalid_application")


@pytest.mark.parametrize("content_type", [*FORMATS, "application/octet-stream"])
def test_an_empty_body_has_no_answer(endpoint: Endpoint, content_type: str) -> None:
    answer = invoke(endpoint, b"", content_type)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-recordio-protobuf",
        "text/libsvm",
        "application/x-npy",
        "application/vnd.bentoml+pickle",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "x",
    ],
)
def test_an_unknown_type_is_refused(endpoint: Endpoint, content_type: str) -> None:
    answer = invoke(endpoint, ONE, content_type)
    assert (answer.status_code, error_of(answer)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", FORMATS)
def test_what_is_not_offered_is_refused_before_anything_is_read(endpoint: Endpoint, content_type: str) -> None:
    for body in (written([EXAMPLE], content_type), b"damaged"):
        answer = invoke(endpoint, body, content_type, accept="image/png")
        assert (answer.status_code, error_of(answer)) == (406, "not_acceptable")


# invocations: damage --------------------------------------------------------------------------------------------------

DAMAGED = {
    "json, cut off": (JSON, b"{", 400, "malformed_body"),
    "json, an envelope cut off": (JSON, b'{"applications": [{', 400, "malformed_body"),
    "json in UTF-16": (JSON, json.dumps(EXAMPLE).encode("utf-16"), 400, "malformed_body"),
    "json, deep": (JSON, b"[" * 10_000, 400, "malformed_body"),
    "json, bytes": (JSON, b"\xff\xfe\x00", 400, "malformed_body"),
    "json, not finite": (JSON, json.dumps({**EXAMPLE, NUMBER.name: float("nan")}).encode(), 422, "invalid_application"),
    "json, nothing in it": (JSON, b"{}", 422, "invalid_application"),
    "json, a list": (JSON, b"[]", 422, "invalid_application"),
    "json, a refused value": (JSON, json.dumps(BAD).encode(), 422, "invalid_application"),
    "json, two keys": (JSON, ONE[:-1] + b"," + ONE[1:], 422, "invalid_application"),
    "json, another envelope": (JSON, b'{"applications": 1}', 422, "invalid_batch"),
    "json, large": (JSON, ONE + b" " * 65_536, 413, "body_too_large"),
    "csv, an unknown column": (CSV, f"{NUMBER.name},other\n1,2\n".encode(), 422, "invalid_batch"),
    "csv, a column twice": (CSV, f"{','.join(EXAMPLE)},{NUMBER.name}\n".encode(), 422, "invalid_batch"),
    "arrow, cut off": (ARROW, written([EXAMPLE], ARROW)[:-40], 400, "malformed_body"),
    "arrow, bytes": (ARROW, b"\xff" * 64, 400, "malformed_body"),
    "arrow, other columns": (ARROW, written([{"other": 1}], ARROW), 422, "invalid_batch"),
    "parquet, cut off": (PARQUET, written([EXAMPLE], PARQUET)[:-1], 400, "malformed_body"),
    "parquet, bytes": (PARQUET, b"PAR1" + b"\xff" * 64 + b"PAR1", 400, "malformed_body"),
    "parquet, other columns": (PARQUET, written([{"other": 1}], PARQUET), 422, "invalid_batch"),
}


@pytest.mark.parametrize("case", list(DAMAGED))
def test_a_damaged_body_gets_its_error_with_a_code(endpoint: Endpoint, case: str) -> None:
    content_type, body, status, code = DAMAGED[case]
    answer = invoke(endpoint, body, content_type)
    assert (answer.status_code, error_of(answer)) == (status, code)


DAMAGED_LINES: dict[str, list[bytes]] = {
    LINES: [
        b"{", b"", b"\xff\xfe", b"null", b"[]", b"{}", b"1", json.dumps(BAD).encode(), b"x" * 100_000,
        json.dumps(EXAMPLE).encode("utf-16").replace(b"\n", b""), ONE + b"," + ONE, b'{"applications": []}',
        ONE[:-1] + b"," + ONE[1:],
    ],
    CSV: [
        b"", b" ", b",", b'"', b'"a', b'a"b","', b"\xff\xfe", cells(EXAMPLE).encode() + b",1", b"x" * 400_000,
        cells(BAD).encode(), cells(EXAMPLE).encode().replace(b",", b";"), b"\r", b"a\rb", cells({}).encode(),
        b'"' + cells(EXAMPLE).encode(), cells(EXAMPLE).encode()[:-1] + b'""', b"\x00",
    ],
}  # fmt: skip


@pytest.mark.parametrize("content_type", list(DAMAGED_LINES))
def test_every_line_has_its_answer_whatever_is_in_it(endpoint: Endpoint, content_type: str) -> None:
    good = written([EXAMPLE], content_type).rstrip(b"\n")
    expected = invoke(endpoint, ONE).json()["probability"]
    for first, last in ((good, good), (DAMAGED_LINES[content_type][0], DAMAGED_LINES[content_type][2])):
        lines = [first, *(line for damaged in DAMAGED_LINES[content_type] for line in (damaged, good)), last]
        answer = invoke(endpoint, b"\n".join(lines) + b"\n", content_type)
        assert answer.status_code == 200
        assert probabilities(answer) == [expected if line == good else None for line in lines]
    assert "invalid_application" in answer.text


@pytest.mark.parametrize("content_type", list(DAMAGED_LINES))
def test_a_damaged_line_alone_has_its_answer(endpoint: Endpoint, content_type: str) -> None:
    for line in DAMAGED_LINES[content_type]:
        answer = invoke(endpoint, line + b"\n", content_type)
        assert (answer.status_code, answer.text.count("\n")) == (200, 1), line[:80]
        assert "invalid_application" in answer.text


def test_a_header_in_has_a_header_out_so_that_lines_stay_beside_each_other(endpoint: Endpoint) -> None:
    header = ",".join(EXAMPLE).encode() + b"\n"
    for body in (header, header + written([EXAMPLE, BAD], CSV), header + b"\r\n" + written([EXAMPLE], CSV)):
        answer = invoke(endpoint, body, CSV)
        assert answer.status_code == 200
        assert answer.text.count("\n") == body.count(b"\n")
        assert answer.text.startswith('"probability",')
    assert not invoke(endpoint, written([EXAMPLE], CSV), CSV).text.startswith('"probability"')
    assert not invoke(endpoint, ONE, accept=CSV).text.startswith('"probability"')


def test_delimiters_are_not_guessed(endpoint: Endpoint) -> None:
    answer = invoke(endpoint, written([EXAMPLE], CSV).replace(b",", b"\t"), CSV)
    assert probabilities(answer) == [None]


def test_a_csv_without_header_may_hold_codes_in_place_of_words(endpoint: Endpoint) -> None:
    without = {**EXAMPLE, OPTIONAL.name: None}
    lines = [codes(EXAMPLE), cells(EXAMPLE), codes(without), cells(without)]
    in_codes, in_words, missing, empty = probabilities(invoke(endpoint, "\n".join(lines).encode(), CSV))
    assert in_codes == in_words is not None
    assert missing == empty is not None
    for code in ("99", "0.5", "-1"):
        place = list(EXAMPLE).index(CATEGORY.name)
        wrong = [code if at == place else cell for at, cell in enumerate(codes(EXAMPLE).split(","))]
        assert f"{CATEGORY.name}:category" in invoke(endpoint, ",".join(wrong).encode(), CSV).text
    under_a_header = f"{','.join(EXAMPLE)}\n{codes(EXAMPLE)}\n".encode()
    assert f"{CATEGORY.name}:category" in invoke(endpoint, under_a_header, CSV).text


def test_6_mib_are_taken_and_a_byte_more_is_not(endpoint: Endpoint) -> None:
    line = written([EXAMPLE], LINES)
    body = line + b" " * (6 * MIB - len(line) - 1) + b"\n"
    assert invoke(endpoint, body, LINES).status_code == 200
    for content_type in (LINES, CSV, ARROW, PARQUET):
        answer = invoke(endpoint, body + b"\n", content_type)
        assert (answer.status_code, error_of(answer)) == (413, "body_too_large")
    envelope = written([EXAMPLE], JSON)
    answer = invoke(endpoint, envelope + b" " * (6 * MIB - len(envelope)), JSON)
    assert answer.status_code == 200
    answer = invoke(endpoint, envelope + b" " * (6 * MIB + 1 - len(envelope)), JSON)
    assert (answer.status_code, error_of(answer)) == (413, "body_too_large")


def test_an_answer_above_6_mib_says_to_send_fewer_rows(endpoint: Endpoint) -> None:
    row = written([EXAMPLE], CSV)
    answers = [invoke(endpoint, row * rows, CSV, accept=LINES) for rows in (20_000, 40_000)]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert len(answers[0].content) <= 6 * MIB < 2 * len(answers[0].content)
    assert error_of(answers[1]) == "answer_too_large"
    assert "send fewer rows" in answers[1].json()["message"]
    assert "RISKLINE_MAX_INVOCATION_MB" in answers[1].json()["message"]
    assert invoke(endpoint, row * 40_000, CSV).status_code == 200, "the shorter format fits"


# invocations: headers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", ["c000b4f9-df62-4c85-a0bf-7c525f9104a4", "trace=1, x y", "~" * 1024])
def test_custom_attributes_come_back(endpoint: Endpoint, attributes: str) -> None:
    for body in (ONE, b"{", written([EXAMPLE], JSON)):
        assert invoke(endpoint, body, **{ATTRIBUTES: attributes}).headers[ATTRIBUTES] == attributes
    assert ATTRIBUTES not in invoke(endpoint, ONE).headers


def sent_raw(endpoint: Endpoint, name: str, value: bytes) -> tuple[bytes, bytes]:
    """Status and answer to a request with a header that no client library would send."""
    url = httpx.URL(endpoint.url)
    request = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        + name.encode() + b": " + value + b"\r\nContent-Length: %d\r\n\r\n" % len(ONE) + ONE
    )  # fmt: skip
    with closing(socket.create_connection((url.host, url.port or 80), timeout=30)) as client:
        client.sendall(request)
        heard = b""
        while chunk := client.recv(65536):
            heard += chunk
    return heard.split(b" ", 2)[1], heard


@pytest.mark.parametrize(
    "value", [b"a" * 1025, b"a\x01b", b"a\x7fb", b"a\tb", b"\x1b[31m", b"\xff", "ä".encode(), b"a\x00b", b"a\rb"]
)
@pytest.mark.parametrize("name", [ATTRIBUTES, INFERENCE_ID])
def test_a_header_with_what_it_may_not_hold_is_refused(endpoint: Endpoint, name: str, value: bytes) -> None:
    status, heard = sent_raw(endpoint, name, value)
    assert status == b"400"
    assert b"x-amzn" not in heard.partition(b"\r\n\r\n")[0].lower()
    # what breaks HTTP itself is refused before it becomes a request
    assert b'"error":"invalid_header"' in heard or b'"error":"malformed_request"' in heard


@pytest.mark.parametrize("value", ["a" * 65, "a b", 'a"b', "a\\b"])
def test_an_inference_id_that_cannot_be_an_id_is_refused(endpoint: Endpoint, value: str) -> None:
    answer = invoke(endpoint, ONE, **{INFERENCE_ID: value})
    assert (answer.status_code, error_of(answer)) == (400, "invalid_header")


@pytest.mark.parametrize("accept", [JSON, LINES, CSV])
def test_the_inference_id_is_the_decision_id_of_one_application(endpoint: Endpoint, accept: str) -> None:
    answer = invoke(endpoint, ONE, **{INFERENCE_ID: "~" * 64, "accept": accept})
    assert "~" * 64 in answer.text
    assert "~" * 64 + "-" not in answer.text


@pytest.mark.parametrize("content_type", FORMATS)
def test_the_rows_of_a_batch_are_numbered_after_the_inference_id(endpoint: Endpoint, content_type: str) -> None:
    body = written([EXAMPLE, BAD, EXAMPLE], content_type)
    results = invoke(endpoint, body, content_type, **{INFERENCE_ID: "a-1", "accept": JSON}).json()["results"]
    assert [row.get("decision_id") for row in results] == ["a-1-1", None, "a-1-3"]
    large = invoke(endpoint, written([EXAMPLE] * 9000, CSV), CSV, **{INFERENCE_ID: "b", "accept": LINES})
    ids = [json.loads(line)["decision_id"] for line in large.text.splitlines()]
    assert ids == [f"b-{row}" for row in range(1, 9001)]


@pytest.mark.parametrize(
    ("value", "explained"),
    [("true", True), ("`true`", True), ("True", True), ("`false`", False), ("false", False), ("[0] > `0.5`", False)],
)
def test_explanations_are_given_where_they_are_asked_for(endpoint: Endpoint, value: str, explained: bool) -> None:
    answer = invoke(endpoint, ONE, **{EXPLANATIONS: value}).json()
    assert ("reasons" in answer) == explained
    batch = invoke(endpoint, written([EXAMPLE], JSON), **{EXPLANATIONS: value}).json()["results"][0]
    assert ("reasons" in batch) == explained
    if explained:
        assert answer["reasons"] == invoke(endpoint, ONE, path="/predict?explain=true").json()["reasons"]
        assert batch["reasons"] == answer["reasons"]


def test_other_headers_are_ignored(endpoint: Endpoint) -> None:
    others = {
        f"X-Amzn-SageMaker-{name}": "\x7e" * 300 for name in ("Target-Model", "Target-Variant", "Session-Id", "X")
    }
    assert invoke(endpoint, ONE, **others).status_code == 200


def test_invocations_are_counted_under_their_route(endpoint: Endpoint) -> None:
    invoke(endpoint, b"", CSV)
    httpx.get(f"{endpoint.url}/ping")

    def counted() -> bool:
        text = httpx.get(f"{endpoint.url}/metrics").text
        return all(
            f'riskline_requests_total{{channel="api",route="{route}",status="{status}"}}' in text
            for route, status in (("/invocations", 204), ("/ping", 200))
        )

    deadline = time.monotonic() + 20
    while not counted():
        assert time.monotonic() < deadline


# what an environment changes ------------------------------------------------------------------------------------------

TWO = [EXAMPLE, {**EXAMPLE, OPTIONAL.name: None}]


def test_the_official_images_outputs_are_given_where_they_are_asked_for(started: Started) -> None:
    names = "probability,predicted_label,labels,probabilities,raw_score,raw_scores,predicted_score"
    with started({"SAGEMAKER_INFERENCE_OUTPUT": names}) as endpoint:
        p = invoke(endpoint, ONE, path="/predict").json()["probability"]
        both = [round(1 - p, 6), p]
        answer = invoke(endpoint, codes(EXAMPLE).encode(), CSV)
        assert answer.text == f'{p},{int(p > 0.5)},"[0, 1]","{both}",{p},"{both}",nan\n'
        expected = {
            "predicted_label": int(p > 0.5), "labels": [0, 1], "probability": p, "probabilities": both,
            "raw_score": p, "raw_scores": both, "predicted_score": None,
        }  # fmt: skip
        answer = invoke(endpoint, codes(EXAMPLE).encode(), CSV, accept=LINES)
        assert answer.text == json.dumps(expected, separators=(",", ":")) + "\n"
        for body in (ONE, written([EXAMPLE], JSON)):
            answer = invoke(endpoint, body)
            assert list(answer.json()["predictions"][0].items()) == list(expected.items())
            assert answer.json() == {"predictions": [expected]}
        refused = invoke(endpoint, written([BAD, EXAMPLE], CSV), CSV).text.splitlines()
        assert refused[0].startswith(f"invalid_application {NUMBER.name}:range,,")
        assert refused[0].count(",") == 6
        refused = invoke(endpoint, written([BAD, EXAMPLE], LINES), LINES).text.splitlines()
        assert json.loads(refused[0])["error"] == "invalid_application"
        explained = invoke(endpoint, written([EXAMPLE], LINES), LINES, **{EXPLANATIONS: "true"}).json()
        assert explained["reasons"] == invoke(endpoint, ONE, path="/predict?explain=true").json()["reasons"]
        assert invoke(endpoint, json.dumps(BAD).encode()).status_code == 422


def test_clarify_gets_bare_probabilities(started: Started) -> None:
    with started({"SAGEMAKER_INFERENCE_OUTPUT": "probability"}) as endpoint:
        rows = TWO * 1024
        expected = invoke(endpoint, ONE, path="/predict").json()["probability"]
        for content_type in (CSV, LINES):
            answer = invoke(endpoint, written(rows, content_type), content_type, accept=CSV)
            assert answer.headers["content-type"] == CSV
            lines = answer.text.splitlines()
            assert len(lines) == len(rows)
            assert {float(line) for line in lines[::2]} == {expected}


def test_a_batch_job_loses_no_file_over_a_refused_record(started: Started) -> None:
    job = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_BATCH_STRATEGY": "SingleRecord", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
           "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3"}  # fmt: skip
    with started(job) as endpoint:
        expected = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 1}
        assert httpx.get(f"{endpoint.url}/execution-parameters").json() == expected
        lines = [ONE, json.dumps(BAD).encode(), b"{", ONE]
        for body in ([ONE], [lines[1]], [lines[2]], lines):
            answer = invoke(endpoint, b"\n".join(body) + b"\n")
            assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
            said = [json.loads(line) for line in answer.text.splitlines()]
            assert ["probability" in row for row in said] == [line == ONE for line in body]
        assert "probability" in invoke(endpoint, json.dumps(EXAMPLE, indent=1).encode()).json()
        answer = invoke(endpoint, written([EXAMPLE] * 15_000, CSV), CSV, accept=LINES)
        assert (answer.status_code, answer.text.count("\n")) == (200, 15_000), "an answer may be larger than a body"
        assert len(answer.content) > MIB
        answer = invoke(endpoint, written([EXAMPLE] * 20_000, LINES), LINES)
        assert (answer.status_code, error_of(answer)) == (413, "body_too_large")
        assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in answer.json()["message"]


# multi-model endpoints ------------------------------------------------------------------------------------------------


def test_the_routes_of_multi_model_endpoints_are_not_there_unasked(endpoint: Endpoint) -> None:
    for method, path in (("GET", "/models"), ("POST", "/models"), ("GET", "/models/a"), ("DELETE", "/models/a")):
        answer = httpx.request(method, endpoint.url + path)
        assert (answer.status_code, error_of(answer)) == (404, "not_found")
    assert invoke(endpoint, ONE, path="/models/a/invoke").status_code == 404


def test_models_are_loaded_listed_invoked_and_unloaded(started: Started, model_path: str) -> None:
    with started({"SAGEMAKER_MULTI_MODEL": "true"}) as endpoint:

        def load(name: str, url: str = model_path) -> httpx.Response:
            return httpx.post(f"{endpoint.url}/models", json={"model_name": name, "url": url}, timeout=60)

        def status_of(method: str, path: str) -> int:
            return httpx.request(method, endpoint.url + path, timeout=60).status_code

        assert httpx.get(f"{endpoint.url}/models").json() == {"models": []}
        assert load("a").status_code == 200
        again = load("a")
        assert (again.status_code, error_of(again)) == (409, "already_loaded")
        missing = load("b", "/no/such/model")
        assert (missing.status_code, error_of(missing)) == (400, "bad_artifact")
        for body in (b"{", b"{}", b'{"model_name": "x", "url": "riskline:latest"}'):
            answer = httpx.post(f"{endpoint.url}/models", content=body)
            assert (answer.status_code, error_of(answer)) == (400, "malformed_body")
        assert load("b").status_code == 200
        # a new connection each time, so that both workers are met
        for _ in range(8):
            shown = httpx.get(f"{endpoint.url}/models").json()
            assert shown == {"models": [{"modelName": name, "modelUrl": model_path} for name in ("a", "b")]}
            assert httpx.get(f"{endpoint.url}/models/a").json() == {"modelName": "a", "modelUrl": model_path}
            answer = invoke(endpoint, ONE, path="/models/b/invoke", **{INFERENCE_ID: "x"})
            assert answer.json() == {**invoke(endpoint, ONE).json(), "decision_id": "x"}
        assert status_of("DELETE", "/models/b") == 200
        for _ in range(8):
            assert status_of("GET", "/models/b") == status_of("DELETE", "/models/b") == 404
            assert invoke(endpoint, ONE, path="/models/b/invoke").status_code == 404
        assert invoke(endpoint, ONE, path="/models/a/invoke").status_code == 200
        assert httpx.get(f"{endpoint.url}/ping").status_code == 200
