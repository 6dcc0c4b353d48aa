"""The transparent baseline: a logistic scorecard on the same splits, so that nobody ships trees without need.

Every field is cut into bins on the fitting split, a missing value being one of its own; a bin's value is its weight of
evidence, and a logistic regression adds the values up. That is the scorecard of the textbooks (Siddiqi 2006), without
the hand work on bins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from model.evaluate import auc, ks
from model.intervals import Interval
from model.psi import counts
from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.fields import Category, Field

BINS = 5  # of a number, at the fitting split's quintiles
RESAMPLES = 1000
MEASURES = ("auc", "ks", "brier", "log_loss")

Bad = npt.NDArray[np.bool_]
Probability = npt.NDArray[np.float64]


class Characteristic(NamedTuple):
    """One field of the scorecard: its information value on the fitting split and its weight in the regression."""

    label: str
    bins: int
    information_value: float
    weight: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both models on the test split; `difference` is the champion's AUC less the scorecard's."""

    champion: Mapping[str, float]
    scorecard: Mapping[str, float]
    difference: Interval
    characteristics: Sequence[Characteristic]

    @property
    def conclusion(self) -> str:
        """One sentence that follows from the interval alone."""
        value, low, high = self.difference
        measured = f"{abs(value):.3f} of AUC (95 % interval of the difference {low:+.3f} to {high:+.3f})"
        if low > 0:
            return f"The trees rank better than the scorecard by {measured}: they earn their place."
        if high < 0:
            return f"The scorecard ranks better than the trees by {measured}: ship the scorecard, not this model."
        return f"The models differ by {measured}: trees are not shown to be better, and a scorecard would do."


def compare(
    matrix: Matrix,
    bad: Bad,
    champion: Probability,
    fitting: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    seed: int,
) -> Comparison:
    """Fits the scorecard on the rows `fitting` and measures it beside `champion` (rows,) on the rows `test`."""
    evidence = np.empty(matrix.shape, dtype=np.float64)
    described = []
    for column, field in enumerate(MODEL_FIELDS):
        edges = _edges(matrix[fitting, column], field)
        table = _weights(matrix[fitting, column], bad[fitting], edges)
        evidence[:, column] = table.weights[_bins(matrix[:, column], edges)]
        described.append((field.kind.label, int((table.rows > 0).sum()), table.information_value))
    regression = LogisticRegression(C=1.0).fit(evidence[fitting], bad[fitting])
    probability = regression.predict_proba(evidence[test])[:, 1]
    return Comparison(
        _measures(bad[test], champion[test]),
        _measures(bad[test], probability),
        auc_difference(bad[test], champion[test], probability, seed),
        [
            Characteristic(label, bins, value, float(weight))
            for (label, bins, value), weight in zip(described, regression.coef_[0], strict=True)
        ],
    )


def auc_difference(bad: Bad, first: Probability, second: Probability, seed: int) -> Interval:
    """AUC of the first less that of the second, with a 95 % percentile bootstrap over applicants, paired and stratified
    by outcome."""
    random = np.random.default_rng(seed)
    ranked = [Ranked(bad, probability) for probability in (first, second)]
    value = auc(bad, first) - auc(bad, second)
    resampled = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        weight = np.empty(bad.size)
        for outcome in (bad, ~bad):
            rows = int(outcome.sum())
            weight[outcome] = np.bincount(random.integers(0, rows, rows), minlength=rows)
        resampled[draw] = ranked[0].auc(weight) - ranked[1].auc(weight)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))


class Ranked:
    """Rows sorted by probability once, so that a resample's AUC costs two sums."""

    def __init__(self, bad: Bad, probability: Probability) -> None:
        self._order = np.argsort(probability, kind="stable")
        ranked = probability[self._order]
        self._starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))  # of rows with equal probability
        self._bad = bad[self._order]

    def auc(self, weight: npt.NDArray[np.float64]) -> float:
        """Mann-Whitney: the share of pairs in which the bad applicant has the higher probability, ties counted half."""
        ranked = weight[self._order]
        bad = np.add.reduceat(ranked * self._bad, self._starts)
        good = np.add.reduceat(ranked * ~self._bad, self._starts)
        return float((bad * (np.cumsum(good) - good / 2)).sum() / (bad.sum() * good.sum()))


class _Weights(NamedTuple):
    """(bins,) weight of evidence and rows of each bin."""

    weights: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    information_value: float


def _weights(values: npt.NDArray[np.float32], bad: Bad, edges: npt.NDArray[np.float64]) -> _Weights:
    """WoE = ln(share of the bad in the bin / share of the good in it), with half a row added to each.

    A bin without rows weighs nothing.
    """
    bads, goods = counts(values[bad], edges), counts(values[~bad], edges)
    of_bad = (bads + 0.5) / (bad.sum() + 0.5 * len(bads))
    of_good = (goods + 0.5) / ((~bad).sum() + 0.5 * len(goods))
    weights = np.where(bads + goods > 0, np.log(of_bad / of_good), 0.0)
    return _Weights(weights, bads + goods, float(((of_bad - of_good) * weights).sum()))


def _edges(values: npt.NDArray[np.float32], field: Field) -> npt.NDArray[np.float64]:
    if isinstance(field.kind, Category):
        return np.arange(0.5, len(field.kind.values))
    present = values[~np.isnan(values)].astype(np.float64)
    return np.unique(np.quantile(present, np.arange(1, BINS) / BINS)) if present.size else np.empty(0)


def _bins(values: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def _measures(bad: Bad, probability: Probability) -> dict[str, float]:
    measured = (auc(bad, probability), ks(bad, probability), brier_score_loss(bad, probability))
    return dict(zip(MEASURES, map(float, (*measured, log_loss(bad, probability))), strict=True))
