"""Rows to hold the exported graphs to: applications as no caller may send them, the full domain of the graph."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.fields import Category, Number


def generated_rows(thresholds: Mapping[int, Sequence[float]], rows: int, random: np.random.Generator) -> Matrix:
    """(rows, fields) float32: usual values, missing and infinite ones, category codes that no schema knows, and values
    equal to and next to the trees' `thresholds` by column."""
    matrix = np.empty((rows, len(MODEL_FIELDS)), dtype=np.float32)
    for column, field in enumerate(MODEL_FIELDS):
        matrix[:, column] = _generated_column(field.kind, thresholds.get(column, ()), rows, random)
    return matrix


def _generated_column(
    kind: Number | Category, splits: Sequence[float], rows: int, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    if isinstance(kind, Category):
        usual = random.integers(0, len(kind.values), rows).astype(np.float32)
        odd = [-1.0, len(kind.values), len(kind.values) + 0.5, np.inf]
    else:
        # half over the possible range, half around where the trees look
        around = (min(splits), max(splits)) if splits else (kind.low, kind.high)
        usual = np.where(
            random.random(rows) < 0.5, random.uniform(kind.low, kind.high, rows), random.uniform(*around, rows)
        )
        limits = np.finfo(np.float32)
        odd = [kind.low, kind.high, 0.0, -0.0, np.inf, -np.inf, float(limits.max), float(limits.tiny)]
    corners_at = np.array(splits or [0.0], dtype=np.float32)
    corners = np.concatenate(
        [corners_at, np.nextafter(corners_at, np.float32(-np.inf)), np.nextafter(corners_at, np.float32(np.inf))]
    )
    choice = random.random(rows)
    column = np.where(choice < 0.35, random.choice(corners, rows), usual.astype(np.float32))
    column = np.where(choice > 0.85, random.choice(np.array(odd, dtype=np.float32), rows), column)
    return np.where(choice > 0.92, np.float32(np.nan), column)
