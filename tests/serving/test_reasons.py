import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from model.artifact import Artifact
from model.data import Labelled
from preprocessing.encode import MODEL_FIELDS, Batch
from serving.reasons import MOST_REASONS, Reasoning
from serving.scorer import Score, Scorer
from serving.tables import EXPLAINED_SCHEMA, as_columns

FIELDS = len(MODEL_FIELDS)


@pytest.fixture(scope="module")
def reasoning(artifact: Artifact) -> Reasoning:
    return Reasoning(artifact)


def matrix_of(values: list[float]) -> npt.NDArray[np.float32]:
    return np.array([values], dtype=np.float32)


@given(values=st.lists(st.floats(-3, 3, width=32), min_size=FIELDS, max_size=FIELDS))
def test_what_raised_the_risk_comes_first_and_the_most_first(reasoning: Reasoning, values: list[float]) -> None:
    [ranked] = reasoning.rank(matrix_of(values))
    told = [value for _, value in ranked]
    adverse = [value for value in told if value > 0]
    favourable = [value for value in told if value < 0]
    assert told == sorted(adverse, reverse=True) + sorted(favourable)
    rounded = np.round(np.array(values, dtype=np.float32), 6)
    assert len(told) == min(MOST_REASONS, int((rounded != 0).sum()))
    assert len(adverse) == min(MOST_REASONS, int((rounded > 0).sum()))
    left = np.delete(rounded, [field for field, _ in ranked])
    assert not adverse or (left <= max(adverse)).all()


@given(values=st.lists(st.floats(-3, 3, width=32), min_size=FIELDS, max_size=FIELDS))
def test_json_is_what_pydantic_writes_of_the_words(reasoning: Reasoning, values: list[float]) -> None:
    [ranked] = reasoning.rank(matrix_of(values))
    # as values in order: 1e-05 and 0.00001 are the same number
    got, expected = reasoning.as_json(ranked), to_json(reasoning.words(ranked))
    assert json.loads(got, object_pairs_hook=list) == json.loads(expected, object_pairs_hook=list)


def test_a_reason_speaks_in_the_policys_words(artifact: Artifact, reasoning: Reasoning) -> None:
    values = [0.0] * FIELDS
    values[2], values[5] = 0.25, -0.5
    up, down = reasoning.words(reasoning.rank(matrix_of(values))[0])
    texts = artifact.policy.reasons
    assert (up.field, up.contribution) == (MODEL_FIELDS[2].name, 0.25)
    assert (up.code, up.text) == (texts[up.field].adverse.code, texts[up.field].adverse.text)
    assert (down.field, down.contribution) == (MODEL_FIELDS[5].name, -0.5)
    assert (down.code, down.text) == (texts[down.field].favourable.code, texts[down.field].favourable.text)


def test_an_applicant_can_be_compared_with_those_who_just_passed(artifact: Artifact, labelled: Labelled) -> None:
    matrix = labelled.matrix[:50]
    contributions = artifact.contributions(matrix)
    mean = artifact.reference.just_passed(artifact.policy.high_from)
    assert np.abs(mean).max() > 0.01
    expected = Reasoning(artifact).rank((contributions - mean).astype(np.float64))
    assert Reasoning(artifact, "just_passed").rank(contributions) == expected
    assert expected != Reasoning(artifact).rank(contributions)


def test_only_who_asks_gets_reasons_and_they_do_not_depend_on_the_batch(artifact: Artifact, labelled: Labelled) -> None:
    scorer, matrix = Scorer(artifact), labelled.matrix[:300]
    whole = scorer.score(Batch(matrix, {}), explain=range(300))
    some = scorer.score(Batch(matrix, {}), explain=[3, 200])
    assert whole.reasons is not None
    assert some.reasons == {3: whole.reasons[3], 200: whole.reasons[200]}
    assert scorer.score(Batch(matrix, {})).reasons is None
    for index in (0, 150, 299):
        alone = scorer.score(Batch(matrix[index : index + 1], {}), explain=[0]).row(0)
        together = whole.row(index)
        assert isinstance(alone, Score)
        assert isinstance(together, Score)
        assert alone.reasons == together.reasons


def test_columns_have_the_reasons_in_short(artifact: Artifact, labelled: Labelled) -> None:
    scores = Scorer(artifact).score(Batch(labelled.matrix[:40], {}), explain=range(40))
    columns = as_columns(scores)
    assert columns.schema == EXPLAINED_SCHEMA
    for index, cell in enumerate(columns.column("reasons").to_pylist()):
        row = scores.row(index)
        assert isinstance(row, Score)
        assert cell == " ".join(f"{reason.code}:{reason.contribution}" for reason in row.reasons or ())


def test_words_never_hold_a_value(artifact: Artifact) -> None:
    words = json.dumps(artifact.policy.to_json()["reasons"])
    assert not any(character.isdigit() for character in words)
