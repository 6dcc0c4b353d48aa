"""The groups of applicants that the fairness report compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.fields import Category, Field

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Grouping:
    """`index` (rows,) int64 says which of the groups `names` each row belongs to."""

    field: Field
    names: Sequence[str]
    index: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.int64]) -> "Grouping":
        """The same grouping of some of the rows; a group may have none of them."""
        return Grouping(self.field, self.names, self.index[rows])


def is_audited(field: Field) -> bool:
    """Whether the fairness report compares groups of this field."""
    return field.kind.protected or (not isinstance(field.kind, Category) and bool(field.kind.groups))


def grouped(field: Field, codes: npt.NDArray[np.floating[Any]]) -> Grouping:
    """(rows,) codes, NaN for missing → groups: words, or ranges between the field's edges (else its quartiles).

    A missing value is a group of its own, the last one.
    """
    missing = np.isnan(codes)
    if isinstance(field.kind, Category):
        names = list(field.kind.values.values())
        index = np.where(missing, len(names), codes)
    else:
        edges = sorted(field.kind.groups) or _quartiles(codes[~missing])
        names = _ranges(edges)
        index = np.where(missing, len(names), np.searchsorted(edges, codes, side="right"))
    present, dense = np.unique(index.astype(np.int64), return_inverse=True)
    return Grouping(field, [[*names, MISSING][number] for number in present], dense.astype(np.int64))


def _quartiles(values: npt.NDArray[np.floating[Any]]) -> list[float]:
    if not values.size:
        return []
    edges: list[float] = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="higher")).tolist()
    return edges


def _ranges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["any"]
    between = [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} and above"]
