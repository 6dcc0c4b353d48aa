"""Features + trees + calibration → one ONNX graph, and the gate that it must pass before it is written.

    application (rows, fields) ─ traced `derive` ─ features ─ TreeEnsembleRegressor ─ margin ─ Sigmoid ─ probability

The calibration is a line through the margin, so it is folded into the leaves and costs nothing at run time. Trees are
emitted as a regressor, which ONNX Runtime evaluates faster than a classifier.
"""

import json
from dataclasses import dataclass
from typing import Any

import ndonnx
import numpy as np
import numpy.typing as npt
import onnx
import xgboost
from onnx import helper

from model.errors import ParityError
from model.graph import FEATURES, INPUT, MARGIN, PROBABILITY, Graph
from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.features import derive
from preprocessing.fields import Category, Number

# float32 sums of some hundred leaves differ by their order; a sigmoid turns that into at most a few 1e-7
PARITY_TOLERANCE = 1e-6
PARITY_ROWS = 120_000
_ML_DOMAIN, _ML_OPSET = "ai.onnx.ml", 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """probability = sigmoid(slope · margin + intercept) (Platt 1999)."""

    slope: float
    intercept: float

    def probability(self, margin: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * margin.astype(np.float64) + self.intercept))))


def features_graph() -> onnx.ModelProto:
    """`derive` traced into ONNX: application (rows, fields) → features (rows, fields + derived), both float32."""
    x = ndonnx.argument(shape=("rows", len(MODEL_FIELDS)), dtype=ndonnx.float32)
    return ndonnx.build({INPUT: x}, {FEATURES: ndonnx.concat([x, derive(x)], axis=1)})


def pipeline_graph(booster: xgboost.Booster, calibration: Calibration) -> onnx.ModelProto:
    """The whole pipeline as one graph with the outputs `margin` and `probability`, both (rows, 1) float32."""
    model = features_graph()
    trees = _trees(json.loads(booster.save_raw("json"))["learner"], calibration)
    model.graph.node.append(
        helper.make_node("TreeEnsembleRegressor", [FEATURES], [MARGIN], domain=_ML_DOMAIN, name="trees", **trees)
    )
    model.graph.node.append(helper.make_node("Sigmoid", [MARGIN], [PROBABILITY], name="sigmoid"))
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 1]) for name in (MARGIN, PROBABILITY)
    )
    if not any(opset.domain == _ML_DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET))
    onnx.checker.check_model(model, full_check=True)
    return model


def check_parity(onnx_bytes: bytes, booster: xgboost.Booster, calibration: Calibration, seed: int) -> float:
    """The largest difference in probability between the graph and XGBoost with the calibrator; ParityError above 1e-6.

    Compared on `PARITY_ROWS` generated applications with missing and infinite values, values equal to and next to the
    trees' split thresholds, and category codes that no schema knows.
    """
    rows = generated_rows(booster, PARITY_ROWS, np.random.default_rng(seed))
    features = Graph(features_graph().SerializeToString(), [FEATURES]).run(rows)[0]
    margin = booster.inplace_predict(features, predict_type="margin")
    difference = np.abs(Graph(onnx_bytes).probability(rows) - calibration.probability(margin))
    worst = float(difference.max())
    if not worst <= PARITY_TOLERANCE:  # also when it is NaN
        row = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
        raise ParityError(
            f"the ONNX graph and XGBoost differ by {worst:.2e} in probability (limit {PARITY_TOLERANCE:.0e}) "
            f"on generated row {row}: nothing was written"
        )
    return worst


def generated_rows(booster: xgboost.Booster, rows: int, random: np.random.Generator) -> Matrix:
    """(rows, fields) float32 of applications as no caller may send them: the full domain of the graph."""
    splits = _splits(booster)
    matrix = np.empty((rows, len(MODEL_FIELDS)), dtype=np.float32)
    for column, field in enumerate(MODEL_FIELDS):
        matrix[:, column] = _generated_column(field.kind, splits.get(column, []), rows, random)
    return matrix


def _generated_column(
    kind: Number | Category, splits: list[float], rows: int, random: np.random.Generator
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
    thresholds = np.array(splits or [0.0], dtype=np.float32)
    corners = np.concatenate(
        [thresholds, np.nextafter(thresholds, np.float32(-np.inf)), np.nextafter(thresholds, np.float32(np.inf))]
    )
    choice = random.random(rows)
    column = np.where(choice < 0.35, random.choice(corners, rows), usual.astype(np.float32))
    column = np.where(choice > 0.85, random.choice(np.array(odd, dtype=np.float32), rows), column)
    return np.where(choice > 0.92, np.float32(np.nan), column)


def _splits(booster: xgboost.Booster) -> dict[int, list[float]]:
    """Column → the thresholds at which some tree splits it."""
    splits: dict[int, set[float]] = {}
    for tree in json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]:
        for left, column, threshold in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        ):
            if left != -1:
                splits.setdefault(column, set()).add(threshold)
    return {column: sorted(thresholds) for column, thresholds in splits.items()}


def _trees(learner: dict[str, Any], calibration: Calibration) -> dict[str, Any]:
    """XGBoost's JSON → the attributes of a TreeEnsembleRegressor, scaled by the calibration."""
    nodes: dict[str, list[Any]] = {
        name: []
        for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
                     "missing_value_tracks_true")
    }  # fmt: skip
    targets: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree_id, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        for node_id, left in enumerate(tree["left_children"]):
            leaf = left == -1
            value = tree["split_conditions"][node_id]
            nodes["treeids"].append(tree_id)
            nodes["nodeids"].append(node_id)
            nodes["featureids"].append(tree["split_indices"][node_id])
            nodes["values"].append(0.0 if leaf else value)
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LT")
            nodes["truenodeids"].append(0 if leaf else left)
            nodes["falsenodeids"].append(0 if leaf else tree["right_children"][node_id])
            nodes["missing_value_tracks_true"].append(int(not leaf and tree["default_left"][node_id]))
            if leaf:
                targets["treeids"].append(tree_id)
                targets["nodeids"].append(node_id)
                targets["ids"].append(0)
                targets["weights"].append(calibration.slope * value)
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    base_margin = float(np.log(base / (1 - base)))
    return {
        "n_targets": 1,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "base_values": [calibration.slope * base_margin + calibration.intercept],
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"target_{name}": values for name, values in targets.items()},
    }
