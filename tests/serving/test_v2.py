"""The Open Inference Protocol's way to a score: the same bits as every other way, a row's error in its place."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.log import Log
from model.artifact import POLICY, Artifact
from preprocessing.encode import FIELDS
from serving.api import Api
from serving.bodies import as_file
from serving.messages import Answer, Request
from serving.settings import Settings
from serving.v2_outputs import OUTPUTS
from tests.generated import EXAMPLE, NUMBER, OPTIONAL, anything, doubtful_applications, valid_applications
from tests.v2 import HEADER, INFER, Rows, as_binary, as_json, outputs, tensors

JSON = {b"content-type": b"application/json"}
BAD = {**EXAMPLE, NUMBER.name: -1}


@pytest.fixture(scope="module")
def api(artifact: Artifact) -> Iterator[Api]:
    made = Api(artifact, Settings())
    yield made
    made.close()


def ask(api: Api, body: bytes, headers: dict[bytes, bytes] = JSON, path: str = INFER, version: str = "") -> Answer:
    length = {b"content-length": b"%d" % len(body)}
    return asyncio.run(api.answer(path, Request({**JSON, **length, **headers}, b"", body, version)))


def whole(answer: Answer) -> bytes:
    with as_file(answer.body) as file:
        return file.read()


def values(answer: Answer) -> dict[str, list[Any]]:
    assert answer.status == 200, answer.body
    json_bytes = dict(answer.headers).get(HEADER)
    return outputs(whole(answer), None if json_bytes is None else int(json_bytes))


def results(api: Api, rows: Rows) -> list[dict[str, Any]]:
    """What /predict_batch says of them."""
    answer = ask(api, json.dumps({"applications": rows}).encode(), path="/predict_batch")
    told: list[dict[str, Any]] = json.loads(whole(answer))["results"]
    return told


def assert_same(told: dict[str, list[Any]], expected: list[dict[str, Any]]) -> None:
    """The tensors say what the objects say, but for ids, which are made anew."""
    for row, result in enumerate(expected):
        if "error" in result:
            assert json.loads(told["error"][row]) == result
            assert [told[name][row] for name in ("probability", "tier", "points")] == [None, "", 0]
            assert [told[name][row] for name in ("decision_id", "warnings")] == ["", "[]"]
        else:
            assert told["error"][row] == ""
            for name in ("probability", "tier", "points"):
                assert told[name][row] == result[name], name
            assert json.loads(told["warnings"][row]) == result["warnings"]


@settings(max_examples=100)
@given(application=valid_applications)
def test_one_application_gets_the_same_bits_in_json_in_binary_and_by_predict(
    api: Api, application: dict[str, Any]
) -> None:
    expected = [json.loads(whole(ask(api, json.dumps(application).encode(), path="/predict")))]
    for _ in range(2):  # the first of a client is read in another way than the next
        assert_same(values(ask(api, as_json([application], id="x"))), expected)
    body, headers = as_binary([application], parameters={"binary_data_output": True})
    assert_same(values(ask(api, body, headers)), expected)


@settings(max_examples=40)
@given(rows=st.lists(doubtful_applications | valid_applications, min_size=1, max_size=6))
def test_many_are_judged_as_in_every_other_form_and_one_as_among_many(api: Api, rows: list[dict[str, Any]]) -> None:
    rows = [*rows, EXAMPLE]  # so that each required input is there
    said = [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]
    expected = results(api, said)
    assert_same(values(ask(api, as_json(rows))), expected)
    body, headers = as_binary(rows)
    assert_same(values(ask(api, body, headers)), expected)
    for row, result in zip(said, expected, strict=True):
        if all(field.name in row for field in FIELDS if field.required):
            assert_same(values(ask(api, as_json([row]))), [result])


def test_many_blocks_keep_their_order(artifact: Artifact) -> None:
    api = Api(artifact, Settings())
    rows = [BAD if number % 1000 == 7 else {**EXAMPLE, NUMBER.name: number % 40} for number in range(9000)]
    body, headers = as_binary(rows, parameters={"binary_data_output": True})
    told = values(ask(api, body, headers))
    assert_same(told, results(api, rows))
    assert len(set(told["decision_id"])) == 9000 - 9 + 1
    api.close()


def test_the_answer_has_all_outputs_in_their_order_and_says_what_made_it(api: Api, artifact: Artifact) -> None:
    answer = json.loads(whole(ask(api, as_json([EXAMPLE], id='an id \u00e9"'))))
    assert answer["id"] == 'an id \u00e9"'
    assert answer["model_name"] == "riskline"
    assert answer["model_version"] == artifact.model_version
    assert answer["parameters"] == {"policy_version": artifact.policy_version}
    told = [(output["name"], output["datatype"]) for output in answer["outputs"]]
    assert told == [(name, output.datatype) for name, output in OUTPUTS.items() if name != "reasons"]
    assert "id" not in json.loads(whole(ask(api, as_json([EXAMPLE]))))


def test_only_what_is_asked_for_is_answered_each_in_its_form(api: Api) -> None:
    wanted = [
        {"name": "tier", "parameters": {"binary_data": True}},
        {"name": "points", "parameters": {"binary_data": False}},
        {"name": "probability"},
    ]
    answer = ask(api, as_json([EXAMPLE, BAD], outputs=wanted, parameters={"binary_data_output": True}))
    body, json_bytes = whole(answer), int(dict(answer.headers)[HEADER])
    described = json.loads(body[:json_bytes])["outputs"]
    assert [(output["name"], "data" in output) for output in described] == [
        ("tier", False), ("points", True), ("probability", False),
    ]  # fmt: skip
    [score, _] = results(api, [EXAMPLE, BAD])
    expected = {
        "tier": [score["tier"], ""],
        "points": [score["points"], 0],
        "probability": [score["probability"], None],
    }
    assert outputs(body, json_bytes) == expected
    assert dict(answer.headers)[b"content-type"] == b"application/octet-stream"


@pytest.mark.parametrize("how", [{"parameters": {"explain": True}}, {"outputs": [{"name": "reasons"}]}])
def test_reasons_come_where_they_are_asked_for(api: Api, how: dict[str, Any]) -> None:
    predict = asyncio.run(api.answer("/predict", Request(JSON, b"explain=true", json.dumps(EXAMPLE).encode())))
    expected = json.loads(whole(predict))["reasons"]
    assert [json.loads(told) for told in values(ask(api, as_json([EXAMPLE], **how)))["reasons"]] == [expected]
    told = values(ask(api, as_json([EXAMPLE, BAD], **how)))["reasons"]
    assert [json.loads(each) for each in told] == [expected, []]


def test_an_optional_input_may_be_left_out(api: Api) -> None:
    without = {name: value for name, value in EXAMPLE.items() if name != OPTIONAL.name}
    told = values(ask(api, as_json([without])))
    assert_same(told, results(api, [without]))
    assert json.loads(told["warnings"][0])[0]["code"] == "missing"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({b"content-type": b"text/csv"}, 415),
        ({b"content-type": b"application/x-www-form-urlencoded"}, 415),
        ({b"content-encoding": b"gzip"}, 415),
        ({HEADER: b"-1"}, 400),
        ({HEADER: b"9" * 30}, 400),
        ({HEADER: b"100000"}, 400),
        ({b"x-channel": b"nobody"}, 400),
        ({b"idempotency-key": b"with space"}, 400),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_in_the_protocols_form(
    api: Api, headers: dict[bytes, bytes], status: int
) -> None:
    answer = ask(api, as_json([EXAMPLE]), headers)
    assert answer.status == status
    assert list(json.loads(whole(answer))) == ["error"]


def test_no_type_is_taken_for_json(api: Api) -> None:
    body = as_json([EXAMPLE])
    length = {b"content-length": b"%d" % len(body)}
    assert asyncio.run(api.answer(INFER, Request(length, b"", body))).status == 200


def test_another_version_than_the_running_one_is_not_found(api: Api, artifact: Artifact) -> None:
    assert ask(api, as_json([EXAMPLE]), version=artifact.model_version).status == 200
    answer = ask(api, as_json([EXAMPLE]), version="0" * 12)
    assert answer.status == 404
    assert "there is no version" in json.loads(whole(answer))["error"]


def test_limits_are_those_of_a_batch(artifact: Artifact) -> None:
    api = Api(artifact, Settings(max_rows=3, max_body_mb=0.01))
    assert ask(api, as_json([EXAMPLE] * 3)).status == 200
    for rows in (4, 200):
        answer = ask(api, as_json([EXAMPLE] * rows))
        assert answer.status == 413
        assert "RISKLINE_MAX" in json.loads(whole(answer))["error"]
    api.close()


def test_decisions_are_recorded_with_their_channel_and_ids(recording: Api, log: Log) -> None:
    told = values(ask(recording, as_json([EXAMPLE, BAD, EXAMPLE]), {b"x-channel": b"mobile", b"idempotency-key": b"k"}))
    assert told["decision_id"] == ["k-1", "", "k-3"]
    one = values(ask(recording, as_json([EXAMPLE]), {b"idempotency-key": b"one"}))
    assert one["decision_id"] == ["one"]
    [anew] = values(ask(recording, as_json([EXAMPLE])))["decision_id"]
    log.drain()
    kept = log.store.get(["k-1", "k-2", "k-3", "one", anew])
    assert set(kept) == {"k-1", "k-3", "one", anew}
    assert kept["k-1"].fact["channel"] == "mobile"


def test_asking_again_gives_the_same_decision_and_another_application_an_error(recording: Api) -> None:
    key = {b"idempotency-key": b"k"}
    wanted = [{"name": name} for name in ("probability", "decision_id", "reasons", "error")]
    explained = as_json([EXAMPLE], outputs=wanted)
    assert whole(ask(recording, explained, key)) == whole(ask(recording, explained, key))
    plain = as_json([EXAMPLE])
    assert values(ask(recording, plain, key))["error"] == [""]
    told = values(ask(recording, as_json([{**EXAMPLE, NUMBER.name: 20}]), key))
    assert json.loads(told["error"][0])["error"] == "conflict"
    assert told["probability"] == [None]


def test_versions_are_those_of_the_decisions_and_empty_where_these_differ(recording: Api, artifact: Artifact) -> None:
    key, plain = {b"idempotency-key": b"k"}, as_json([EXAMPLE])

    def versions(body: bytes) -> tuple[str, str]:
        answer = json.loads(whole(ask(recording, body, key)))
        return answer["model_version"], answer["parameters"]["policy_version"]

    before = versions(plain)
    assert versions(as_json([EXAMPLE, EXAMPLE])) == before
    recording.serve(replace(artifact, files={**artifact.files, POLICY: artifact.files[POLICY] + b" "}))
    now = (artifact.model_version, recording.artifact.policy_version)
    assert now != before
    assert versions(plain) == before, "it was decided then"
    assert versions(as_json([EXAMPLE, EXAMPLE])) == before
    assert versions(as_json([EXAMPLE, EXAMPLE, EXAMPLE])) == (before[0], "")
    assert json.loads(whole(ask(recording, plain)))["parameters"]["policy_version"] == now[1]


@settings(max_examples=150)
@given(data=st.data(), inputs=st.lists(anything, max_size=2))
def test_nothing_that_comes_is_more_than_refused(api: Api, data: st.DataObject, inputs: list[Any]) -> None:
    body, headers = as_binary([EXAMPLE, EXAMPLE])
    if data.draw(st.booleans()):
        body, headers = json.dumps({"inputs": [*tensors([EXAMPLE]), *inputs]}).encode(), JSON
    at = data.draw(st.integers(0, len(body)))
    cut = body[:at] + data.draw(st.binary(max_size=9)) + body[at + data.draw(st.integers(0, 9)) :]
    answer = ask(api, cut, headers)
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert list(json.loads(whole(answer))) == ["error"]


def test_a_body_that_is_too_long_for_the_event_loop_is_read_in_a_thread(api: Api) -> None:
    told = values(ask(api, as_json([EXAMPLE], parameters={"more": "x" * 40_000})))
    assert_same(told, results(api, [EXAMPLE]))
    assert values(ask(api, as_json([EXAMPLE] * 300)))["error"] == [""] * 300
