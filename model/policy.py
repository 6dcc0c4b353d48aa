"""Last step of a score: probability → tier.

The policy is data (`policy.json` of the artefact). Its two thresholds come from target bad rates: *low* is the largest
group of safest applicants of whom at most `low_bad_rate` went bad, *high* the largest group of riskiest of whom at
least `high_bad_rate` did; *medium* is what lies between.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from model.errors import PolicyError

Tier = Literal["low", "medium", "high"]
TIERS: tuple[Tier, ...] = ("low", "medium", "high")
DIGITS = 6  # of a probability, in every answer, threshold and record
FEW = 16  # rows, up to which plain Python is done before NumPy has begun; a test holds both to the same results
# Default targets, as multiples of the bad rate of all applicants: they suit any table.
LOW_TARGET, HIGH_TARGET = 0.2, 2.25
SMALLEST_GROUP = 30  # a handful of applicants without a bad one proves no bad rate


@dataclass(frozen=True, slots=True)
class Policy:
    """A probability below `low_below` is low, one of `high_from` or more is high; both are rounded as answers are."""

    low_below: float
    high_from: float
    low_bad_rate: float
    high_bad_rate: float

    def __post_init__(self) -> None:
        if not 0 < self.low_below <= self.high_from < 1:
            raise PolicyError(
                f"the policy's thresholds must satisfy 0 < low_below <= high_from < 1, "
                f"not {self.low_below} and {self.high_from}"
            )

    def tier(self, probability: float) -> Tier:
        return TIERS[self.tiers([probability])[0]]

    def tiers(self, probabilities: Sequence[float]) -> list[int]:
        """Probabilities → indices into TIERS; a threshold belongs to the riskier tier."""
        thresholds = (self.low_below, self.high_from)
        if len(probabilities) <= FEW:
            return [bisect_right(thresholds, probability) for probability in probabilities]
        indices: list[int] = np.searchsorted(thresholds, probabilities, side="right").tolist()
        return indices

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Policy":
        try:
            return cls(**{key: float(value) for key, value in data.items()})
        except (TypeError, ValueError) as error:
            raise PolicyError(f"policy.json does not fit: {error}") from None


def answered(exact: npt.NDArray[np.float32]) -> list[float]:
    """(rows,) probabilities as they are answered: six digits, so that a tier follows from what is shown."""
    if len(exact) <= FEW:
        return [round(probability * 10**DIGITS) / 10**DIGITS for probability in exact.tolist()]
    rounded: list[float] = exact.astype(np.float64).round(DIGITS).tolist()
    return rounded


def choose(
    probabilities: npt.NDArray[np.float64],
    bad: npt.NDArray[np.bool_],
    low_bad_rate: float | None = None,
    high_bad_rate: float | None = None,
) -> Policy:
    """Thresholds that meet the target bad rates on validation data; PolicyError where no group of any size does.

    Both arrays have shape (rows,). A target left out is derived from the overall bad rate.
    """
    overall = float(bad.mean())
    low_target = low_bad_rate if low_bad_rate is not None else overall * LOW_TARGET
    high_target = high_bad_rate if high_bad_rate is not None else min(overall * HIGH_TARGET, (1 + overall) / 2)
    if not 0 < low_target < high_target < 1:
        raise PolicyError(
            f"target bad rates must satisfy 0 < low < high < 1, not {low_target:.3f} and {high_target:.3f}"
        )
    candidates = np.unique(np.round(probabilities, DIGITS))
    low = [t for t in candidates if _rate(bad[probabilities < t], otherwise=1.0) <= low_target]
    high = [t for t in candidates if _rate(bad[probabilities >= t], otherwise=0.0) >= high_target]
    if not low or not high:
        target, word = (low_target, "at most") if not low else (high_target, "at least")
        raise PolicyError(
            f"no group of validation applicants has a bad rate of {word} {target:.3f} (all: {overall:.3f}); "
            f"choose another --low-bad-rate or --high-bad-rate"
        )
    # where the two groups overlap, both meet their targets without the overlap, which becomes medium
    low_below, high_from = sorted([float(max(low)), float(min(high))])
    return Policy(low_below, high_from, low_target, high_target)


def _rate(group: npt.NDArray[np.bool_], otherwise: float) -> float:
    """The group's bad rate; `otherwise` for a group too small to have one."""
    return float(group.mean()) if group.size >= SMALLEST_GROUP else otherwise
