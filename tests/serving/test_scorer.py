import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from model.artifact import Artifact
from model.data import Labelled
from preprocessing.decode import decode_application, decode_batch
from preprocessing.encode import MODEL_FIELDS, encode
from preprocessing.errors import RisklineError
from preprocessing.fields import Number
from preprocessing.schema import Application
from serving.answers import json_rows
from serving.errors import ErrorAnswer
from serving.scorer import ID_LENGTH, Score, Scorer, Scores, decision_ids
from tests.generated import EXAMPLE, OPTIONAL, anything, valid_applications


@pytest.fixture(scope="module")
def scorer(artifact: Artifact) -> Scorer:
    return Scorer(artifact)


def scored(scorer: Scorer, application: dict[str, Any]) -> Score:
    score = scorer.score(encode([Application.model_validate(application)])).row(0)
    assert isinstance(score, Score)
    return score


def without_ids(scores: Scores) -> list[object]:
    rows = [scores.row(index) for index in range(len(scores))]
    return [
        (row.message, row.detail)
        if isinstance(row, RisklineError)
        else (row.probability, row.tier, row.model_version, row.policy_version, row.warnings)
        for row in rows
    ]


@given(elements=st.lists(anything, max_size=6))
def test_row_i_of_a_batch_is_the_single_answer(scorer: Scorer, elements: list[Any]) -> None:
    batch = scorer.score(encode(decode_batch(json.dumps({"applications": elements}).encode())))
    alone = [scorer.score(encode(decode_application(json.dumps(element).encode()))) for element in elements]
    assert without_ids(batch) == [row for scores in alone for row in without_ids(scores)]


@given(elements=st.lists(anything, max_size=6))
def test_the_json_of_a_row_is_what_pydantic_writes_of_it(scorer: Scorer, elements: list[Any]) -> None:
    batch = encode(decode_batch(json.dumps({"applications": elements}).encode()))
    scores = scorer.score(batch, explain=range(0, len(elements), 2))  # every other row
    rows = [scores.row(index) for index in range(len(scores))]
    expected = [ErrorAnswer.of(row) if isinstance(row, RisklineError) else row for row in rows]
    written: TypeAdapter[Score | ErrorAnswer] = TypeAdapter(Score | ErrorAnswer)
    # as values in order: 1e-05 and 0.00001 are the same number
    got = [json.loads(row, object_pairs_hook=list) for row in json_rows(scores)]
    assert got == [json.loads(written.dump_json(row, exclude_none=True), object_pairs_hook=list) for row in expected]


@given(application=valid_applications)
def test_the_answer_is_the_graphs_in_six_digits_and_the_policys_word(
    scorer: Scorer, application: dict[str, Any]
) -> None:
    score = scored(scorer, application)
    [exact] = scorer.artifact.probability(encode([Application.model_validate(application)]).matrix)
    assert score.probability == pytest.approx(float(exact), abs=5.01e-7)
    assert score.probability == round(score.probability, 6)
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
    assert (scored(scorer, left_out).probability, scored(scorer, left_out).warnings) == (
        null.probability,
        null.warnings,
    )
    assert [warning.field for warning in null.warnings] == [OPTIONAL.name]


def test_an_empty_batch_has_no_answers(scorer: Scorer) -> None:
    assert len(scorer.score(encode([]))) == 0


def test_a_model_that_loses_a_row_is_a_bug_and_not_an_answer(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Artifact, "score", lambda _, matrix, *__: [0.5] * (len(matrix) - 1))
    with pytest.raises(AssertionError, match="this is a bug"):
        Scorer(artifact).score(encode([Application.model_validate(EXAMPLE)]))


@pytest.mark.parametrize("impossible", [float("nan"), -0.1, 1.1, float("inf")])
def test_an_impossible_probability_is_a_bug_and_not_an_answer(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, impossible: float
) -> None:
    one = Application.model_validate(EXAMPLE)
    for answers in ([impossible], [0.5, impossible], [impossible, 0.5]):
        monkeypatch.setattr(Artifact, "score", lambda _, __, *___, answers=answers: answers)
        with pytest.raises(AssertionError, match="this is a bug"):
            Scorer(artifact).score(encode([one] * len(answers)))


@pytest.mark.parametrize("rows", [1, 16, 17, 100])
def test_decision_ids_are_uuids_of_version_7_that_sort_by_time(rows: int) -> None:
    texts = [decision_ids(rows) for _ in range(10)]
    ids = [text[at : at + ID_LENGTH] for text in texts for at in range(0, len(text), ID_LENGTH)]
    assert len(set(ids)) == 10 * rows
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}
    assert [str(uuid.UUID(one)) for one in ids] == ids
    times = [one[:13] for one in ids]
    assert times == sorted(times)


def test_an_answer_does_not_depend_on_the_size_of_its_batch_or_the_number_of_threads(
    artifact: Artifact, labelled: Labelled
) -> None:
    matrix = labelled.matrix
    alone = np.concatenate([artifact.score(matrix[row : row + 1]) for row in range(len(matrix))])
    with ThreadPoolExecutor(4) as threads:
        for rows in (2, 50, 64, 1000, len(matrix)):
            for parts in (1, 2, 4):
                batches = [matrix[start : start + rows] for start in range(0, len(matrix), rows)]
                together = np.concatenate([artifact.score(batch, threads, parts) for batch in batches])
                np.testing.assert_array_equal(together, alone)


def test_few_and_many_rows_get_the_same_flags(scorer: Scorer, labelled: Labelled) -> None:
    matrix = labelled.matrix[:500].copy()
    matrix[::9, 0], matrix[::11, 3], matrix[::13, 5] = 1e6, -np.inf, np.nan
    many = scorer._flags_of_many(matrix)
    assert scorer._flags_of_few(matrix) == many
    assert {byte for _, flags in many for byte in flags} == {0, 1, 2}
