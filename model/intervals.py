"""Confidence intervals of 95 % for what is counted on few applicants."""

from typing import NamedTuple

import numpy as np

Z = 1.959964  # of the standard normal distribution, for 95 %


class Interval(NamedTuple):
    """A value and the interval around it; all NaN where there is nothing to measure it on."""

    value: float
    low: float
    high: float


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def share(hits: float, of: float) -> Interval:
    """A proportion with Wilson's interval (1927), which stays within 0 and 1 and fits small groups and rare events."""
    if not of:
        return NOTHING
    rate = hits / of
    middle = (rate + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * np.sqrt(rate * (1 - rate) / of + Z**2 / (4 * of**2))
    return Interval(rate, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def ratio(hits: float, of: float, other_hits: float, other_of: float) -> Interval:
    """A proportion over another, independent one, with the interval of its logarithm (Katz and others, 1978)."""
    if not (hits and of and other_hits and other_of):
        return NOTHING
    value = (hits / of) / (other_hits / other_of)
    spread = Z * np.sqrt(max(0.0, 1 / hits - 1 / of + 1 / other_hits - 1 / other_of))
    return Interval(value, float(value * np.exp(-spread)), float(value * np.exp(spread)))
