"""How good a model is, in the field's own measures. Arrays have shape (rows,): `bad` bool, `probability` float64."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

from model.policy import DIGITS, TIERS, Policy

CALIBRATION_BINS = 10


def metrics(bad: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], policy: Policy) -> dict[str, Any]:
    """Everything the manifest keeps of a split: discrimination, calibration, and what each tier holds."""
    return {
        "rows": int(bad.size),
        "bad_rate": _rounded(bad.mean()),
        "auc": _rounded(auc(bad, probability)),
        "ks": _rounded(ks(bad, probability)),
        "brier": _rounded(brier_score_loss(bad, probability)),
        "log_loss": _rounded(log_loss(bad, probability)),
        "calibration_error": _rounded(calibration_error(bad, probability)),
        "tiers": tiers(bad, probability, policy),
    }


def auc(bad: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often a bad applicant has a higher probability than a good one."""
    return float(roc_auc_score(bad, probability))


def ks(bad: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> float:
    """Kolmogorov-Smirnov: the largest distance between the distributions of the bad and of the good."""
    false_positive, true_positive, _ = roc_curve(bad, probability)
    return float(np.max(true_positive - false_positive))


def rank_correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Spearman's: of the ranks, equal values sharing their mean rank. 1 where nobody is ordered otherwise."""
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def calibration_error(bad: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]) -> float:
    """Mean over ten equal-frequency bins of |mean probability - bad rate| (expected calibration error)."""
    bins = np.array_split(np.argsort(probability, kind="stable"), CALIBRATION_BINS)
    gaps = [abs(probability[rows].mean() - bad[rows].mean()) * rows.size for rows in bins if rows.size]
    return float(sum(gaps) / bad.size)


def tiers(bad: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], policy: Policy) -> dict[str, Any]:
    """For each tier the applicants by outcome, their share of all and their bad rate: the confusion by tier."""
    tier = np.array(policy.tiers(np.round(probability, DIGITS).tolist()))
    table: dict[str, Any] = {}
    for index, name in enumerate(TIERS):
        group = bad[tier == index]
        table[name] = {
            "good": int((~group).sum()),
            "bad": int(group.sum()),
            "share": _rounded(group.size / bad.size),
            "bad_rate": _rounded(group.mean()) if group.size else None,
        }
    return table


def _rounded(value: float) -> float:
    return round(float(value), 6)
