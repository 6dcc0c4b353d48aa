import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from model.data import Labelled
from model.evaluate import metrics
from model.intervals import Interval
from model.policy import Policy
from model.scorecard import Characteristic, Comparison, Ranked, auc_difference, compare
from preprocessing.encode import MODEL_FIELDS

Floats = npt.NDArray[np.float64]
Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def rows(labelled: Labelled) -> Rows:
    fitting, test = train_test_split(np.arange(labelled.bad.size), stratify=labelled.bad, random_state=0)
    return fitting, test


@pytest.fixture(scope="module")
def compared(labelled: Labelled, rows: Rows) -> Comparison:
    champion = np.random.default_rng(0).random(labelled.bad.size)
    return compare(labelled.matrix, labelled.bad, champion, *rows, seed=1)


def test_the_baseline_is_one_worth_beating_and_sees_every_field(compared: Comparison) -> None:
    assert compared.scorecard["auc"] > 0.8
    assert compared.scorecard["ks"] > 0.45
    assert [part.label for part in compared.characteristics] == [field.kind.label for field in MODEL_FIELDS]
    assert all(part.information_value >= 0 for part in compared.characteristics)
    best = max(compared.characteristics, key=lambda part: part.information_value)
    assert best.label in ("Time in the current job", "Negative records", "Type of job", "Monthly income")


def test_a_champion_that_guesses_is_told_to_stay_at_home(compared: Comparison) -> None:
    assert compared.difference.high < 0
    assert "ship the scorecard" in compared.conclusion


def test_measures_are_those_of_the_manifest(labelled: Labelled, rows: Rows, compared: Comparison) -> None:
    champion = np.random.default_rng(0).random(labelled.bad.size)
    policy = Policy(low_below=0.1, high_from=0.5, low_bad_rate=0.1, high_bad_rate=0.5)
    expected = metrics(labelled.bad[rows[1]], champion[rows[1]], policy)
    assert compared.champion == {name: pytest.approx(expected[name], abs=1e-6) for name in compared.champion}


def test_the_fitting_rows_alone_make_the_scorecard(labelled: Labelled, rows: Rows, compared: Comparison) -> None:
    fitting, test = rows
    bad = labelled.bad.copy()
    bad[test] = ~bad[test]
    again = compare(labelled.matrix, bad, np.random.default_rng(0).random(bad.size), fitting, test, seed=1)
    assert again.characteristics == compared.characteristics
    assert again.scorecard["auc"] == pytest.approx(1 - compared.scorecard["auc"])


def test_a_resampled_auc_is_scikit_learns_weighted_one_ties_included() -> None:
    random = np.random.default_rng(5)
    bad, probability = random.random(500) < 0.3, np.round(random.random(500), 1)
    weight = random.integers(0, 4, 500).astype(np.float64)
    expected = roc_auc_score(bad, probability, sample_weight=weight)
    assert Ranked(bad, probability).auc(weight) == pytest.approx(expected)


def test_the_interval_of_a_difference_is_as_wide_as_the_difference_varies() -> None:
    def sample(random: np.random.Generator) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
        bad = random.random(600) < 0.3
        return bad, bad + random.normal(0, 1, 600), bad + random.normal(0, 1.5, 600)

    differences = []
    for seed in range(300):
        bad, first, second = sample(np.random.default_rng(seed))
        differences.append(roc_auc_score(bad, first) - roc_auc_score(bad, second))
    interval = auc_difference(*sample(np.random.default_rng(1)), seed=1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.std(differences), rel=0.2)


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Interval(0.02, 0.01, 0.03), "they earn their place"),
        (Interval(-0.02, -0.03, -0.01), "ship the scorecard"),
        (Interval(0.001, -0.01, 0.012), "not shown to be better"),
    ],
)
def test_the_conclusion_follows_from_the_interval(difference: Interval, words: str) -> None:
    conclusion = Comparison({}, {}, difference, [Characteristic("x", 1, 0.1, 1.0)]).conclusion
    assert words in conclusion
    assert f"{difference.low:+.3f} to {difference.high:+.3f}" in conclusion
