import json
import logging
from typing import Any

import pytest
from prometheus_client import REGISTRY

from model.artifact import Artifact
from preprocessing.decode import RULES
from preprocessing.errors import RisklineError
from serving.api import Answer, Api
from serving.errors import STATUS
from serving.scorer import Scorer
from serving.settings import Settings, SettingsError
from tests.generated import EXAMPLE, NUMBER

JSON = "application/json"
BODY = json.dumps(EXAMPLE).encode()
BATCH = json.dumps({"applications": [EXAMPLE, {}, EXAMPLE]}).encode()


@pytest.fixture(scope="module")
def api(artifact: Artifact) -> Api:
    return Api(Scorer(artifact), Settings(max_rows=3, max_body_mb=0.01))


def read(answer: Answer) -> Any:
    return json.loads(answer.body)


def test_one_application_gets_its_score(api: Api) -> None:
    answer = api.predict(BODY, JSON)
    assert answer.status == 200
    assert list(read(answer)) == [
        "probability", "tier", "model_version", "policy_version", "decision_id", "warnings",
    ]  # fmt: skip


def test_a_batch_gets_scores_and_errors_in_order(api: Api) -> None:
    answer = api.predict_batch(BATCH, JSON)
    assert answer.status == 200
    first, second, third = read(answer)["results"]
    assert first["probability"] == third["probability"] == read(api.predict(BODY, JSON))["probability"]
    assert set(second) == {"error", "message", "detail"}
    assert second == read(api.predict(b"{}", JSON))


def test_an_empty_batch_is_an_empty_answer(api: Api) -> None:
    assert api.predict_batch(b'{"applications": []}', JSON) == Answer(200, b'{"results":[]}')


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        (b"", JSON, 400, "malformed_body"),
        (b"{", JSON, 400, "malformed_body"),
        (b"{}", JSON, 422, "invalid_application"),
        (b"[]", JSON, 422, "invalid_application"),
        (b" " * 20_000, JSON, 413, "body_too_large"),
        (BODY, "text/csv", 415, "unsupported_media_type"),
        (BODY, "application/vnd.bentoml+pickle", 415, "unsupported_media_type"),
        (BODY, "application/json; charset=latin-1", 415, "unsupported_media_type"),
        (BODY, "", 415, "unsupported_media_type"),
    ],
)
def test_what_is_wrong_is_answered_with_status_and_code(
    api: Api, body: bytes, content_type: str, status: int, error: str
) -> None:
    answer = api.predict(body, content_type)
    assert (answer.status, read(answer)["error"]) == (status, error)
    assert set(read(answer)) == {"error", "message", "detail"}


@pytest.mark.parametrize(
    "content_type",
    [None, JSON, "Application/JSON", 'application/json; charset="UTF-8"', "application/json;charset=utf8"],
)
def test_json_goes_by_every_name_that_it_may_be_sent_under(api: Api, content_type: str | None) -> None:
    assert api.predict(BODY, content_type).status == 200


def test_limits_are_named_with_the_setting_that_moves_them(api: Api) -> None:
    rows = api.predict_batch(json.dumps({"applications": [{}] * 4}).encode(), JSON)
    assert (rows.status, read(rows)["message"]) == (
        413,
        "the batch has 4 applications; the limit is 3 (RISKLINE_MAX_ROWS)",
    )
    size = api.predict_batch(b" " * 20_000, JSON)
    assert (size.status, read(size)["message"]) == (
        413,
        "the body is larger than the limit of 0.01 MiB (RISKLINE_MAX_BODY_MB)",
    )


def test_the_unexpected_is_logged_whole_and_told_to_nobody(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> list[float]:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(Artifact, "score", broken)
    with caplog.at_level(logging.ERROR):
        answer = Api(Scorer(artifact), Settings()).predict(BODY, JSON)
    assert (answer.status, read(answer)["error"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert "the secret inside" in caplog.text
    assert str(EXAMPLE[NUMBER.name]) not in caplog.messages[0]


def test_a_refused_value_reaches_neither_answer_nor_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    secret = "1234567.875"
    with caplog.at_level(logging.DEBUG):
        answer = api.predict(BODY.replace(f'"{NUMBER.name}": 9'.encode(), f'"{NUMBER.name}": {secret}'.encode()), JSON)
    assert answer.status == 422
    assert secret not in answer.body.decode() + caplog.text


def test_every_error_a_caller_can_cause_has_a_status() -> None:
    def subclasses(error: type[RisklineError]) -> set[type[RisklineError]]:
        return {error, *(deeper for sub in error.__subclasses__() for deeper in subclasses(sub))}

    raised_to_callers = {
        error.code
        for error in subclasses(RisklineError) - {RisklineError, SettingsError}
        if not error.__module__.startswith("model")
    }
    assert raised_to_callers <= set(STATUS)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_scores_refusals_and_warnings_are_counted_under_few_labels(api: Api) -> None:
    tier = read(api.predict(BODY, JSON))["tier"]
    before = (
        counted("riskline_scores_total", tier=tier),
        counted("riskline_refused_total", field=NUMBER.name, rule="required"),
        counted("riskline_refused_total", field="other", rule="unknown"),
    )
    api.predict_batch(json.dumps({"applications": [EXAMPLE, {}, {**EXAMPLE, "shoe_size": 44}]}).encode(), JSON)
    after = (
        counted("riskline_scores_total", tier=tier),
        counted("riskline_refused_total", field=NUMBER.name, rule="required"),
        counted("riskline_refused_total", field="other", rule="unknown"),
    )
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]
    assert "required" in RULES
    assert "unknown" in RULES
