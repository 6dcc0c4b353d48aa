"""A decision shown with its proof and its replay, as whoever reviews it asks for them."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from decisions.artifacts import keep
from decisions.log import Log
from decisions.places import STORE
from decisions.sqlite_audit import AuditStore
from model.artifact import Artifact, verify, with_policy
from serving.api import Api
from serving.bodies import as_file
from serving.messages import Request
from serving.reviewing import LIST, ONE_DECISION, Decision
from serving.settings import Settings
from tests.decisions.decided import EXAMPLE

BOTH = "proof=true&replay=true"


@pytest.fixture
def api(artifact: Artifact, tmp_path: Path) -> Iterator[Api]:
    log = Log(tmp_path)
    made = Api(artifact, Settings(), log=log)
    yield made
    made.close()
    log.close()


def ask(api: Api, route: str, query: str = "", body: Any = None, id_: str = "") -> tuple[int, bytes]:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {b"content-type": b"application/json"}
    answer = asyncio.run(api.answer(route, Request(headers, query.encode("latin-1"), content, id_)))
    with as_file(answer.body) as file:
        return answer.status, file.read()


def scored(api: Api, query: str = "") -> str:
    """The id of a decision that the store has."""
    status, answer = ask(api, "/predict", query, EXAMPLE)
    assert status == 200
    id_ = str(json.loads(answer)["decision_id"])
    assert ask(api, ONE_DECISION, id_=id_)[0] == 200
    return id_


def shown(api: Api, id_: str, query: str = BOTH) -> dict[str, Any]:
    status, answer = ask(api, ONE_DECISION, query, id_=id_)
    assert status == 200
    decision: dict[str, Any] = json.loads(answer)
    assert Decision.model_validate(decision).model_dump(mode="json", exclude_unset=True) == decision
    return decision


def edit(folder: Path, statement: str, *values: str) -> None:
    with sqlite3.connect(folder / STORE) as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


@pytest.mark.parametrize("query", ["", "explain=true"])
def test_a_decision_is_proved_and_scored_again(api: Api, query: str) -> None:
    decision = shown(api, scored(api, query))
    assert decision["proof"]["holds"] is True
    assert [check["what"] for check in decision["proof"]["checks"]] == ["digest", "hash", "before", "after"]
    replay = decision["replay"]
    assert replay.pop("equal") is True
    assert replay.pop("says") == "Scored again by the artefact that made it, the answer is the same to the last bit"
    assert replay == {name: decision["facts"][name] for name in ("probability", "tier", "points")}


def test_only_what_is_asked_for_is_added_and_the_rest_stays_as_it_was(api: Api) -> None:
    id_ = scored(api)
    plain = ask(api, ONE_DECISION, id_=id_)
    for nothing in ("proof=false", "proof=false&replay=false", "timing=true", "unheard-of=1&unheard-of=2"):
        assert ask(api, ONE_DECISION, nothing, id_=id_) == plain
    for query, added in (("proof=true", ["proof"]), ("replay=true", ["replay"]), (BOTH, ["proof", "replay"])):
        decision = shown(api, id_, query)
        assert [name for name in decision if name not in json.loads(plain[1])] == added
        assert {name: decision[name] for name in decision if name not in added} == json.loads(plain[1])


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("proof=1", "proof", "category"),
        ("proof", "proof", "category"),
        ("replay=TRUE", "replay", "category"),
        ("replay=%ff\xe9", "replay", "category"),
        ("proof=true&proof=false", "proof", "duplicate"),
    ],
)
def test_what_is_neither_true_nor_false_is_refused(api: Api, query: str, field: str, rule: str) -> None:
    status, answer = ask(api, ONE_DECISION, query, id_=scored(api))
    error = json.loads(answer)
    assert (status, error["error"]) == (422, "invalid_request")
    assert [(problem["field"], problem["rule"]) for problem in error["detail"]] == [(field, rule)]


def test_an_unknown_decision_is_unknown_with_its_proof_too(api: Api) -> None:
    status, answer = ask(api, ONE_DECISION, BOTH, id_="nobody's")
    assert (status, json.loads(answer)["error"]) == (404, "unknown_decision")


def test_an_edited_decision_is_seen(api: Api, tmp_path: Path) -> None:
    id_ = scored(api)
    edit(tmp_path, "UPDATE decisions SET facts = replace(facts, '\"points\":', '\"points\":9') WHERE id = ?", id_)
    decision = shown(api, id_)
    assert [check["what"] for check in decision["proof"]["checks"] if not check["holds"]] == ["hash"]
    points = decision["replay"]["points"]
    assert decision["replay"]["equal"] is False
    assert decision["replay"]["says"] == f"Points 9{points} was recorded, and is {points} now"


@pytest.mark.parametrize("query", ["", "proof=true", BOTH])
@pytest.mark.parametrize(("column", "what"), [("facts", "facts"), ("personal", "personal part")])
@pytest.mark.parametrize("text", ["no JSON", "[1]"])
def test_a_record_that_cannot_be_read_any_more_is_said_to_be_damaged(
    api: Api, tmp_path: Path, query: str, column: str, what: str, text: str
) -> None:
    id_ = scored(api)
    edit(tmp_path, f"UPDATE decisions SET {column} = ? WHERE id = ?", text, id_)
    status, answer = ask(api, ONE_DECISION, query, id_=id_)
    error = json.loads(answer)
    assert (status, error["error"]) == (500, "unreadable_record")
    assert what in error["message"]


@pytest.mark.parametrize("facts", ["no JSON", "[1]"])
def test_a_damaged_record_hides_no_other_in_the_list_and_is_named_there(api: Api, tmp_path: Path, facts: str) -> None:
    first, damaged, last = (scored(api) for _ in range(3))
    edit(tmp_path, "UPDATE decisions SET facts = ? WHERE id = ?", facts, damaged)
    status, answer = ask(api, LIST)
    page = json.loads(answer)
    assert (status, [each["id"] for each in page["decisions"]]) == (200, [first, last])
    assert page["unreadable"] == [damaged]


def test_an_application_that_could_not_have_been_decided_on_is_seen(api: Api, tmp_path: Path) -> None:
    id_ = scored(api)
    edit(tmp_path, "UPDATE decisions SET personal = json_set(personal, '$.application.new', 1) WHERE id = ?", id_)
    replay = shown(api, id_)["replay"]
    assert replay == {"equal": False, "says": "The application is refused now (the application has 1 problem)"}
    edit(tmp_path, "UPDATE decisions SET personal = '{}' WHERE id = ?", id_)
    replay = shown(api, id_)["replay"]
    assert replay == {
        "equal": False,
        "says": "What was recorded cannot be read any more, so somebody has edited it",
    }


def test_a_forgotten_decision_is_proved_and_not_scored_again(api: Api, tmp_path: Path) -> None:
    id_ = scored(api)
    store = AuditStore(tmp_path / STORE)
    store.forget([id_], "2027-01-31T00:00:00.000Z", "ann")
    store.close()
    decision = shown(api, id_)
    assert decision["proof"]["holds"] is True
    assert "erased" in decision["proof"]["checks"][0]["says"]
    assert decision["replay"] == {
        "equal": None,
        "says": "The application was erased, so it cannot be scored again",
    }


def test_each_decision_is_scored_again_by_the_artefact_that_made_it(api: Api, artifact: Artifact) -> None:
    first = scored(api)
    high = (artifact.policy.high_from + 1) / 2
    other = with_policy(artifact, artifact.policy.model_copy(update={"high_from": high}))
    api.serve(verify(other, "the other"))
    second = scored(api)
    decisions = [shown(api, id_) for id_ in (first, second, first)]
    assert [decision["replay"]["equal"] for decision in decisions] == [True] * 3
    assert decisions[0]["facts"]["artifact"] != decisions[1]["facts"]["artifact"]


def test_without_its_artefact_a_decision_is_not_scored_again(
    api: Api, artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = scored(api)
    kept = keep(tmp_path, artifact)
    whole = kept.read_bytes()
    kept.write_bytes(b"no archive")
    with caplog.at_level(logging.WARNING, "riskline"):
        replay = shown(api, id_, "replay=true")["replay"]
    assert replay["equal"] is None
    assert "cannot be used" in replay["says"]
    assert [record.getMessage().startswith(f"the decision {id_} ") for record in caplog.records] == [True]
    kept.unlink()
    replay = shown(api, id_, "replay=true")["replay"]
    assert set(replay) == {"equal", "says"}
    assert "not kept" in replay["says"]
    kept.write_bytes(whole)
    assert shown(api, id_)["replay"]["equal"] is True
