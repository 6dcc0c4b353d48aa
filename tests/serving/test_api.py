import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from decisions.errors import StoreError
from model.artifact import Artifact
from preprocessing import decode, json_columns
from preprocessing.encode import Matrix
from preprocessing.errors import RisklineError
from serving import metrics
from serving.api import Api
from serving.errors import STATUS
from serving.keys import KeysError
from serving.logs import Lines
from serving.messages import Answer, Request
from serving.settings import Settings, SettingsError
from serving.telemetry import Telemetry
from tests.generated import EXAMPLE, NUMBER, TRACE, TRACEPARENT

JSON = "application/json"
BODY = json.dumps(EXAMPLE).encode()
BATCH = json.dumps({"applications": [EXAMPLE, {}, EXAMPLE]}).encode()


@pytest.fixture(scope="module")
def api(artifact: Artifact) -> Iterator[Api]:
    api = Api(artifact, Settings(max_rows=3, max_body_mb=0.01, max_bulk_rows=5, max_bulk_mb=0.02))
    yield api
    api.close()


def ask(
    api: Api, path: str, body: bytes, content_type: str | None = JSON, query: bytes = b"", **headers: str
) -> Answer:
    sent: Mapping[bytes, bytes] = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    if content_type is not None:
        sent = {**sent, b"content-type": content_type.encode()}
    return asyncio.run(api.answer(path, Request(sent, query, body)))


def read(answer: Answer) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def header(answer: Answer, name: bytes) -> bytes:
    return dict(answer.headers)[name]


def test_one_application_gets_its_score(api: Api) -> None:
    answer = ask(api, "/predict", BODY)
    assert answer.status == 200
    assert list(read(answer)) == [
        "probability", "tier", "points", "model_version", "policy_version", "decision_id", "warnings",
    ]  # fmt: skip


def test_a_batch_gets_scores_and_errors_in_order(api: Api) -> None:
    answer = ask(api, "/predict_batch", BATCH)
    assert answer.status == 200
    first, second, third = read(answer)["results"]
    assert first["probability"] == third["probability"] == read(ask(api, "/predict", BODY))["probability"]
    assert set(second) == {"error", "message", "detail"}
    assert second == read(ask(api, "/predict", b"{}"))


def test_an_empty_batch_is_an_empty_answer(api: Api) -> None:
    answer = ask(api, "/predict_batch", b'{"applications": []}')
    assert (answer.status, answer.body) == (200, b'{"results":[]}')


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        (b"", JSON, 400, "malformed_body"),
        (b"{", JSON, 400, "malformed_body"),
        (b"{}", JSON, 422, "invalid_application"),
        (b"[]", JSON, 422, "invalid_application"),
        (b" " * 70_000, JSON, 413, "body_too_large"),
        (BODY, "text/csv", 415, "unsupported_media_type"),
        (BODY, "text/plain", 415, "unsupported_media_type"),
        (BODY, "application/vnd.bentoml+pickle", 415, "unsupported_media_type"),
        (BODY, "application/json; charset=latin-1", 415, "unsupported_media_type"),
        (BODY, "", 415, "unsupported_media_type"),
    ],
)
def test_what_is_wrong_is_answered_with_status_and_code(
    api: Api, body: bytes, content_type: str, status: int, error: str
) -> None:
    answer = ask(api, "/predict", body, content_type)
    assert (answer.status, read(answer)["error"]) == (status, error)
    assert set(read(answer)) == {"error", "message", "detail"}
    assert header(answer, b"content-type") == b"application/json"


@pytest.mark.parametrize(
    "content_type",
    [None, JSON, "Application/JSON", 'application/json; charset="UTF-8"', "application/json;charset=utf8"],
)
def test_json_goes_by_every_name_that_it_may_be_sent_under(api: Api, content_type: str | None) -> None:
    assert ask(api, "/predict", BODY, content_type).status == 200


def test_limits_are_named_with_the_setting_that_moves_them(api: Api) -> None:
    def refused(body: bytes, content_type: str) -> tuple[int, str]:
        answer = ask(api, "/predict_batch", body, content_type)
        return answer.status, read(answer)["message"]

    assert refused(json.dumps({"applications": [{}] * 4}).encode(), JSON) == (
        413,
        "the batch has 4 applications; the limit is 3 (RISKLINE_MAX_ROWS)",
    )
    assert refused(b" " * 20_000, JSON) == (413, "the body is larger than the limit of 0.01 MiB (RISKLINE_MAX_BODY_MB)")
    assert refused(b"{}\n" * 6, "application/jsonlines") == (
        413,
        "the batch has 6 applications; the limit is 5 (RISKLINE_MAX_BULK_ROWS)",
    )
    assert refused(b" " * 30_000, "text/csv") == (
        413,
        "the body is larger than the limit of 0.02 MiB (RISKLINE_MAX_BULK_MB)",
    )


def test_an_answer_type_that_is_not_offered_is_refused_before_anything_is_read(api: Api) -> None:
    answer = ask(api, "/predict_batch", b"not even JSON", accept="image/png")
    assert (answer.status, read(answer)["error"]) == (406, "not_acceptable")


def test_a_callers_request_id_comes_back_and_a_strange_one_is_replaced(api: Api) -> None:
    assert header(ask(api, "/predict", BODY, x_request_id="abc-1"), b"x-request-id") == b"abc-1"
    for strange in ("", "with space", "x" * 129, "\x00"):
        assert header(ask(api, "/predict", BODY, x_request_id=strange), b"x-request-id") != strange.encode()
    ids = {header(ask(api, "/predict", BODY), b"x-request-id") for _ in range(20)}
    assert len(ids) == 20


def test_stage_times_come_on_request_alone(api: Api) -> None:
    timed = header(ask(api, "/predict", BODY, query=b"a=b&timing=true"), b"server-timing").decode()
    assert [part.split(";")[0] for part in timed.split(", ")] == ["decode", "encode", "score", "decide"]
    assert b"server-timing" not in dict(ask(api, "/predict", BODY, query=b"timing=truely").headers)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each call of the model from now on."""
    rows: list[int] = []
    original = Artifact.score

    def score(self: Artifact, matrix: Matrix, *_: object) -> list[float]:
        rows.append(len(matrix))
        return original(self, matrix)

    monkeypatch.setattr(Artifact, "score", score)
    return rows


def test_what_comes_while_several_wait_is_scored_with_them(api: Api, calls: list[int]) -> None:

    async def ask_in_turns() -> None:
        request = Request({b"content-type": JSON.encode()}, b"", BODY)
        tasks = []
        for arriving in (2, 1, 1, 0, 0, 0, 0, 1):  # in each turn of the loop
            tasks += [asyncio.create_task(api.answer("/predict", request)) for _ in range(arriving)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(ask_in_turns())
    assert calls == [4, 1]


def test_requests_of_one_turn_are_scored_in_one_call_and_each_gets_its_own_answer(api: Api, calls: list[int]) -> None:
    bodies = [BODY, b"{}", json.dumps({**EXAMPLE, NUMBER.name: 40}).encode()] * 5

    async def together() -> list[Answer]:
        return await asyncio.gather(*(api.answer("/predict", Request({}, b"", body)) for body in bodies))

    answers = asyncio.run(together())
    assert calls == [15]
    assert [answer.status for answer in answers] == [200, 422, 200] * 5
    for body, answer in zip(bodies, answers, strict=True):
        alone = read(ask(api, "/predict", body))
        assert {**read(answer), "decision_id": ""} == {**alone, "decision_id": ""}


def test_a_caller_who_leaves_costs_the_others_nothing(api: Api) -> None:
    async def one_leaves() -> Answer:
        stays, leaves = (asyncio.create_task(api.answer("/predict", Request({}, b"", BODY))) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert asyncio.run(one_leaves()).status == 200


@pytest.mark.parametrize("path", ["/predict", "/predict_batch"])
def test_the_unexpected_is_logged_whole_and_told_to_nobody(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def broken(*_: object) -> list[float]:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(Artifact, "score", broken)
    api = Api(artifact, Settings())
    with caplog.at_level(logging.ERROR):
        answer = ask(api, path, BODY if path == "/predict" else BATCH, traceparent=TRACEPARENT)
    api.close()
    assert (answer.status, read(answer)["error"]) == (500, "internal_error")
    assert "secret" not in str(answer)
    assert "the secret inside" in caplog.text
    assert caplog.records[0].__dict__["about"]["trace_id"] == TRACE


def test_a_refused_value_reaches_neither_answer_nor_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    secret = "1234567.875"
    body = json.dumps({**EXAMPLE, NUMBER.name: float(secret)}).encode()
    table = f"{','.join(EXAMPLE)}\n{','.join(map(str, {**EXAMPLE, NUMBER.name: secret}.values()))}\n".encode()
    with caplog.at_level(logging.DEBUG):
        answers = [ask(api, "/predict", body), ask(api, "/predict_batch", table, "text/csv", accept="application/json")]
    assert [answer.status for answer in answers] == [422, 200]
    assert [problem["rule"] for problem in read(answers[1])["results"][0]["detail"]] == ["whole"]
    assert secret not in str(answers) + caplog.text


def test_every_error_a_caller_can_cause_has_a_status() -> None:
    def subclasses(error: type[RisklineError]) -> set[type[RisklineError]]:
        return {error, *(deeper for sub in error.__subclasses__() for deeper in subclasses(sub))}

    raised_to_callers = {
        error.code
        for error in subclasses(RisklineError) - {RisklineError, SettingsError, StoreError, KeysError}
        if not error.__module__.startswith("model")
    }
    assert raised_to_callers <= set(STATUS)


def test_the_access_log_has_a_line_for_each_request_and_no_value(
    artifact: Artifact, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    api = Api(artifact, Settings(access_log=True), telemetry=Telemetry(lines))
    ask(api, "/predict", BODY, traceparent=TRACEPARENT, x_request_id="mine")
    ask(api, "/predict_batch", b"{")
    api.close()
    lines.close()
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["route"], first["status"], first["bytes_in"]) == ("/predict", 200, len(BODY))
    assert (first["request_id"], first["trace_id"]) == ("mine", TRACE)
    assert (second["route"], second["status"], second["trace_id"]) == ("/predict_batch", 400, "")
    assert set(first) == {"timestamp", "event", "route", "status", "seconds", "bytes_in", "request_id", "trace_id"}


def test_a_flush_that_fails_does_not_end_housekeeping(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(artifact, Settings())
    monkeypatch.setattr(metrics, "FLUSH_EVERY_S", 0.001)
    flushes: list[int] = []

    def fails_once() -> None:
        flushes.append(1)
        if len(flushes) == 1:
            raise OSError("no space left on device")

    async def some_rounds() -> None:
        monkeypatch.setattr(metrics, "flush", fails_once)
        keeping = asyncio.create_task(api.housekeeping())
        while len(flushes) < 3:
            await asyncio.sleep(0.001)
            assert not keeping.done()
        keeping.cancel()

    asyncio.run(asyncio.wait_for(some_rounds(), 20))
    api.close()


def test_a_batch_above_the_limit_is_refused_before_its_rows_are_looked_at_one_by_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(*_: object) -> None:
        raise AssertionError("a row was looked at again")

    monkeypatch.setattr(decode, "reason_for_refusal", looked_at)
    monkeypatch.setattr(json_columns, "reason_for_refusal", looked_at)
    assert ask(api, "/predict_batch", b'{"applications": [{},{},{},{}]}').status == 413


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("text/csv;q=0, application/jsonlines", b"application/jsonlines"), ("text/csv;q=0.2, */*;q=0.1", b"text/csv")],
)
def test_quality_decides_and_zero_means_never(api: Api, accept: str, media_type: bytes) -> None:
    assert header(ask(api, "/predict_batch", BATCH, accept=accept), b"content-type") == media_type


def test_a_line_that_no_application_is_as_long_as_costs_only_itself(artifact: Artifact) -> None:
    api = Api(artifact, Settings())
    body = b"\n".join([BODY, b"[" + b"0," * 100_000 + b"0]", BODY])
    answer = ask(api, "/predict_batch", body, "application/jsonlines")
    api.close()
    assert isinstance(answer.body, bytes)
    assert ["error" in json.loads(line) for line in answer.body.splitlines()] == [False, True, False]
