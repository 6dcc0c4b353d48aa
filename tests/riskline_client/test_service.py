"""Both clients and a real service: what it answers to each call, in one piece or in many."""

import re
import socket
from datetime import date
from itertools import pairwise
from typing import Any

import httpx
import pyarrow as pa
import pytest

from loadtest.server import HOST
from loadtest.traffic import read_applications
from preprocessing.schema import Application
from riskline_client import (
    Client,
    Conflict,
    Decision,
    Explanation,
    InvalidApplication,
    InvalidRequest,
    LimitReached,
    NoAnswer,
    NotFound,
    Outcome,
    Outdated,
    RefusedRow,
    Retry,
    ScopeMissing,
    TakenOutcome,
    Unauthorized,
)
from riskline_client.calls import new_key
from tests.generated import EXAMPLE, NUMBER
from tests.lab.waiting import until
from tests.riskline_client.asking import Kind, ask
from tests.riskline_client.conftest import MOST_BULK_ROWS, MOST_ROWS, Guarded

pytestmark = pytest.mark.slow

BAD = {**EXAMPLE, NUMBER.name: NUMBER.kind.low - 1}  # type: ignore[union-attr]
# more than the service takes at once, in either form
ROWS: list[dict[str, Any]] = [dict(row) for row in read_applications()[: 2 * MOST_BULK_ROWS + 20]]
ROWS[7], ROWS[MOST_BULK_ROWS] = BAD, BAD


def asked(guarded: Guarded, kind: Kind, method: str, *arguments: Any, **options: Any) -> Any:
    return ask(kind, guarded.url, method, *arguments, client={"key": guarded.key}, **options)


def table(rows: list[dict[str, Any]]) -> Any:
    """With a column that is nobody's business but the caller's."""
    return pa.Table.from_pylist(
        [{**row, "loan_id": number} for number, row in enumerate(rows)],
        pa.schema([(name, pa.string() if isinstance(value, str) else pa.float64()) for name, value in EXAMPLE.items()]
                  + [("loan_id", pa.int64())]),
    )  # fmt: skip


def test_one_application(guarded: Guarded, kind: Kind) -> None:
    key = new_key()
    decision = asked(guarded, kind, "predict", EXAMPLE, explain=True, channel="webform", idempotency_key=key)
    assert isinstance(decision, Decision)
    assert decision.decision_id == key
    assert decision.reasons
    assert asked(guarded, kind, "predict", EXAMPLE, idempotency_key=key) == decision
    with pytest.raises(Conflict):
        asked(guarded, kind, "predict", {**EXAMPLE, NUMBER.name: 1}, idempotency_key=key)
    explanation = asked(guarded, kind, "explain", EXAMPLE)
    assert isinstance(explanation, Explanation)
    assert explanation.probability == decision.probability
    assert explanation.contributions.keys() < EXAMPLE.keys()
    with pytest.raises(InvalidApplication) as refused:
        asked(guarded, kind, "predict", BAD)
    assert [(problem.field, problem.rule) for problem in refused.value.detail] == [(NUMBER.name, "range")]
    assert refused.value.request_id


def test_a_decision_its_review_and_its_outcome(guarded: Guarded, kind: Kind) -> None:
    id_ = f"loan/{new_key()}"
    asked(guarded, kind, "predict", EXAMPLE, explain=True, channel="mobile", idempotency_key=id_)
    whole = asked(guarded, kind, "decision", id_, proof=True, replay=True)
    assert (whole.facts.id, whole.facts.channel, whole.state) == (id_, "mobile", "queued")
    assert whole.application == EXAMPLE
    assert whole.reasons[0].text
    assert whole.proof.holds
    assert whole.replay.equal
    assert asked(guarded, kind, "decision", id_).proof is None
    for _ in range(2):  # the same twice is one
        reviewed = asked(guarded, kind, "review", id_, reviewer="ann", verdict="approve", note="payslip", seen=0)
        assert [(review.reviewer, review.note) for review in reviewed.reviews] == [("ann", "payslip")]
    assert reviewed.state == "approved"
    with pytest.raises(Outdated):
        asked(guarded, kind, "review", id_, reviewer="bob", verdict="decline", seen=0)
    outcome = Outcome(id_, "bad", date(2026, 11, 25))
    told = [outcome, Outcome("nobody's", "good", date(2026, 11, 25)), outcome]
    first, unknown, again = asked(guarded, kind, "add_outcomes", told)
    assert (first, again) == tuple(TakenOutcome(decision_id=id_, result=word) for word in ("recorded", "known"))
    assert (unknown.error, type(unknown)) == ("unknown_decision", RefusedRow)
    with pytest.raises(NotFound):
        asked(guarded, kind, "decision", "nobody's")


def test_pages_of_decisions(guarded: Guarded, kind: Kind) -> None:
    asked(guarded, kind, "predict_batch", ROWS[:7])
    listed = asked(guarded, kind, "decisions", limit=3, tier="low")
    assert len(listed) > 3
    assert {decision.tier for decision in listed} == {"low"}
    assert len({decision.id for decision in listed}) == len(listed)
    newest = asked(guarded, kind, "decisions", limit=1000, order="newest", tier="low")
    assert [decision.id for decision in newest] == [decision.id for decision in reversed(listed)]
    with pytest.raises(InvalidRequest, match="limit"):
        asked(guarded, kind, "decisions", limit=0)


def test_more_rows_than_a_request_may_have_come_back_in_their_order(guarded: Guarded, kind: Kind) -> None:
    key = new_key()
    results = asked(guarded, kind, "predict_batch", iter(ROWS[:100]), idempotency_key=key)
    assert [type(row) is RefusedRow for row in results] == [row is BAD for row in ROWS[:100]]
    assert results[7].detail[0].field == NUMBER.name
    steps = [int(row.decision_id.rsplit("-", 2)[1]) for row in results if type(row) is Decision]
    assert 0 < max(after - before for before, after in pairwise(steps)) <= MOST_ROWS
    for number in (0, 31, 99):
        alone = asked(guarded, kind, "predict", ROWS[number])
        assert (alone.probability, alone.warnings) == (results[number].probability, results[number].warnings)
    assert asked(guarded, kind, "predict_batch", ROWS[:100], idempotency_key=key) == results


def rejected(guarded: Guarded) -> set[str]:
    """The codes of whole requests that the service has refused so far."""
    metrics = httpx.get(f"{guarded.url}/metrics", headers={"X-API-Key": guarded.key}).text
    return set(re.findall(r'riskline_rejected_total{reason="(\w+)"', metrics))


@pytest.mark.parametrize("form", ["table", "batch", "reader"])
def test_columns_of_any_length_are_scored_as_applications_are(guarded: Guarded, kind: Kind, form: str) -> None:
    whole = table(ROWS)
    given = {
        "table": whole,
        "batch": whole.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(whole.schema, whole.to_batches(max_chunksize=17)),
    }[form]
    scores = asked(guarded, kind, "predict_table", given, keep=["loan_id"], explain=True)
    assert scores["loan_id"].to_pylist() == list(range(len(ROWS)))
    assert scores.column_names[0] == "loan_id"
    assert [error is not None for error in scores["error"].to_pylist()] == [row is BAD for row in ROWS]
    assert scores["detail"][7].as_py() == f"{NUMBER.name}:range"
    results = asked(guarded, kind, "predict_batch", ROWS)
    for name in ("probability", "tier", "points"):
        assert scores[name].to_pylist() == [getattr(row, name, None) for row in results]
    until(lambda: {"body_too_large", "batch_too_large"} <= rejected(guarded), 10)  # both limits had to be kept
    assert all(reasons for reasons, row in zip(scores["reasons"].to_pylist(), ROWS, strict=True) if row is not BAD)


def test_a_stream_is_scored_table_by_table_as_it_is_read(guarded: Guarded, kind: Kind) -> None:
    read: list[int] = []

    def batches() -> Any:
        for batch in table(ROWS).drop_columns(["loan_id"]).to_batches(max_chunksize=100):
            read.append(batch.num_rows)
            yield batch

    if kind == "sync":
        with Client(guarded.url, guarded.key) as riskline:
            first = next(riskline.predict_stream(batches(), rows=100))
        assert first.num_rows == 100
        assert len(read) == 2  # one ahead, to know that the first is full
    answers = asked(guarded, kind, "predict_stream", batches(), rows=100)
    assert [answer.num_rows for answer in answers] == [100, 100, 100, 100, 100, 20]


def test_no_rows_are_no_error(guarded: Guarded, kind: Kind) -> None:
    assert asked(guarded, kind, "predict_batch", []) == []
    assert asked(guarded, kind, "add_outcomes", []) == []
    none = asked(guarded, kind, "predict_table", table(ROWS).slice(0, 0), keep=["loan_id"])
    assert (none.num_rows, none.column_names[:2]) == (0, ["loan_id", "probability"])


def test_what_runs_and_what_it_takes(guarded: Guarded, kind: Kind) -> None:
    model = asked(guarded, kind, "model")
    assert model.model_version == asked(guarded, kind, "predict", EXAMPLE).model_version
    assert "metrics" in model.manifest
    schema = asked(guarded, kind, "schema")
    assert list(schema["properties"]) == list(Application.model_fields)


def test_keys(guarded: Guarded, kind: Kind) -> None:
    for key, expected in ((None, Unauthorized), (f"{guarded.key}x", Unauthorized), (guarded.blind, ScopeMissing)):
        with pytest.raises(expected):
            ask(kind, guarded.url, "predict", EXAMPLE, client={"key": key})


def test_a_limit_is_waited_for_if_there_is_the_time(guarded: Guarded, kind: Kind) -> None:
    slow = {"key": guarded.slow}
    for _ in range(2):
        assert ask(kind, guarded.url, "predict", EXAMPLE, client=slow).tier
    with pytest.raises(LimitReached) as raised:
        ask(kind, guarded.url, "predict", EXAMPLE, client={**slow, "retry": Retry(deadline_s=0.5)})
    assert raised.value.retry_after_s == 1


def test_nobody_there_and_somebody_silent(kind: Kind) -> None:
    retry = Retry(attempts=2, attempt_s=0.05, first_wait_s=0.001)
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}"
        with pytest.raises(NoAnswer, match="did not answer in time"):
            ask(kind, url, "predict", EXAMPLE, client={"retry": retry})
    with pytest.raises(NoAnswer, match="there is no answer"):
        ask(kind, url, "predict", EXAMPLE, client={"retry": retry})
