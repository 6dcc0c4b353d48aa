import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import xgboost

from model import export, monotone, train
from model.artifact import GRAPH
from model.data import Labelled
from model.errors import MonotonicityError
from model.export import Calibration
from preprocessing.encode import MODEL_FIELDS
from preprocessing.features import DERIVED
from tests.model.test_export import boosted

UNCHANGED = Calibration(slope=1.0, intercept=0.0)
NAMES = [field.name for field in MODEL_FIELDS] + [derived.name for derived in DERIVED]


def demanded(direction: int) -> list[tuple[str, str, int]]:
    """The same direction for every feature."""
    return [(name, name, direction) for name in NAMES]


def exported(booster: xgboost.Booster) -> bytes:
    return bytes(export.pipeline_graph(export.ensemble_of(booster), UNCHANGED).SerializeToString())


def brute_force(booster: xgboost.Booster, feature: int, direction: int) -> bool:
    """Whether XGBoost's own answer moves against `direction` in any cell that its split thresholds make."""
    cells: dict[int, npt.NDArray[np.float32]] = {}
    for column in {column for column, _ in splits(booster)}:
        cuts = np.unique(np.array([threshold for other, threshold in splits(booster) if other == column], np.float32))
        below = np.nextafter(cuts[:1], np.float32(-np.inf))
        cells[column] = np.concatenate([below, cuts, [np.nan]]).astype(np.float32)
    cells[feature] = cells[feature][:-1]  # no demand speaks of a missing value of the feature itself
    rows = np.full((int(np.prod([len(values) for values in cells.values()])), len(NAMES)), np.nan, np.float32)
    rows[:, list(cells)] = np.array(list(itertools.product(*cells.values())), np.float32)
    margin = booster.inplace_predict(rows, predict_type="margin").reshape([len(values) for values in cells.values()])
    return bool((direction * np.diff(margin, axis=list(cells).index(feature)) < 0).any())


def splits(booster: xgboost.Booster) -> list[tuple[int, float]]:
    table = [line for line in booster.get_dump() for line in line.split("[f")[1:]]
    return [(int(split.split("<")[0]), float(split.split("<")[1].split("]")[0])) for split in table]


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("direction", [-1, 1])
def test_the_proof_agrees_with_brute_force_over_every_cell(labelled: Labelled, depth: int, direction: int) -> None:
    booster = boosted(labelled, max_depth=depth)
    outcomes = []
    for number in range(booster.num_boosted_rounds()):
        tree = booster[number : number + 1]
        proofs = {proof.name: proof for proof in monotone.prove_directions(exported(tree), demanded(direction))}
        for feature in {column for column, _ in splits(tree)}:
            assert proofs[NAMES[feature]].proved is not brute_force(tree, feature, direction)
            assert proofs[NAMES[feature]].trees == 1
            outcomes.append(proofs[NAMES[feature]].proved)
    assert len(set(outcomes)) == 2, "both outcomes were compared"


def test_a_counterexample_is_one_that_the_graph_confirms(labelled: Labelled) -> None:
    booster = boosted(labelled, max_depth=6)
    found = [proof for proof in monotone.prove_directions(exported(booster), demanded(1)) if not proof.proved]
    assert found
    for proof in found:
        assert proof.counterexample
        tree, low, high, before, after, others = proof.counterexample
        assert low < high
        assert after < before
        rows = np.full((2, len(NAMES)), np.nan, np.float32)
        rows[:, [NAMES.index(name) for name in others]] = list(others.values())
        rows[:, NAMES.index(proof.name)] = [low, high]
        answers = booster[tree : tree + 1].inplace_predict(rows, predict_type="margin")
        assert answers[1] - answers[0] == pytest.approx(after - before, abs=1e-6)


def test_the_trained_model_is_proved_in_every_demanded_direction(files: Mapping[str, bytes]) -> None:
    proofs = monotone.prove(files[GRAPH])
    expected = [field.name for field in MODEL_FIELDS if field.kind.risk]
    expected += [derived.name for derived in DERIVED if derived.risk]
    assert [proof.name for proof in proofs] == expected
    assert all(proof.proved and proof.trees and proof.pairs for proof in proofs)
    monotone.require(proofs)


def test_training_refuses_trees_that_break_a_demand(labelled: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    def unconstrained(
        features: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_], fitting: npt.NDArray[np.int64], *_: object
    ) -> xgboost.Booster:
        data = xgboost.DMatrix(features[fitting], label=bad[fitting])
        return xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, num_boost_round=30)

    monkeypatch.setattr(train, "fit", unconstrained)
    with pytest.raises(MonotonicityError, match=r"risk, but from .* nothing was written"):
        train.train(labelled, train.Options(cv_seeds=0, report_seeds=0), step=lambda _: None)


def test_a_field_is_followed_through_the_features_that_move_with_it(
    labelled: Labelled, files: Mapping[str, bytes]
) -> None:
    chains = monotone.chains(files[GRAPH], labelled.matrix)
    assert [chain.label for chain in chains] == [field.kind.label for field in MODEL_FIELDS if field.kind.risk]
    assert all(chain.follows for chain in chains)
    links = {chain.label: {link.label: link.moves for link in chain.links} for chain in chains}
    assert links["Monthly income"] == {"Price to income": -1, "Amount to income": -1, "Expenses to income": -1}
    assert links["Debt"] == {"Debt to assets": 1}
    assert links["Negative records"] == {}


@pytest.mark.parametrize(
    ("links", "follows"),
    [
        ([], True),
        ([monotone.Link("x", -1, 1)], True),
        ([monotone.Link("x", 1, 1)], False),
        ([monotone.Link("x", -1, 0)], False),
        ([monotone.Link("x", -1, 1), monotone.Link("y", None, 1)], False),
    ],
)
def test_a_field_follows_only_where_every_feature_goes_its_way(links: list[monotone.Link], follows: bool) -> None:
    assert monotone.Chain("Income", -1, links).follows is follows


def test_a_graph_without_trees_is_not_proved() -> None:
    graph = export.features_graph()
    graph.graph.output[0].name = "margin"
    graph.graph.node[-1].output[0] = "margin"
    with pytest.raises(MonotonicityError, match="a proof is known for TreeEnsembleRegressor alone"):
        monotone.prove(graph.SerializeToString())
