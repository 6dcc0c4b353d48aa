"""The tabulated contributions against XGBoost's own exact ones, and against Shapley's definition."""

from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost

from model import explain, export, lookup
from model.artifact import CONTRIBUTIONS_BLOCK, Artifact
from model.data import Labelled
from model.errors import ExplanationError, ParityError
from model.export import CONTRIBUTION_TOLERANCE, Calibration, ensemble_of
from model.graph import CONTRIBUTIONS, FEATURES, MARGIN, Graph
from model.trees import Tree
from preprocessing.encode import MODEL_FIELDS
from preprocessing.features import DERIVED

CALIBRATION = Calibration(slope=1.1, intercept=-0.2)
FEATURES_ALL = len(MODEL_FIELDS) + len(DERIVED)


def features_of(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return Graph(export.features_graph().SerializeToString(), [FEATURES]).run(matrix)[0]


def boosted(labelled: Labelled, rounds: int = 20, **parameters: Any) -> xgboost.Booster:
    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, **parameters}
    data = xgboost.DMatrix(features_of(labelled.matrix), label=labelled.bad)
    return xgboost.train(settings, data, num_boost_round=rounds)


def contributions_of(booster: xgboost.Booster) -> bytes:
    tables = export.tables_of(ensemble_of(booster))
    return bytes(export.contributions_graph(tables, CALIBRATION).SerializeToString())


@pytest.mark.parametrize(
    "parameters",
    [
        *({"max_depth": depth} for depth in range(1, 7)),
        {"max_depth": 6, "grow_policy": "lossguide", "max_leaves": 9},  # lopsided trees
        {"rounds": 1},
        {"max_depth": 5, "colsample_bytree": 0.12},  # so few features that they come again on a path
        {"gamma": 1e6},  # no split is worth it: nothing but stumps
        {"max_depth": 2, "base_score": 0.2},
    ],
    ids=str,
)
def test_contributions_are_xgboosts_own_at_every_depth(labelled: Labelled, parameters: dict[str, Any]) -> None:
    booster = boosted(labelled, **parameters)
    worst = export.check_contributions(contributions_of(booster), booster, CALIBRATION, seed=3)
    assert worst <= CONTRIBUTION_TOLERANCE


def test_a_feature_may_come_again_on_a_path(labelled: Labelled) -> None:
    trees = ensemble_of(boosted(labelled, max_depth=5, colsample_bytree=0.12)).trees
    repeated = [
        leaf
        for tree in trees
        for leaf in tree.leaves()
        if len({tree.feature[n] for n, _ in leaf.path}) < len(leaf.path)
    ]
    assert repeated, "the case above is about nothing"


def test_contributions_after_early_stopping_are_those_of_the_trees_that_are_left(labelled: Labelled) -> None:
    booster = boosted(labelled, rounds=30)[:7]
    assert export.check_contributions(contributions_of(booster), booster, CALIBRATION, seed=3) <= CONTRIBUTION_TOLERANCE


def test_tables_that_say_something_else_do_not_pass(labelled: Labelled) -> None:
    booster, other = boosted(labelled), boosted(labelled, rounds=19)
    with pytest.raises(ExplanationError, match="nothing was written"):
        export.check_contributions(contributions_of(other), booster, CALIBRATION, seed=3)
    with pytest.raises(ExplanationError, match="nothing was written"):
        export.check_contributions(contributions_of(booster), booster, Calibration(1.101, -0.2), seed=3)


# a root that asks feature 0, below it feature 1, and on the right feature 0 again
TREE = Tree(
    left=[1, 3, 5, -1, -1, -1, -1],
    right=[2, 4, 6, -1, -1, -1, -1],
    feature=[0, 1, 0, 0, 0, 0, 0],
    threshold=[10.0, 5.0, 20.0, 0, 0, 0, 0],
    default_left=[True, False, False, False, False, False, False],
    value=[0, 0, 0, 1.0, 2.0, 4.0, 8.0],
    cover=[10.0, 6.0, 4.0, 1.5, 4.5, 3.0, 1.0],
)


def value_of(known: set[int], row: list[float], node: int = 0) -> float:
    """The game that path-dependent TreeSHAP plays: an unknown feature goes both ways, as the training rows did."""
    if TREE.is_leaf(node):
        return TREE.value[node]
    left, right = (value_of(known, row, child) for child in (TREE.left[node], TREE.right[node]))
    if TREE.feature[node] in known:
        value = row[TREE.feature[node]]
        goes_left = TREE.default_left[node] if np.isnan(value) else value < TREE.threshold[node]
        return left if goes_left else right
    share = TREE.cover[TREE.left[node]] / TREE.cover[node]
    return share * left + (1 - share) * right


@pytest.mark.parametrize("first", [float("nan"), 3.0, 10.0, 15.0, 20.0, 25.0])
@pytest.mark.parametrize("second", [float("nan"), 4.0, 5.0])
def test_a_tables_row_is_what_shapleys_definition_gives(first: float, second: float) -> None:
    row = [first, second]
    expected = np.zeros(2)
    for order in permutations(range(2)):
        known: set[int] = set()
        for feature in order:
            expected[feature] += (value_of(known | {feature}, row) - value_of(known, row)) / 2
            known |= {feature}

    [group] = lookup._groups(TREE, 0, ())
    left = [
        TREE.default_left[node] if np.isnan(row[TREE.feature[node]]) else row[TREE.feature[node]] < TREE.threshold[node]
        for node in group.nodes
    ]
    [pattern] = np.flatnonzero((group.goes_left() == left).all(axis=1))
    np.testing.assert_allclose(explain._of_group(group, 8)[pattern, :2], expected, atol=1e-12)
    assert explain.expected_margin(TREE) == pytest.approx(value_of(set(), row))


def test_a_derived_features_contribution_goes_in_equal_parts_to_its_sources() -> None:
    shares = explain.feature_shares()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    names = [field.name for field in MODEL_FIELDS]
    for row, derived in zip(shares[len(MODEL_FIELDS) :], DERIVED, strict=True):
        assert {names[column]: share for column, share in enumerate(row) if share} == dict.fromkeys(
            derived.sources, 1 / len(derived.sources)
        )


def test_a_derived_feature_is_computed_from_the_sources_it_names(labelled: Labelled) -> None:
    before = features_of(labelled.matrix)
    for column, field in enumerate(MODEL_FIELDS):
        moved = labelled.matrix.copy()
        moved[:, column] += 1
        changed = ~((before == features_of(moved)) | np.isnan(before)).all(axis=0)
        assert changed[len(MODEL_FIELDS) :].tolist() == [field.name in derived.sources for derived in DERIVED]


def test_trees_too_deep_or_too_many_are_refused_with_advice(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = ensemble_of(boosted(labelled, max_depth=7))
    with pytest.raises(ExplanationError, match=r"7 levels deep .* lower max_depth"):
        export.tables_of(deep)
    tables = export.tables_of(ensemble_of(boosted(labelled)))
    monkeypatch.setattr(explain, "LARGEST_MIB", 0.01)
    with pytest.raises(ExplanationError, match="fewer trees"):
        explain.contribution_table(tables, 1.0)


def test_a_rows_contributions_do_not_depend_on_its_batch(artifact: Artifact, labelled: Labelled) -> None:
    rows = labelled.matrix[: CONTRIBUTIONS_BLOCK + 100]
    whole = artifact.contributions(rows)
    for size in (1, 2, 3, 7, 64, 100):
        parts = [artifact.contributions(rows[start : start + size]) for start in range(0, len(rows), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_graph_for_large_batches_gives_the_very_bits_of_the_other(labelled: Labelled, depth: int) -> None:
    ensemble = ensemble_of(boosted(labelled, max_depth=depth))
    onnx = export.pipeline_graph(ensemble, CALIBRATION).SerializeToString()
    bulk = export.bulk_graph(export.tables_of(ensemble), ensemble, CALIBRATION).SerializeToString()
    export.check_bulk(onnx, bulk, ensemble, seed=4)

    other = export.bulk_graph(export.tables_of(ensemble), ensemble, Calibration(1.1, -0.2 + 1e-6)).SerializeToString()
    with pytest.raises(ParityError, match="large batches"):
        export.check_bulk(onnx, other, ensemble, seed=4)


def test_margin_is_bias_and_contributions(artifact: Artifact, labelled: Labelled) -> None:
    [margin] = artifact.graph.run(labelled.matrix, [MARGIN])
    explained = artifact.contributions(labelled.matrix).sum(axis=1) + artifact.reference.bias
    np.testing.assert_allclose(explained, margin[:, 0], atol=CONTRIBUTION_TOLERANCE)
    assert (MARGIN, CONTRIBUTIONS) == ("margin", "contributions")


def test_no_more_trees_are_boosted_than_the_table_has_room_for(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explain.most_trees() > 1000
    monkeypatch.setattr(explain, "LARGEST_MIB", 0.2)
    most = explain.most_trees()
    assert most < 50
    full = ensemble_of(boosted(labelled, most))
    assert explain.contribution_table(export.tables_of(full), 1.0).shape[0] == most
    with pytest.raises(ExplanationError, match="the limit is"):
        explain.contribution_table(export.tables_of(ensemble_of(boosted(labelled, most + 5))), 1.0)
