"""What a field does to the probability, all else left alone: partial dependence (Friedman 2001) through the graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.graph import Graph
from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.fields import Category, Field

APPLICANTS = 300
MOST_VALUES = 24


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean probability of the sample with the field set to each of `values`; words have their share of `matrix` beside.

    `deciles` mark where the applicants are; `missing` is the mean with the field missing, None where nobody's is.
    """

    field: Field
    values: Sequence[float]
    probability: Sequence[float]
    shares: Sequence[float]
    deciles: Sequence[float]
    missing: float | None
    missing_share: float


def effects(onnx: bytes, matrix: Matrix) -> list[Effect]:
    """Of every field that the model sees, on the first `APPLICANTS` rows of `matrix` (rows, fields)."""
    graph, sample = Graph(onnx), matrix[:APPLICANTS]
    return [_effect(graph, sample, matrix[:, column], column) for column in range(len(MODEL_FIELDS))]


def _effect(graph: Graph, sample: Matrix, seen: npt.NDArray[np.float32], column: int) -> Effect:
    field = MODEL_FIELDS[column]
    missing = np.isnan(seen)
    present = seen[~missing]
    deciles: list[float] = []
    if isinstance(field.kind, Category):
        values = np.arange(len(field.kind.values), dtype=np.float32)
        shares = [float((present == value).mean()) if present.size else 0.0 for value in values]
    else:
        values, shares = np.empty(0, dtype=np.float32), []
        if present.size:
            # between the 1st and the 99th percentile: beyond them there is nearly nobody
            values = np.unique(np.quantile(present, np.linspace(0.01, 0.99, MOST_VALUES)).astype(np.float32))
            deciles = np.quantile(present, np.arange(1, 10) / 10).tolist()
    means = _means(graph, sample, column, np.append(values, np.float32(np.nan)))
    at_missing = means[-1] if missing.any() else None
    return Effect(field, values.tolist(), means[:-1], shares, deciles, at_missing, float(missing.mean()))


def _means(graph: Graph, sample: Matrix, column: int, values: npt.NDArray[np.float32]) -> list[float]:
    rows = np.tile(sample, (len(values), 1))
    rows[:, column] = np.repeat(values, len(sample))
    means: list[float] = graph.run(rows)[0].reshape(len(values), -1).mean(axis=1, dtype=np.float64).tolist()
    return means
