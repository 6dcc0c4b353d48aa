"""Features + trees + calibration → ONNX, and the gate that the graphs must pass before they are written.

    application (rows, fields) ─ traced `derive` ─ features ─ TreeEnsembleRegressor ─ margin ─ Sigmoid ─ probability

The calibration is a line through the margin, so it is folded into the leaves and costs nothing at run time. Trees are
emitted as a regressor, which ONNX Runtime evaluates faster than a classifier. ONNX Runtime always computes a whole
graph, so what only some requests need are graphs of their own, from the same features and trees: the contributions of
the fields, and the same probability for large batches by way of tables (`lookup.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ndonnx
import numpy as np
import numpy.typing as npt
import onnx
import xgboost
from onnx import helper

from model.artifact import BULK, CONTRIBUTIONS_GRAPH, FEATURES_GRAPH, GRAPH
from model.errors import ExplanationError, ParityError
from model.explain import contribution_table, expected_margin, feature_shares
from model.generated import generated_rows
from model.graph import CONTRIBUTIONS, FEATURES, INPUT, MARGIN, PROBABILITY, Graph
from model.lookup import PATTERNS, Lookup, append, append_patterns, leaf_table, tabulate
from model.trees import Ensemble, read_ensemble
from preprocessing.encode import MODEL_FIELDS
from preprocessing.features import DERIVED, derive

# float32 sums of some hundred leaves differ by their order; a sigmoid turns that into at most a few 1e-7
PARITY_TOLERANCE = 1e-6
PARITY_ROWS = 120_000
# in log-odds, where the same differences are not yet made smaller
CONTRIBUTION_TOLERANCE = 1e-5
CONTRIBUTION_ROWS = 10_000
BULK_SIZES = (64, 65, 100, 1023, 1024, 4096)  # rows at once; each may be added up by another loop of ONNX Runtime
_ML_DOMAIN, _ML_OPSET = "ai.onnx.ml", 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """probability = sigmoid(slope · margin + intercept) (Platt 1999)."""

    slope: float
    intercept: float

    def probability(self, margin: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * margin.astype(np.float64) + self.intercept))))


def ensemble_of(booster: xgboost.Booster) -> Ensemble:
    """The booster's trees as plain values."""
    return read_ensemble(json.loads(booster.save_raw("json")))


def features_graph() -> onnx.ModelProto:
    """`derive` traced into ONNX: application (rows, fields) → features (rows, fields + derived), both float32."""
    x = ndonnx.argument(shape=("rows", len(MODEL_FIELDS)), dtype=ndonnx.float32)
    return ndonnx.build({INPUT: x}, {FEATURES: ndonnx.concat([x, derive(x)], axis=1)})


def pipeline_graph(ensemble: Ensemble, calibration: Calibration) -> onnx.ModelProto:
    """The whole pipeline as one graph with the outputs `margin` and `probability`, both (rows, 1) float32."""
    model = features_graph()
    trees = _attributes(ensemble, calibration)
    model.graph.node.append(
        helper.make_node("TreeEnsembleRegressor", [FEATURES], [MARGIN], domain=_ML_DOMAIN, name="trees", **trees)
    )
    append(model, "Sigmoid", [MARGIN], PROBABILITY)
    if not any(opset.domain == _ML_DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET))
    return _finished(model, {MARGIN: 1, PROBABILITY: 1})


def bulk_graph(lookup: Lookup, ensemble: Ensemble, calibration: Calibration) -> onnx.ModelProto:
    """The same outputs to the last bit, by way of tables: on blocks of rows in half the time, on one row in thrice."""
    model = features_graph()
    append_patterns(model, lookup, FEATURES)
    append(model, "GatherElements", [leaf_table(lookup, calibration.slope), PATTERNS], "leaves", axis=1)
    append(model, "ReduceSum", ["leaves", np.array([0])], "sum", keepdims=1)
    base = np.full((1, 1), _base_value(ensemble, calibration), dtype=np.float32)
    append(model, "Add", ["sum", base], "by_column")
    append(model, "Transpose", ["by_column"], MARGIN, perm=[1, 0])
    append(model, "Sigmoid", [MARGIN], PROBABILITY)
    return _finished(model, {MARGIN: 1, PROBABILITY: 1})


def contributions_graph(lookup: Lookup, calibration: Calibration) -> onnx.ModelProto:
    """application → `contributions` (rows, fields) float32: each field's to the log-odds; with `bias` they add up to
    the margin."""
    model = features_graph()
    append_patterns(model, lookup, FEATURES)
    table = contribution_table(lookup, calibration.slope)
    first_rows = np.arange(len(lookup.groups), dtype=np.int32).reshape(-1, 1) * np.int32(lookup.patterns)
    append(model, "Add", [PATTERNS, first_rows], "table_rows")
    append(model, "Gather", [table.reshape(-1, table.shape[2]), "table_rows"], "of_groups", axis=0)
    append(model, "ReduceSum", ["of_groups", np.array([0])], CONTRIBUTIONS, keepdims=0)
    return _finished(model, {CONTRIBUTIONS: table.shape[2]})


def bias(ensemble: Ensemble, calibration: Calibration) -> float:
    """The mean margin of the training rows, in calibrated log-odds: what the contributions are counted from."""
    return _base_value(ensemble, calibration) + calibration.slope * sum(map(expected_margin, ensemble.trees))


def graphs_of(booster: xgboost.Booster, calibration: Calibration) -> dict[str, bytes]:
    """All graphs of the artefact by their files' names."""
    ensemble = ensemble_of(booster)
    lookup = tables_of(ensemble)
    graphs = {
        GRAPH: pipeline_graph(ensemble, calibration),
        CONTRIBUTIONS_GRAPH: contributions_graph(lookup, calibration),
        FEATURES_GRAPH: features_graph(),
    }
    if len(lookup.groups) == len(ensemble.trees):  # deeper trees are many groups, which cost more than they save
        graphs[BULK] = bulk_graph(lookup, ensemble, calibration)
    return {name: graph.SerializeToString(deterministic=True) for name, graph in graphs.items()}


def check(
    graphs: Mapping[str, bytes], booster: xgboost.Booster, calibration: Calibration, seed: int
) -> dict[str, float]:
    """The gate: raises where a graph differs from XGBoost; what was compared, for the manifest."""
    onnx = graphs[GRAPH]
    worst = check_parity(onnx, booster, calibration, seed)
    if BULK in graphs:
        check_bulk(onnx, graphs[BULK], ensemble_of(booster), seed)
    explained = check_contributions(graphs[CONTRIBUTIONS_GRAPH], booster, calibration, seed)
    return {
        "rows": PARITY_ROWS,
        "largest_difference": worst,
        "rows_of_contributions": CONTRIBUTION_ROWS,
        "largest_difference_of_contributions": explained,
    }


def check_parity(onnx_bytes: bytes, booster: xgboost.Booster, calibration: Calibration, seed: int) -> float:
    """The largest difference in probability between the graph and XGBoost with the calibrator; ParityError above 1e-6.

    Compared on `PARITY_ROWS` generated applications with missing and infinite values, values equal to and next to the
    trees' split thresholds, and category codes that no schema knows.
    """
    rows = generated_rows(ensemble_of(booster).thresholds(), PARITY_ROWS, np.random.default_rng(seed))
    margin = booster.inplace_predict(_features(rows), predict_type="margin")
    difference = np.abs(Graph(onnx_bytes).run(rows)[0][:, 0] - calibration.probability(margin))
    worst = float(difference.max())
    if not worst <= PARITY_TOLERANCE:  # also when it is NaN
        row = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
        raise ParityError(
            f"the ONNX graph and XGBoost differ by {worst:.2e} in probability (limit {PARITY_TOLERANCE:.0e}) "
            f"on generated row {row}: nothing was written"
        )
    return worst


def check_bulk(onnx_bytes: bytes, bulk_bytes: bytes, ensemble: Ensemble, seed: int) -> None:
    """ParityError unless the graph for large batches gives the very bits of the other, in batches of any size."""
    rows = generated_rows(ensemble.thresholds(), 2 * sum(BULK_SIZES), np.random.default_rng(seed))
    [expected] = Graph(onnx_bytes, [MARGIN]).run(rows)
    bulk = Graph(bulk_bytes, [MARGIN])
    edges = np.cumsum([*BULK_SIZES, *BULK_SIZES])[:-1]
    got = np.concatenate([bulk.run(block)[0] for block in np.split(rows, edges)])
    if not np.array_equal(got, expected):
        different = int((got != expected).sum())
        raise ParityError(f"the graph for large batches differs on {different} generated rows: nothing was written")


def check_contributions(contributions: bytes, booster: xgboost.Booster, calibration: Calibration, seed: int) -> float:
    """The largest difference in log-odds between the graph's contributions and XGBoost's own exact ones, summed by
    field, and between their sum with the bias and the margin; ExplanationError above 1e-5."""
    ensemble = ensemble_of(booster)
    rows = generated_rows(ensemble.thresholds(), CONTRIBUTION_ROWS, np.random.default_rng(seed))
    data = xgboost.DMatrix(np.where(np.isinf(features := _features(rows)), _FAR * np.sign(features), features))
    expected = calibration.slope * booster.predict(data, pred_contribs=True)[:, :-1] @ feature_shares()
    margin = calibration.slope * booster.predict(data, output_margin=True) + calibration.intercept
    [got] = Graph(contributions, [CONTRIBUTIONS]).run(rows)
    worst = float(np.abs(got - expected).max())
    unbalanced = float(np.abs(got.sum(axis=1) + bias(ensemble, calibration) - margin).max())
    if not max(worst, unbalanced) <= CONTRIBUTION_TOLERANCE:
        raise ExplanationError(
            f"the tabulated contributions differ from XGBoost's by {worst:.2e}, their sum from the margin by "
            f"{unbalanced:.2e} (limit {CONTRIBUTION_TOLERANCE:.0e}): nothing was written"
        )
    return worst


_FAR = float(np.finfo(np.float32).max)  # a DMatrix takes no infinity; no threshold lies between it and this


def _features(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return Graph(features_graph().SerializeToString(), [FEATURES]).run(rows)[0]


def _finished(model: onnx.ModelProto, outputs: Mapping[str, int]) -> onnx.ModelProto:
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", width]) for name, width in outputs.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def tables_of(ensemble: Ensemble) -> Lookup:
    """The ensemble as tables; ExplanationError where it is too deep for them."""
    return tabulate(ensemble, len(MODEL_FIELDS) + len(DERIVED))


def _base_value(ensemble: Ensemble, calibration: Calibration) -> float:
    return calibration.slope * ensemble.base_margin + calibration.intercept


def _attributes(ensemble: Ensemble, calibration: Calibration) -> dict[str, Any]:
    """The attributes of a TreeEnsembleRegressor, scaled by the calibration."""
    nodes: dict[str, list[Any]] = {
        name: []
        for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
                     "missing_value_tracks_true")
    }  # fmt: skip
    targets: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree_id, tree in enumerate(ensemble.trees):
        for node in range(len(tree.left)):
            leaf = tree.is_leaf(node)
            nodes["treeids"].append(tree_id)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(tree.feature[node])
            nodes["values"].append(tree.threshold[node])
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LT")
            nodes["truenodeids"].append(0 if leaf else tree.left[node])
            nodes["falsenodeids"].append(0 if leaf else tree.right[node])
            nodes["missing_value_tracks_true"].append(int(tree.default_left[node]))
            if leaf:
                targets["treeids"].append(tree_id)
                targets["nodeids"].append(node)
                targets["ids"].append(0)
                targets["weights"].append(calibration.slope * tree.value[node])
    return {
        "n_targets": 1,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "base_values": [_base_value(ensemble, calibration)],
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"target_{name}": values for name, values in targets.items()},
    }
