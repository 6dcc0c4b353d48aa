import re
from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import xgboost

from model import export
from model.artifact import GRAPH, Artifact
from model.data import Labelled
from model.errors import ParityError
from model.export import PARITY_TOLERANCE, Calibration, ensemble_of
from model.generated import generated_rows
from model.graph import FEATURES, Graph
from preprocessing.encode import MODEL_FIELDS
from preprocessing.fields import Category

CALIBRATION = Calibration(slope=1.1, intercept=-0.2)


def boosted(labelled: Labelled, **parameters: object) -> xgboost.Booster:
    features = Graph(export.features_graph().SerializeToString(), [FEATURES]).run(labelled.matrix)[0]
    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, **parameters}
    return xgboost.train(settings, xgboost.DMatrix(features, label=labelled.bad), num_boost_round=20)


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_the_graph_answers_as_xgboost_and_the_calibrator_do(labelled: Labelled, depth: int) -> None:
    booster = boosted(labelled, max_depth=depth)
    onnx_bytes = export.pipeline_graph(ensemble_of(booster), CALIBRATION).SerializeToString()
    assert export.check_parity(onnx_bytes, booster, CALIBRATION, seed=1) <= PARITY_TOLERANCE


def splits(booster: xgboost.Booster) -> list[tuple[int, float]]:
    """(column, threshold) of every split, read from XGBoost's own text dump."""
    dump = "".join(booster.get_dump())
    return [(int(column), float(threshold)) for column, threshold in re.findall(r"\[f(\d+)<([^\]]+)\]", dump)]


def test_the_graph_answers_as_xgboost_does_where_the_trees_are_asked_at_their_thresholds(labelled: Labelled) -> None:
    booster = boosted(labelled)
    asked = [(column, np.float32(threshold)) for column, threshold in splits(booster) if column < len(MODEL_FIELDS)]
    assert len(asked) > 20
    rows = np.concatenate([labelled.matrix[:3]] * len(asked))
    for number, (column, threshold) in enumerate(asked):
        at = [threshold, np.nextafter(threshold, np.float32(-np.inf)), np.nextafter(threshold, np.float32(np.inf))]
        rows[3 * number : 3 * number + 3, column] = at
    features = Graph(export.features_graph().SerializeToString(), [FEATURES]).run(rows)[0]
    expected = CALIBRATION.probability(booster.inplace_predict(features, predict_type="margin"))
    actual = Graph(export.pipeline_graph(ensemble_of(booster), CALIBRATION).SerializeToString()).run(rows)[0][:, 0]
    np.testing.assert_allclose(actual, expected, atol=PARITY_TOLERANCE, rtol=0)


@pytest.mark.parametrize("other", [Calibration(1.1001, -0.2), Calibration(1.1, -0.2001), Calibration(float("nan"), 0)])
def test_a_graph_that_answers_differently_does_not_pass(labelled: Labelled, other: Calibration) -> None:
    booster = boosted(labelled)
    onnx_bytes = export.pipeline_graph(ensemble_of(booster), CALIBRATION).SerializeToString()
    with pytest.raises(ParityError, match="nothing was written"):
        export.check_parity(onnx_bytes, booster, other, seed=1)


def test_the_generated_rows_leave_no_corner_out(labelled: Labelled) -> None:
    booster = boosted(labelled)
    rows = generated_rows(ensemble_of(booster).thresholds(), 100_000, np.random.default_rng(0))
    for column, threshold in splits(booster):
        if column < len(MODEL_FIELDS):
            assert (rows[:, column] == np.float32(threshold)).any()
    assert np.isnan(rows).any(axis=0).all()
    assert np.isposinf(rows).any(axis=0).all()
    for column, field in enumerate(MODEL_FIELDS):
        if isinstance(field.kind, Category):
            known = set(range(len(field.kind.values)))
            seen = set(rows[np.isfinite(rows[:, column]), column].tolist())
            assert known < seen, f"{field.name}: every known code and some that are not"


def test_the_trees_are_a_regressor_and_the_calibration_is_inside_them(files: Mapping[str, bytes]) -> None:
    model = onnx.load_from_string(files[GRAPH])
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[-2:] == ["TreeEnsembleRegressor", "Sigmoid"]
    assert [value.name for value in model.graph.input] == ["application"]
    assert [value.name for value in model.graph.output] == ["margin", "probability"]


def test_row_i_of_a_batch_is_the_single_answer(labelled: Labelled, artifact: Artifact) -> None:
    matrix = labelled.matrix[:300]
    alone = [artifact.score(matrix[row : row + 1])[0] for row in range(len(matrix))]
    assert artifact.score(matrix) == alone
