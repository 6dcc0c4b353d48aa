import numpy as np
import numpy.typing as npt
import pytest
from sklearn.calibration import calibration_curve

from model.evaluate import calibration_error, metrics, tiers
from model.policy import Policy

POLICY = Policy(low_below=0.2, high_from=0.5, low_bad_rate=0.05, high_bad_rate=0.6)


def applicants(rows: int = 5000) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    random = np.random.default_rng(3)
    probability = random.beta(1, 3, rows)
    return random.random(rows) < probability, probability


def test_calibration_error_is_the_mean_gap_of_scikit_learns_calibration_curve() -> None:
    bad, probability = applicants()
    rates, means = calibration_curve(bad, probability, n_bins=10, strategy="quantile")
    assert calibration_error(bad, probability) == pytest.approx(np.abs(rates - means).mean(), abs=1e-4)


def test_calibration_error_sees_a_model_that_is_too_sure() -> None:
    bad, probability = applicants()
    assert calibration_error(bad, probability) < 0.02
    assert calibration_error(bad, probability**2) > 0.1


def test_the_tiers_hold_every_applicant_once() -> None:
    bad, probability = applicants()
    table = tiers(bad, probability, POLICY)
    assert sum(held["good"] + held["bad"] for held in table.values()) == bad.size
    assert sum(held["bad"] for held in table.values()) == bad.sum()
    assert table["low"]["bad_rate"] < table["medium"]["bad_rate"] < table["high"]["bad_rate"]


def test_an_empty_tier_has_no_bad_rate() -> None:
    bad, probability = applicants()
    assert tiers(bad, probability * 0.1, POLICY)["high"]["bad_rate"] is None


def test_a_model_that_ranks_perfectly_has_auc_and_ks_of_one() -> None:
    bad = np.array([False] * 50 + [True] * 50)
    perfect = metrics(bad, np.linspace(0.01, 0.99, 100), POLICY)
    assert (perfect["auc"], perfect["ks"], perfect["rows"]) == (1.0, 1.0, 100)
