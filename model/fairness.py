"""How the model treats groups of applicants, measured on the test split with fairlearn's MetricFrame.

Selected means approved by a lender who declines tier high: whoever is low or medium. The true positive rate is the
share of the bad applicants that this catches, the false positive rate the share of the good ones that it declines.
(fairlearn's own selection rate is that of the predicted class, here tier high, so the approval rate is one less it.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.groups import Grouping
from model.intervals import NOTHING, Interval, ratio, share

FOUR_FIFTHS = 0.8  # Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D)
FEWEST = 30  # rows of a group, below which its rates say next to nothing

Bad = npt.NDArray[np.bool_]


class Group(NamedTuple):
    """One group's rates; an Interval is NaN where the group has nobody to measure it on."""

    name: str
    rows: int
    approved: Interval
    ratio: Interval  # of its approval rate to that of the group it is compared with
    caught: Interval  # true positive rate
    declined_good: Interval  # false positive rate
    bad_rate: Interval
    probability: float  # mean

    @property
    def is_small(self) -> bool:
        return self.rows < FEWEST

    @property
    def is_calibrated(self) -> bool:
        """Whether the mean probability lies within the interval of the bad rate."""
        return self.bad_rate.low <= self.probability <= self.bad_rate.high


@dataclass(frozen=True, slots=True)
class Audit:
    """One field's groups. `compared_with` has the highest approval rate among groups that are not too small."""

    label: str
    protected: bool
    groups: Sequence[Group]
    compared_with: str

    @property
    def worst(self) -> Group | None:
        """The group, large enough to speak of, with the lowest approval rate; None if there is only one such group."""
        rivals = [group for group in self.groups if not group.is_small and group.name != self.compared_with]
        return min(rivals, key=lambda group: group.approved.value, default=None)

    @property
    def meets_four_fifths(self) -> bool:
        return self.worst is None or self.worst.approved.value >= FOUR_FIFTHS * self._highest

    @property
    def _highest(self) -> float:
        return next(group.approved.value for group in self.groups if group.name == self.compared_with)


def audit(grouping: Grouping, bad: Bad, high: Bad, probability: npt.NDArray[np.float64]) -> Audit:
    """Compares the groups; every array has a row for each applicant of the split, `high` says who is in tier high.

    Shares get Wilson's interval and not MetricFrame's bootstrap, which gives a group of few applicants without a single
    hit an interval of no width.
    """
    from fairlearn.metrics import (  # two seconds to import, pandas included, and nothing else needs it
        MetricFrame,
        count,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )

    names = np.array(grouping.names, dtype=object)
    frame = MetricFrame(
        metrics={
            "rows": count,
            "high": selection_rate,
            "caught": true_positive_rate,
            "declined_good": false_positive_rate,
            "bad": _bad,
            "probability": _mean_probability,
        },
        y_true=bad.astype(np.int64),
        y_pred=high.astype(np.int64),
        sensitive_features=names[grouping.index],
        sample_params={"probability": {"probability": probability}},
    )
    measured = frame.by_group.to_dict("index")
    present = [name for name in grouping.names if name in measured]
    sizes = {name: int(measured[name]["rows"]) for name in present}
    rivals = [name for name in present if sizes[name] >= FEWEST] or present
    best = min(rivals, key=lambda name: float(measured[name]["high"]))
    groups = [_group(name, measured[name], measured[best], is_best=name == best) for name in present]
    return Audit(grouping.field.kind.label, grouping.field.kind.protected, groups, best)


def _group(name: str, rates: dict[str, float], best: dict[str, float], is_best: bool) -> Group:
    rows, bad = rates["rows"], rates["bad"]
    approved, best_approved = (1 - rates["high"]) * rows, (1 - best["high"]) * best["rows"]
    return Group(
        name,
        int(rows),
        share(approved, rows),
        NOTHING if is_best else ratio(approved, rows, best_approved, best["rows"]),
        share(rates["caught"] * bad, bad),
        share(rates["declined_good"] * (rows - bad), rows - bad),
        share(bad, rows),
        float(rates["probability"]),
    )


def _bad(y_true: Any, y_pred: Any) -> float:  # noqa: ARG001 - MetricFrame gives every metric both
    return float(np.sum(y_true))


def _mean_probability(y_true: Any, y_pred: Any, probability: Any) -> float:  # noqa: ARG001
    return float(np.mean(probability))
