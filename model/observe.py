"""What an artefact remembers of its training: ranges, golden rows, and what reasons are compared with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from model import artifact, export
from model.data import Labelled
from model.export import Calibration
from model.graph import CONTRIBUTIONS, Graph
from model.policy import Policy, answered
from model.reference import FeatureSplits, Reference, outcomes, score_groups, spread, training_bins
from model.trees import Ensemble
from preprocessing.encode import FIELDS, MODEL_FIELDS, Matrix
from preprocessing.features import DERIVED
from preprocessing.fields import Category

GOLDEN_ROWS = 32


def ranges(matrix: Matrix) -> dict[str, tuple[float, float]]:
    """What training saw of each field: lowest and highest code. A field that was always missing has no inside."""
    ranges = {}
    for index, field in enumerate(MODEL_FIELDS):
        seen = matrix[:, index][~np.isnan(matrix[:, index])]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, -1.0)
        if isinstance(field.kind, Category):
            low, high = 0.0, float(len(field.kind.values) - 1)  # a rare word that the split missed is no surprise
        ranges[field.name] = (low, high)
    return ranges


def reference(
    graphs: Mapping[str, bytes],
    ensemble: Ensemble,
    calibration: Calibration,
    data: Labelled,
    test: npt.NDArray[np.int64],
    ranges: Mapping[str, tuple[float, float]],
) -> Reference:
    exact = Graph(graphs[artifact.GRAPH]).run(data.matrix)[0][:, 0]
    probability = exact.astype(np.float64)
    contributions = Graph(graphs[artifact.CONTRIBUTIONS_GRAPH], [CONTRIBUTIONS]).first(data.matrix, 4096)
    names = [(field.name, (field.name,)) for field in MODEL_FIELDS] + [(one.name, one.sources) for one in DERIVED]
    thresholds = ensemble.thresholds()
    return Reference(
        bias=round(export.bias(ensemble, calibration), 9),
        spread=spread(data.matrix),
        groups=score_groups(probability, contributions),
        outcomes=outcomes(probability[test], data.bad[test]),
        splits=tuple(
            FeatureSplits(feature=name, sources=sources, thresholds=tuple(thresholds.get(column, ())))
            for column, (name, sources) in enumerate(names)
        ),
        bins=training_bins(np.array(answered(exact)), data.matrix, ranges),
    )


def golden_rows(graphs: Mapping[str, bytes], thresholds: Policy, matrix: Matrix, seed: int) -> list[artifact.Golden]:
    """Applications put together from single values of many applicants, so that nobody's application is shipped."""
    random = np.random.default_rng(seed)
    mixed = np.stack([random.permutation(column)[:GOLDEN_ROWS] for column in matrix.T], axis=1)
    probabilities = answered(Graph(graphs[artifact.GRAPH]).run(mixed)[0][:, 0])
    contributions = Graph(graphs[artifact.CONTRIBUTIONS_GRAPH], [CONTRIBUTIONS]).run(mixed)[0]
    return [
        artifact.Golden(
            application=_application(codes),
            probability=probability,
            tier=thresholds.tier(probability),
            contributions=tuple(round(float(contribution), 9) for contribution in row),
        )
        for codes, probability, row in zip(mixed.tolist(), probabilities, contributions, strict=True)
    ]


def _application(codes: list[float]) -> dict[str, Any]:
    """A row of the matrix as a caller would send it; what is missing is left out. Protected fields are in no row, so
    a required one is its example."""
    protected = {field.name: field.kind.example for field in FIELDS if field.kind.protected and field.required}
    return protected | {
        field.name: list(field.kind.values)[int(code)] if isinstance(field.kind, Category) else code
        for field, code in zip(MODEL_FIELDS, codes, strict=True)
        if code == code
    }
