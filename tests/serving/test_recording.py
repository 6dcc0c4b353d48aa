"""What is answered is recorded, and what was decided before is given back, on every route and in every format."""

import asyncio
import io
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

from decisions.log import Limits, Log
from decisions.places import STORE
from decisions.sqlite import SQLiteStore
from loadtest.server import running_server
from model.artifact import Artifact, verify, with_policy
from preprocessing.encode import FIELDS
from serving.api import Api
from serving.messages import Request
from serving.settings import Settings
from tests.decisions.decided import EXAMPLE, OTHER
from tests.decisions.test_faults import held
from tests.serving.asking import ask

KEY = "Idempotency-Key"


@pytest.fixture
def api(recording: Api) -> Api:
    return recording


def as_body(application: Mapping[str, Any]) -> bytes:
    return json.dumps(application).encode()


def batch_of(*applications: Mapping[str, Any]) -> bytes:
    return json.dumps({"applications": applications}).encode()


@pytest.mark.parametrize("path", ["/predict", "/explain", "/invocations"])
def test_an_answer_is_in_the_record_with_all_that_was_said(api: Api, log: Log, path: str) -> None:
    status, body = ask(api, path, as_body(EXAMPLE), b"explain=true", X_Channel="chatbot", X_Request_Id='the"request')
    answer = json.loads(body)
    log.drain()
    record = log.store.get([answer["decision_id"]])[answer["decision_id"]]
    assert status == 200
    for name in ("probability", "tier", "points", "model_version", "policy_version"):
        assert record.fact[name] == answer[name]
    assert (record.fact["channel"], record.fact["request_id"]) == ("chatbot", 'the"request')
    assert record.person is not None
    assert record.person["application"] == {field.name: EXAMPLE[field.name] for field in FIELDS}
    assert (record.person["warnings"], record.person["reasons"]) == (answer["warnings"], answer["reasons"])


def test_every_row_of_a_batch_is_recorded_but_those_refused(api: Api, log: Log) -> None:
    _, body = ask(api, "/predict_batch", batch_of(EXAMPLE, {"unheard_of": 1}, OTHER))
    first, refused, last = json.loads(body)["results"]
    log.drain()
    assert set(log.store.get([first["decision_id"], last["decision_id"]])) == {
        first["decision_id"],
        last["decision_id"],
    }
    assert refused["error"] == "invalid_application"
    assert log.state().height == 2


def test_a_refused_application_is_no_decision(api: Api, log: Log) -> None:
    assert ask(api, "/predict", b"{}", idempotency_key="key")[0] == 422
    assert log.state().height == 0


def test_the_same_key_gives_the_same_answer_and_another_application_a_conflict(api: Api, log: Log) -> None:
    first = ask(api, "/predict", as_body(EXAMPLE), b"explain=true", idempotency_key='"key"')
    assert json.loads(first[1])["decision_id"] == "key"
    assert ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key") == first
    status, body = ask(api, "/predict", as_body(OTHER), idempotency_key="key")
    assert (status, json.loads(body)["error"]) == (409, "conflict")
    assert ask(api, "/explain", as_body(EXAMPLE), idempotency_key="key")[0] == 200
    assert ask(api, "/explain", as_body(OTHER), idempotency_key="key")[0] == 409
    assert log.state().height == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("personal = 'no JSON'", "personal part"),
        ("personal = '[1]'", "personal part"),
        ("personal = json_remove(personal, '$.warnings')", "decision"),
        ("facts = 'no JSON'", "facts"),
        ("facts = json_set(facts, '$.tier', 'gold')", "decision"),
    ],
)
def test_a_damaged_record_under_a_key_is_named_and_costs_no_other(
    api: Api, log: Log, tmp_path: Path, change: str, what: str
) -> None:
    ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key-1")
    log.drain()
    with sqlite3.connect(tmp_path / STORE) as store:
        store.execute(f"UPDATE decisions SET {change}")
    store.close()
    status, body = ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key-1")
    assert (status, json.loads(body)["error"]) == (500, "unreadable_record")
    assert f"the record's {what} cannot be read" in json.loads(body)["message"]
    damaged, fresh = json.loads(ask(api, "/predict_batch", batch_of(EXAMPLE, OTHER), idempotency_key="key")[1])[
        "results"
    ]
    assert (damaged["error"], fresh["decision_id"]) == ("unreadable_record", "key-2")


def test_a_batch_sent_again_gives_each_row_its_first_decision(api: Api) -> None:
    first = json.loads(ask(api, "/predict_batch", batch_of(EXAMPLE, OTHER), idempotency_key="key")[1])["results"]
    again = json.loads(ask(api, "/predict_batch", batch_of(EXAMPLE, EXAMPLE), idempotency_key="key")[1])["results"]
    assert [row["decision_id"] for row in first] == ["key-1", "key-2"]
    assert (again[0], again[1]["error"]) == (first[0], "conflict")


def table(applications: list[dict[str, Any]]) -> bytes:
    target = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(applications), target)
    return target.getvalue()


def test_a_table_sent_again_has_the_first_decisions_in_its_columns(api: Api) -> None:
    def rows(applications: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _, body = ask(
            api,
            "/predict_batch",
            table(applications),
            b"explain=true",
            content_type="application/x-parquet",
            idempotency_key="key",
        )
        answer: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
        return answer

    first = rows([EXAMPLE, OTHER])
    again = rows([EXAMPLE, EXAMPLE, OTHER])
    assert again[0] == first[0]
    assert (again[1]["error"], again[1]["probability"], again[1]["decision_id"]) == ("conflict", None, None)
    assert again[2]["decision_id"] == "key-3"


def test_a_large_body_is_recorded_whole(api: Api, log: Log) -> None:
    lines = (as_body(EXAMPLE) + b"\n") * 10_000
    status, body = ask(api, "/predict_batch", lines, content_type="application/jsonlines")
    assert (status, body.count(b"\n")) == (200, 10_000)
    assert log.state().height == 10_000


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x_channel": "pigeon"}, "X-Channel must be one of api, webform, mobile, chatbot, phone, mail"),
        ({"idempotency_key": "a b"}, "idempotency-key must be 1 to 64 visible ASCII characters"),
        ({"idempotency_key": ""}, "idempotency-key must be 1 to 64 visible ASCII characters"),
    ],
)
def test_a_wrong_header_is_named(api: Api, headers: Mapping[str, str], message: str) -> None:
    for path, body in (("/predict", as_body(EXAMPLE)), ("/predict_batch", batch_of(EXAMPLE))):
        status, answer = ask(api, path, body, b"", **headers)
        assert (status, json.loads(answer)["error"]) == (400, "invalid_header")
        assert json.loads(answer)["message"].startswith(message)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/predict", as_body(EXAMPLE)), ("/predict_batch", batch_of(EXAMPLE)), ("/explain", as_body(EXAMPLE))],
)
def test_what_cannot_be_recorded_is_not_given(artifact: Artifact, tmp_path: Path, path: str, body: bytes) -> None:
    log = Log(tmp_path, Limits(waiting=-1))
    api = Api(artifact, Settings(), log=log)
    status, answer = ask(api, path, body)
    assert (status, json.loads(answer)["error"]) == (503, "not_recorded")
    api.close()
    log.close()


def test_async_answers_without_waiting_and_records_all_the_same(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    api = Api(artifact, Settings(record="async"), log=log)
    answer = json.loads(ask(api, "/predict", as_body(EXAMPLE))[1])
    api.close()
    log.close()
    store = SQLiteStore(tmp_path / STORE)
    assert list(store.get([answer["decision_id"]])) == [answer["decision_id"]]
    store.close()


@pytest.mark.slow
def test_two_workers_give_the_same_first_decision(model_folder: Path, tmp_path: Path) -> None:
    environment = {
        "RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2", "RISKLINE_DECISIONS": str(tmp_path),
    }  # fmt: skip
    with running_server(environment) as server:
        for number in range(20):
            # a new connection each time, so that both workers are met
            answers = [
                httpx.post(f"{server.url}/predict", json=EXAMPLE, headers={KEY: f"key-{number}"}) for _ in range(4)
            ]
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
    store = SQLiteStore(tmp_path / STORE)
    assert len(store.get([f"key-{number}" for number in range(20)])) == 20
    store.close()


@pytest.mark.slow
def test_a_store_that_is_another_programs_ends_start_up_in_one_line(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / STORE).write_bytes(b"something else" * 1000)
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_DECISIONS": str(tmp_path)}
    with pytest.raises(Exception, match=r"riskline: .*cannot be used for decisions"), running_server(environment):
        pass


def test_one_application_that_wants_csv_gets_its_conflict_as_an_error(api: Api) -> None:
    assert ask(api, "/invocations", as_body(EXAMPLE), accept="text/csv", idempotency_key="key")[0] == 200
    status, body = ask(api, "/invocations", as_body(OTHER), accept="text/csv", idempotency_key="key")
    assert (status, json.loads(body)["error"]) == (409, "conflict")


@pytest.mark.parametrize("broken", ["serving.recording._given_back", "serving.turn.json_rows"])
def test_what_cannot_be_answered_is_an_error_at_once_and_the_next_is_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("another version wrote this record")

    with monkeypatch.context() as patched:
        patched.setattr(broken, breaks)
        status, body = ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key")
    assert (status, json.loads(body)["error"]) == (500, "internal_error")
    assert ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key")[0] == 200


def test_who_gave_no_id_need_not_wait_for_a_store_that_somebody_elses_id_waits_for(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisions.sqlite.BUSY_S", 0.01)
    log = Log(tmp_path)
    api = Api(artifact, Settings(), log=log)
    json_ = {b"content-type": b"application/json"}

    async def both_in_one_turn() -> list[int]:
        requests = [Request({**json_, b"idempotency-key": b"key"}, b"", as_body(EXAMPLE))]
        requests.append(Request(json_, b"", as_body(EXAMPLE)))
        return [answer.status for answer in await asyncio.gather(*(api.answer("/predict", each) for each in requests))]

    with held(tmp_path / STORE):
        assert asyncio.run(both_in_one_turn()) == [503, 200]
    api.close()
    log.close()


def test_a_decision_under_another_policy_is_not_explained_with_todays(api: Api, artifact: Artifact, log: Log) -> None:
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    today = Api(verify(with_policy(artifact, policy), "today's model"), Settings(), log=log)
    assert ask(api, "/predict", as_body(EXAMPLE), idempotency_key="key")[0] == 200
    status, body = ask(today, "/explain", as_body(EXAMPLE), idempotency_key="key")
    today.close()
    assert (status, json.loads(body)["error"]) == (409, "conflict")
