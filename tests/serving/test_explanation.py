import asyncio
import json
from collections.abc import Iterator
from math import exp, log
from typing import Any

import pytest

from model.artifact import Artifact
from preprocessing.encode import MODEL_FIELDS, encode
from preprocessing.schema import Application
from serving.api import Api
from serving.explanation import Explanation, explain
from serving.messages import Request
from serving.scorer import Score, Scorer
from serving.settings import Settings
from tests.generated import EXAMPLE, NUMBER


@pytest.fixture(scope="module")
def scorer(artifact: Artifact) -> Scorer:
    return Scorer(artifact)


def explanation_of(scorer: Scorer, application: dict[str, Any]) -> Explanation:
    valid = Application.model_validate(application)
    return explain(scorer, valid, encode([valid]))[0]


def scored(scorer: Scorer, application: dict[str, Any]) -> Score:
    score = scorer.score(encode([Application.model_validate(application)]), explain=[0]).row(0)
    assert isinstance(score, Score)
    return score


def test_the_score_is_the_one_that_predict_gives(scorer: Scorer) -> None:
    explanation, score = explanation_of(scorer, EXAMPLE), scored(scorer, EXAMPLE)
    for name in ("probability", "tier", "points", "model_version", "policy_version", "warnings", "reasons"):
        assert getattr(explanation, name) == getattr(score, name)


def test_everything_adds_up(scorer: Scorer) -> None:
    explanation = explanation_of(scorer, EXAMPLE)
    assert list(explanation.contributions) == [field.name for field in MODEL_FIELDS]
    assert explanation.bias + sum(explanation.contributions.values()) == pytest.approx(explanation.margin, abs=2e-5)
    assert 1 / (1 + exp(-explanation.margin)) == pytest.approx(explanation.probability, abs=1e-5)
    for reason in explanation.reasons or ():
        assert reason.contribution == explanation.contributions[reason.field]


def test_the_next_tier_is_as_far_as_its_threshold(scorer: Scorer) -> None:
    explanation, policy = explanation_of(scorer, EXAMPLE), scorer.artifact.policy
    assert explanation.tier == "medium"
    assert explanation.next_tier is not None
    assert (explanation.next_tier.tier, explanation.next_tier.probability_below) == ("low", policy.low_below)
    distance = explanation.margin - log(policy.low_below / (1 - policy.low_below))
    assert explanation.next_tier.margin_to_lose == pytest.approx(distance, abs=1e-5)


def test_every_suggestion_scores_as_it_says(scorer: Scorer) -> None:
    suggestions = explanation_of(scorer, EXAMPLE).changes
    assert suggestions
    for suggestion in suggestions:
        score = scored(scorer, {**EXAMPLE, **suggestion.change})
        assert (score.probability, score.tier, score.points) == (
            suggestion.probability, suggestion.tier, suggestion.points,
        )  # fmt: skip
        assert score.tier == "low"


def test_the_best_tier_has_no_next_one(scorer: Scorer) -> None:
    safe = {**EXAMPLE, "records": "no", "income": 900, "seniority": 30, "amount": 100, "assets": 50_000}
    explanation = explanation_of(scorer, safe)
    assert (explanation.tier, explanation.next_tier, explanation.changes) == ("low", None, ())


@pytest.fixture
def api(artifact: Artifact) -> Iterator[Api]:
    api = Api(artifact, Settings())
    yield api
    api.close()


def ask(api: Api, path: str, body: object, query: bytes = b"") -> tuple[int, Any]:
    request = Request({b"content-type": b"application/json"}, query, json.dumps(body).encode())
    answer = asyncio.run(api.answer(path, request))
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body)


def test_an_application_is_explained_over_the_api(api: Api, scorer: Scorer) -> None:
    status, told = ask(api, "/explain", EXAMPLE)
    assert status == 200
    expected = explanation_of(scorer, EXAMPLE)
    assert told["contributions"] == expected.contributions
    assert told["changes"] == [
        {"change": s.change, "probability": s.probability, "tier": s.tier, "points": s.points} for s in expected.changes
    ]


def test_what_is_no_application_is_refused_by_field_and_rule(api: Api) -> None:
    status, told = ask(api, "/explain", {**EXAMPLE, NUMBER.name: -1})
    assert (status, told["error"]) == (422, "invalid_application")
    assert [problem["field"] for problem in told["detail"]] == [NUMBER.name]
    assert "-1" not in json.dumps(told)


def test_reasons_come_to_who_asks_for_them(api: Api) -> None:
    assert "reasons" not in ask(api, "/predict", EXAMPLE)[1]
    assert "reasons" not in ask(api, "/predict", EXAMPLE, b"explain=false")[1]
    told = ask(api, "/predict", EXAMPLE, b"timing=true&explain=true")[1]
    assert [list(reason) for reason in told["reasons"]] == [["field", "contribution", "code", "text"]] * 4
    batch = {"applications": [EXAMPLE, {}, EXAMPLE]}
    one, refused, other = ask(api, "/predict_batch", batch, b"explain=true")[1]["results"]
    assert one["reasons"] == other["reasons"] == told["reasons"]
    assert refused["error"] == "invalid_application"
    assert "reasons" not in refused


@pytest.mark.parametrize("query", [b"explain=True", b"timing=true&explain=1", b"explain=", b"explain"])
@pytest.mark.parametrize("path", ["/predict", "/predict_batch"])
def test_what_is_neither_true_nor_false_is_refused(artifact: Artifact, path: str, query: bytes) -> None:
    api = Api(artifact, Settings())
    status, error = ask(api, path, {"applications": [EXAMPLE]} if path == "/predict_batch" else EXAMPLE, query)
    assert (status, error["error"]) == (422, "invalid_request")
    assert error["detail"] == [{"field": "explain", "rule": "category", "message": "Input should be 'true' or 'false'"}]
    api.close()


def test_a_setting_gives_reasons_to_everybody_but_who_declines(artifact: Artifact) -> None:
    api = Api(artifact, Settings(explain=True))
    assert "reasons" in ask(api, "/predict", EXAMPLE)[1]
    assert "reasons" not in ask(api, "/predict", EXAMPLE, b"explain=false")[1]
    api.close()
