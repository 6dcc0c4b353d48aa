"""Population stability index: how far the distribution of one split has moved from that of another.

    PSI = Σ over bins of (q - p) · ln(q / p)        p, q: the bin's share of the first and of the second split

Usually read as: below 0.1 stable, up to 0.25 worth a look, above it another population.
"""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

WORTH_A_LOOK, ANOTHER_POPULATION = 0.1, 0.25
BINS = 10
DEVIATIONS = 5  # above what chance does: among hundreds of looks an hour, one in thousands should be chance

Values = npt.NDArray[np.floating[Any]]


def psi(reference: Values, other: Values, categories: int | None = None) -> float:
    """Between two samples of a field's values, NaN for missing, which is a bin of its own.

    A number is binned at the deciles of `reference`; with `categories` the values are codes below it, a bin each.
    """
    edges = np.arange(0.5, categories) if categories else deciles(reference)
    return psi_of_counts(counts(reference, edges), counts(other, edges))


def deciles(values: Values) -> npt.NDArray[np.float64]:
    """Inner edges of at most ten bins; fewer where values repeat, none where there are none."""
    present = values[~np.isnan(values)]
    if not present.size:
        return np.empty(0)
    return np.unique(np.quantile(present, np.arange(1, BINS) / BINS).astype(np.float64))


def counts(values: Values, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """(edges + 2,) rows in each bin, the missing ones last; an edge belongs to the bin above it."""
    missing = np.isnan(values)
    bins = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return np.bincount(bins, minlength=len(edges) + 2)


def psi_of_counts(reference: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """Of rows counted in the same bins. Half a row is added to each bin in use: an empty one has no logarithm."""
    used = (reference > 0) | (other > 0)
    p, q = ((rows[used] + 0.5) / (rows[used] + 0.5).sum() for rows in (reference, other))
    return float(((q - p) * np.log(q / p)).sum())


def by_chance(rows: int, other_rows: int, bins: int = BINS) -> float:
    """The PSI to expect between two samples of one population (Yurdakul 2018)."""
    return (bins - 1) * (1 / rows + 1 / other_rows)


def stands_out(psi: float, rows: int, other_rows: int, bins: int = BINS) -> bool:
    """Whether a PSI is worth a look and is more than chance does between samples of these sizes.

    By chance, PSI / (1/rows + 1/other_rows) is distributed as χ² with bins - 1 degrees of freedom (Yurdakul 2018): it
    has to be `DEVIATIONS` standard deviations above its mean.
    """
    chance = by_chance(rows, other_rows, bins) * (1 + DEVIATIONS * sqrt(2 / max(1, bins - 1)))
    return psi > max(WORTH_A_LOOK, chance)
