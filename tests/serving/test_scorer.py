import json
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artifact import Artifact
from preprocessing.decode import decode_application, decode_batch
from preprocessing.encode import MODEL_FIELDS, encode
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Number
from preprocessing.schema import Application
from serving.scorer import Score, Scorer, decision_id
from tests.generated import EXAMPLE, OPTIONAL, anything, valid_applications


@pytest.fixture(scope="module")
def scorer(artifact: Artifact) -> Scorer:
    return Scorer(artifact)


def scored(scorer: Scorer, application: dict[str, Any]) -> Score:
    [score] = scorer.score([Application.model_validate(application)])
    assert isinstance(score, Score)
    return score


def without_id(result: Score | InvalidApplication) -> tuple[object, ...]:
    if isinstance(result, Score):
        return (result.probability, result.tier, result.model_version, result.policy_version, result.warnings)
    return (result.message, result.detail)


@given(elements=st.lists(anything, max_size=6))
def test_row_i_of_a_batch_is_the_single_answer(scorer: Scorer, elements: list[Any]) -> None:
    batch = scorer.score(decode_batch(json.dumps({"applications": elements}).encode(), 100))
    alone = [scorer.score(decode_application(json.dumps(element).encode()))[0] for element in elements]
    assert [without_id(result) for result in batch] == [without_id(result) for result in alone]


@given(application=valid_applications)
def test_the_answer_is_the_graphs_in_six_digits_and_the_policys_word(
    scorer: Scorer, application: dict[str, Any]
) -> None:
    score = scored(scorer, application)
    [exact] = scorer.artifact.graph.probability(encode([Application.model_validate(application)]))
    assert score.probability == round(float(exact), 6)
    assert score.tier == scorer.artifact.policy.tier(score.probability)
    assert score.model_version == scorer.artifact.model_version
    assert score.policy_version == scorer.artifact.policy_version


@given(application=valid_applications)
def test_every_missing_field_is_named_and_nothing_else_is_called_missing(
    scorer: Scorer, application: dict[str, Any]
) -> None:
    missing = [warning.field for warning in scored(scorer, application).warnings if warning.code == "missing"]
    assert missing == [field.name for field in MODEL_FIELDS if application.get(field.name) is None]


def test_a_value_outside_the_training_range_is_scored_and_named_without_being_repeated(scorer: Scorer) -> None:
    for column, field in enumerate(MODEL_FIELDS):
        high = scorer.artifact.ranges[1, column]
        if not isinstance(field.kind, Number) or field.kind.high <= high:
            continue
        [warning] = scored(scorer, {**EXAMPLE, field.name: field.kind.high}).warnings
        assert (warning.field, warning.code) == (field.name, "outside_training_range")
        assert f"{field.kind.high:g}" not in warning.message
        assert scored(scorer, {**EXAMPLE, field.name: float(high)}).warnings == ()


def test_the_example_has_no_warnings_and_null_is_a_missing_value(scorer: Scorer) -> None:
    assert scored(scorer, EXAMPLE).warnings == ()
    left_out = {name: value for name, value in EXAMPLE.items() if name != OPTIONAL.name}
    null = scored(scorer, {**EXAMPLE, OPTIONAL.name: None})
    assert without_id(scored(scorer, left_out)) == without_id(null)
    assert [warning.field for warning in null.warnings] == [OPTIONAL.name]


def test_a_batch_of_refused_rows_needs_no_model(scorer: Scorer) -> None:
    rows = decode_batch(b'{"applications": [{}, 7]}', 10)
    assert scorer.score(rows) == rows
    assert scorer.score([]) == []


def test_a_model_that_loses_a_row_is_a_bug_and_not_an_answer(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Artifact, "score", lambda _, matrix: [0.5] * (len(matrix) - 1))
    with pytest.raises(AssertionError, match="this is a bug"):
        Scorer(artifact).score([Application.model_validate(EXAMPLE)])


@pytest.mark.parametrize("impossible", [float("nan"), -0.1, 1.1, float("inf")])
def test_an_impossible_probability_is_a_bug_and_not_an_answer(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, impossible: float
) -> None:
    monkeypatch.setattr(Artifact, "score", lambda _, matrix: [impossible] * len(matrix))
    with pytest.raises(AssertionError, match="this is a bug"):
        Scorer(artifact).score([Application.model_validate(EXAMPLE)])


def test_decision_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    ids = [decision_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
    times = [one[:13] for one in ids]
    assert times == sorted(times)


def test_answers_do_not_depend_on_what_else_is_in_the_batch(scorer: Scorer) -> None:
    one = Application.model_validate(EXAMPLE)
    probabilities = {score.probability for score in scorer.score([one] * 64) if isinstance(score, Score)}
    assert probabilities == {scored(scorer, EXAMPLE).probability}
    assert np.isfinite(list(probabilities)).all()
