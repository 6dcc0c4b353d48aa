"""Decisions as the people who work on them meet them: lists, single ones, reviews, outcomes; in both lanes."""

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from decisions.log import Log
from decisions.places import STORE
from loadtest.server import Server, running_server
from model.artifact import Artifact, verify, with_policy
from model.policy import Review
from preprocessing.encode import FIELDS
from preprocessing.schema import BAD
from serving.api import Api
from serving.bodies import as_file
from serving.decisions import route_of
from serving.messages import Request
from serving.reviewing import LIST, ONE_DECISION, OUTCOMES, REVIEW, Decision, Decisions, ListedDecision
from serving.settings import Settings
from tests.decisions.decided import EXAMPLE, OTHER
from tests.lab.waiting import until

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "decisions"


@pytest.fixture
def api(artifact: Artifact, folder: Path) -> Iterator[Api]:
    """A worker whose policy sends every decision to the queue."""
    everything = artifact.policy.model_copy(update={"review": Review(tiers=("low", "medium", "high"))})
    log = Log(folder)
    made = Api(verify(with_policy(artifact, everything), "the tests' model"), Settings(max_rows=5), log=log)
    yield made
    made.close()
    log.close()


def ask(
    api: Api, route: str, body: Any = b"", query: str = "", id_: str = "", content_type: str = JSON
) -> tuple[int, Any]:
    """Status and body, which is JSON in most cases."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request({b"content-type": content_type.encode()}, query.encode(), content, id_)
    answer = asyncio.run(api.answer(route, request))
    with as_file(answer.body) as file:
        text = file.read().decode()
    return answer.status, json.loads(text) if dict(answer.headers)[b"content-type"] == JSON.encode() else text


def scored(api: Api, application: dict[str, Any] = EXAMPLE) -> str:
    status, answer = ask(api, "/predict", application)
    assert status == 200
    return str(answer["decision_id"])


def reviewed(api: Api, id_: str, reviewer: str, verdict: str, **more: object) -> tuple[int, Any]:
    return ask(api, REVIEW, {"reviewer": reviewer, "verdict": verdict, **more}, id_=id_)


def test_a_decision_is_shown_whole_and_as_the_contract_says(api: Api) -> None:
    id_ = scored(api)
    status, whole = ask(api, ONE_DECISION, id_=id_)
    assert status == 200
    assert whole["facts"]["id"] == id_
    assert whole["facts"]["review"] == ["tier"]
    assert whole["application"] == {field.name: EXAMPLE[field.name] for field in FIELDS}
    assert (whole["state"], whole["forgotten"], whole["warnings"], whole["reviews"]) == ("queued", False, [], [])
    assert len(bytes.fromhex(whole["record"]["hash"])) == len(bytes.fromhex(whole["record"]["digest"])) == 32
    assert whole["record"]["number"] == 1
    assert "salt" not in json.dumps(whole)
    assert_described(Decision, whole)
    reviewed(api, id_, "ann", "approve")
    ask(api, OUTCOMES, {"outcomes": [{"decision_id": id_, "outcome": "bad", "date": "2027-01-31"}]})
    assert_described(Decision, ask(api, ONE_DECISION, id_=id_)[1])
    status, page = ask(api, LIST)
    assert_described(Decisions, page)
    assert list(page["decisions"][0]) == list(ListedDecision.model_fields)


def assert_described(model: type[BaseModel], answer: Any) -> None:
    """That the contract's model has just what is answered."""
    assert model.model_validate(answer).model_dump(mode="json", exclude_unset=True) == answer


def test_a_review_stands_beside_the_models_tier(api: Api) -> None:
    id_ = scored(api)
    before = ask(api, ONE_DECISION, id_=id_)[1]
    status, after = reviewed(api, id_, "ann", "decline", note="no payslip")
    assert status == 200
    [review] = after["reviews"]
    assert (review["reviewer"], review["verdict"], review["note"]) == ("ann", "decline", "no payslip")
    assert {**after, "state": "queued", "reviews": []} == before
    assert after["state"] == "declined"
    assert ask(api, ONE_DECISION, id_=id_)[1] == after
    assert ask(api, LIST, query="state=queued")[1]["decisions"] == []


def test_reviewers_who_differ_are_both_there_and_the_decision_is_in_conflict(api: Api) -> None:
    id_ = scored(api)
    reviewed(api, id_, "ann", "approve", seen=0)
    status, error = reviewed(api, id_, "bob", "decline", seen=0)
    assert (status, error["error"]) == (409, "outdated")
    status, whole = reviewed(api, id_, "bob", "decline", seen=1)
    assert (status, whole["state"]) == (200, "conflict")
    assert [review["reviewer"] for review in whole["reviews"]] == ["ann", "bob"]
    assert [one["id"] for one in ask(api, LIST, query="state=conflict")[1]["decisions"]] == [id_]
    assert reviewed(api, id_, "ann", "decline")[1]["state"] == "declined"


def test_lists_are_paged_and_filtered(api: Api, artifact: Artifact) -> None:
    ids = [scored(api) for _ in range(5)]
    first = ask(api, LIST, query="limit=2&timing=true")[1]
    second = ask(api, LIST, query=f"limit=2&cursor={first['next']}")[1]
    last = ask(api, LIST, query=f"limit=2&cursor={second['next']}")[1]
    assert [one["id"] for page in (first, second, last) for one in page["decisions"]] == ids
    assert last["next"] is None
    newest = ask(api, LIST, query="order=newest&limit=1")[1]
    assert [one["id"] for one in newest["decisions"]] == ids[-1:]
    time = first["decisions"][0]["time"]
    for query, count in (
        (f"model_version={artifact.model_version}&channel=api", 5),
        ("model_version=another", 0),
        ("channel=phone", 0),
        (f"since={time}", 5),
        (f"until={time}", 0),
        ("since=2026-01-01T00:00:00%2B01:00&until=2126-01-01T00:00:00Z&state=queued", 5),
    ):
        assert len(ask(api, LIST, query=query)[1]["decisions"]) == count, query


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("tier=huge", "tier", "category"),
        ("state=", "state", "category"),
        ("limit=0", "limit", "range"),
        ("limit=1001", "limit", "range"),
        ("cursor=abc", "cursor", "type"),
        ("cursor=-1", "cursor", "range"),
        (f"cursor={2**64}", "cursor", "range"),
        ("since=yesterday", "since", "type"),
        ("since=2026-01-01T00:00:00", "since", "type"),
        ("colour=red", "colour", "unknown"),
        ("tier=low&tier=high", "tier", "duplicate"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(api: Api, query: str, field: str, rule: str) -> None:
    status, error = ask(api, LIST, query=query)
    assert (status, error["error"]) == (422, "invalid_request")
    assert [(problem["field"], problem["rule"]) for problem in error["detail"]] == [(field, rule)]


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"verdict": "perhaps"}, "verdict", "category"),
        ({"verdict": None}, "verdict", "category"),
        ({"reviewer": ""}, "reviewer", "length"),
        ({"reviewer": "x" * 129}, "reviewer", "length"),
        ({"note": "x" * 2001}, "note", "length"),
        ({"seen": -1}, "seen", "range"),
        ({"seen": "1"}, "seen", "type"),
        ({"tier": "low"}, "tier", "unknown"),
    ],
)
def test_what_is_wrong_with_a_review_is_named_and_nothing_is_added(
    api: Api, change: dict[str, object], field: str, rule: str
) -> None:
    id_ = scored(api)
    status, error = ask(api, REVIEW, {"reviewer": "ann", "verdict": "approve", **change}, id_=id_)
    assert (status, error["error"]) == (422, "invalid_request")
    assert [(problem["field"], problem["rule"]) for problem in error["detail"]] == [(field, rule)]
    assert ask(api, ONE_DECISION, id_=id_)[1]["reviews"] == []


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"{", JSON, (400, "malformed_body")),
        (b"", JSON, (400, "malformed_body")),
        (b"[]", JSON, (422, "invalid_request")),
        (b"a,b", CSV, (415, "unsupported_media_type")),
        (b" " * 70_000, JSON, (413, "body_too_large")),
    ],
)
def test_a_body_that_is_no_review_is_refused(
    api: Api, body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    status, error = ask(api, REVIEW, body, id_=scored(api), content_type=content_type)
    assert (status, error["error"]) == expected


def forget(folder: Path, id_: str) -> None:
    with sqlite3.connect(folder / STORE) as store:
        assert store.execute("UPDATE decisions SET personal = NULL WHERE id = ?", (id_,)).rowcount == 1
    store.close()


def test_unknown_and_forgotten_decisions_say_so(api: Api, folder: Path) -> None:
    id_ = scored(api)
    for route, body in ((ONE_DECISION, b""), (REVIEW, {"reviewer": "ann", "verdict": "approve"})):
        status, error = ask(api, route, body, id_="nobody's")
        assert (status, error["error"]) == (404, "unknown_decision")
    ask(api, ONE_DECISION, id_=id_)  # now the store has it
    forget(folder, id_)
    status, error = reviewed(api, id_, "ann", "approve")
    assert (status, error["error"]) == (410, "forgotten")
    status, whole = ask(api, ONE_DECISION, id_=id_)
    assert (status, whole["forgotten"], whole["application"], whole["reasons"]) == (200, True, None, None)
    assert_described(Decision, whole)


ROWS = [
    {"outcome": "good", "date": "2027-01-31"},
    {"outcome": BAD, "date": "2027-02-28"},
    {"outcome": "good", "date": "2027-01-31"},
    {"outcome": "lost", "date": "tomorrow"},
]


def bodies(id_: str) -> dict[str, bytes]:
    """The same outcomes in each format."""
    rows = [{"decision_id": id_, **row} for row in ROWS] + [{"decision_id": "nobody's", **ROWS[0]}]
    return {
        JSON: json.dumps({"outcomes": rows}).encode(),
        LINES: "\n".join(map(json.dumps, rows)).encode(),
        CSV: "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]).encode(),
    }


def results(media_type: str, answer: Any) -> list[str]:
    """What came of each row: recorded, known, or an error's code."""
    if media_type == CSV:
        return [row["result"] or row["error"] for row in csv.DictReader(io.StringIO(answer))]
    rows = answer["results"] if media_type == JSON else map(json.loads, answer.splitlines())
    return [row.get("result") or row["error"] for row in rows]


@pytest.mark.parametrize("media_type", [JSON, LINES, CSV])
def test_outcomes_in_bulk_get_a_result_each(api: Api, media_type: str) -> None:
    id_ = scored(api)
    body = bodies(id_)[media_type]
    status, answer = ask(api, OUTCOMES, body, content_type=media_type)
    assert status == 200
    expected = ["recorded", "recorded", "known", "invalid_request", "unknown_decision"]
    assert results(media_type, answer) == expected
    kept = ask(api, ONE_DECISION, id_=id_)[1]["outcomes"]
    assert [(one["outcome"], one["date"]) for one in kept] == [("good", "2027-01-31"), ("bad", "2027-02-28")]
    again = ask(api, OUTCOMES, body, content_type=media_type)[1]
    assert results(media_type, again) == ["known"] * 3 + expected[3:]
    told = json.dumps(answer) if media_type == JSON else answer
    assert "lost" not in told.replace('"outcome"', "")
    assert "tomorrow" not in told


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"{", JSON, (400, "malformed_body")),
        (b"{}", JSON, (422, "invalid_batch")),
        (b'{"outcomes": {}}', JSON, (422, "invalid_batch")),
        (b"decision_id,outcome\n", CSV, (422, "invalid_batch")),
        (b"", CSV, (422, "invalid_batch")),
        (b"decision_id,outcome,date\n\xff,good,2027-01-31\n", CSV, (400, "malformed_body")),
        (b"PAR1", "application/x-parquet", (415, "unsupported_media_type")),
        (b'{"outcomes": [1, 2, 3, 4, 5, 6]}', JSON, (413, "batch_too_large")),
    ],
)
def test_a_body_that_is_no_list_of_outcomes_is_refused(
    api: Api, body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    status, error = ask(api, OUTCOMES, body, content_type=content_type)
    assert (status, error["error"]) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "rules"),
    [
        (b'{"outcomes": [1]}', JSON, [":type"]),
        (b'{"outcomes": [{"decision_id": "a", "outcome": "good", "date": 0}]}', JSON, ["date:type"]),
        (b"{\n", LINES, [":json"]),
        (b"decision_id,outcome,date\na,good\n", CSV, [":columns"]),
        (b"decision_id,outcome,date\n,good,2027-01-31\n", CSV, ["decision_id:length"]),
    ],
)
def test_a_row_that_is_no_outcome_names_field_and_rule(
    api: Api, body: bytes, content_type: str, rules: list[str]
) -> None:
    status, answer = ask(api, OUTCOMES, body, content_type=content_type)
    assert status == 200
    if content_type == CSV:
        assert [row["detail"] for row in csv.DictReader(io.StringIO(answer))] == rules
    else:
        [row] = answer["results"] if content_type == JSON else [json.loads(answer)]
        assert [f"{problem['field']}:{problem['rule']}" for problem in row["detail"]] == rules


def test_where_nothing_is_recorded_every_route_says_so(artifact: Artifact) -> None:
    api = Api(artifact, Settings(record="none"))
    for route in (LIST, ONE_DECISION, REVIEW, OUTCOMES):
        status, error = ask(api, route)
        assert (status, error["error"]) == (501, "no_record")
    api.close()


def test_a_store_that_is_away_is_an_error_and_not_an_empty_list(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Log, "drain", away)
    status, error = ask(api, LIST)
    assert (status, error["error"]) == (503, "store_away")
    monkeypatch.undo()


def test_what_the_policy_finds_unusual_is_queued_with_the_reason(artifact: Artifact, folder: Path) -> None:
    review = Review(tiers=(), outside_training_range=True)
    policy = artifact.policy.model_copy(update={"review": review})
    log = Log(folder)
    api = Api(verify(with_policy(artifact, policy), "the tests' model"), Settings(), log=log)
    # further outside than training data go: each number's greatest value
    unusual = {field.name: getattr(field.kind, "high", EXAMPLE[field.name]) for field in FIELDS}
    usual, outside = scored(api), scored(api, unusual)
    assert ask(api, ONE_DECISION, id_=usual)[1]["facts"]["review"] == []
    assert ask(api, ONE_DECISION, id_=outside)[1]["facts"]["review"] == ["range"]
    assert [one["id"] for one in ask(api, LIST, query="state=queued")[1]["decisions"]] == [outside]
    api.close()
    log.close()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/decisions", (LIST, "GET", "")),
        ("POST", "/decisions", (LIST, "GET", "")),
        ("GET", "/decisions/a/b", (ONE_DECISION, "GET", "a/b")),
        ("GET", "/decisions/a/review", (ONE_DECISION, "GET", "a/review")),
        ("POST", "/decisions/a/b/review", (REVIEW, "POST", "a/b")),
        ("POST", "/decisions/a", (ONE_DECISION, "GET", "a")),
        ("DELETE", "/outcomes", (OUTCOMES, "POST", "")),
        ("GET", "/decisionsx", None),
        ("POST", "/predict", None),
    ],
)
def test_paths_lead_to_routes_and_ids(method: str, path: str, expected: tuple[str, str, str] | None) -> None:
    assert route_of(method, path) == expected


@pytest.fixture(scope="module")
def lanes(model_folder: Path) -> Iterator[list[Server]]:
    """Two workers in the fast lane, two in BentoML's."""
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2", "RISKLINE_ACCESS_LOG": "true"}
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(running_server({**environment, "RISKLINE_FAST_LANE": on})) for on in ("true", "false")
        ]


def request(server: Server, method: str, path: str, **more: Any) -> httpx.Response:
    """Over a connection of its own, so that either worker may get it."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        return client.request(method, path, **more)


@pytest.mark.slow
def test_either_worker_shows_at_once_what_any_worker_has_acknowledged(lanes: list[Server]) -> None:
    for server in lanes:
        for _ in range(20):
            id_ = request(server, "POST", "/predict", json=EXAMPLE).json()["decision_id"]
            shown = request(server, "GET", f"/decisions/{id_}")
            assert shown.json()["facts"]["id"] == id_
            verdict = {"reviewer": "ann", "verdict": "approve"}
            assert request(server, "POST", f"/decisions/{id_}/review", json=verdict).json()["state"] == "approved"
            assert request(server, "GET", f"/decisions/{id_}").json()["state"] == "approved"


@pytest.mark.slow
def test_pages_of_a_growing_list_have_every_decision_once(lanes: list[Server]) -> None:
    server, made, seen = lanes[0], [], []
    for _ in range(3):
        answer = request(server, "POST", "/predict_batch", json={"applications": [EXAMPLE, OTHER] * 20})
        made += [row["decision_id"] for row in answer.json()["results"]]
    since = request(server, "GET", f"/decisions/{made[0]}").json()["facts"]["time"]
    query: dict[str, str] = {"since": since, "limit": "7"}
    while True:
        page = request(server, "GET", "/decisions", params=query).json()
        seen += [decision["id"] for decision in page["decisions"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
        if len(made) < 150:
            made.append(request(server, "POST", "/predict", json=EXAMPLE).json()["decision_id"])
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


@pytest.mark.slow
def test_both_lanes_answer_alike_and_count_under_few_labels(lanes: list[Server]) -> None:
    heard = []
    key = "an/id?with=all-of"
    outcome = {"decision_id": key, "outcome": "good", "date": "2027-01-31"}
    for server in lanes:
        request(server, "POST", "/predict", json=EXAMPLE, headers={"Idempotency-Key": key})
        path = "/decisions/an%2Fid%3Fwith=all-of"
        answers = [
            request(server, method, where, **more)
            for method, where, more in (
                ("GET", path, {}),
                ("POST", f"{path}/review", {"json": {"reviewer": "ann", "verdict": "decline", "note": "no payslip"}}),
                ("POST", "/outcomes", {"json": {"outcomes": [outcome]}}),
                ("GET", "/decisions/none", {}),
                ("POST", "/decisions", {}),
                ("DELETE", "/decisions/none", {}),
                ("GET", "/decisions/none/review", {}),
                ("GET", "/outcomes", {}),
                ("GET", "/decisions?limit=x", {}),
            )
        ]  # fmt: skip
        assert answers[1].json()["application"] == answers[0].json()["application"]
        heard.append([(answer.status_code, sorted(answer.json()), answer.headers.get("allow")) for answer in answers])
        assert [status for status, _, _ in heard[-1]] == [200, 200, 200, 404, 405, 405, 404, 405, 422]
        await_counts(
            server,
            {"/predict", "/predict_batch", LIST, ONE_DECISION, REVIEW, OUTCOMES}
            - ({"/predict_batch"} if server is lanes[1] else set()),
        )
        assert '"route":"/decisions/{id}/review","status":200' in server.log.read_text()
        assert "payslip" not in server.log.read_text()
    assert heard[0] == heard[1]


def await_counts(server: Server, routes: set[str]) -> None:
    """Each worker hands on what it has counted a few times a second."""
    until(lambda: routes_counted(server) == routes)


def routes_counted(server: Server) -> set[str]:
    text = request(server, "GET", "/metrics").text
    return {
        sample.labels["route"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "riskline_requests_total"
    }


@pytest.mark.slow
def test_the_contract_has_the_routes(lanes: list[Server]) -> None:
    paths = request(lanes[0], "GET", "/docs.json").json()["paths"]
    assert {LIST: ["get"], ONE_DECISION: ["get"], REVIEW: ["post"], OUTCOMES: ["post"]}.items() <= {
        path: list(operations) for path, operations in paths.items()
    }.items()
    names = [parameter["name"] for parameter in paths[LIST]["get"]["parameters"]]
    assert {"state", "tier", "channel", "model_version", "since", "until", "order", "limit", "cursor"} <= set(names)
