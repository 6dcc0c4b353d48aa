import numpy as np

from model.export import features_graph
from model.graph import FEATURES, Graph
from preprocessing.encode import COLUMN, MODEL_FIELDS
from preprocessing.features import DERIVED, derive


def test_the_traced_graph_computes_what_numpy_computes() -> None:
    random = np.random.default_rng(1)
    x = random.lognormal(3, 3, (5000, len(MODEL_FIELDS))).astype(np.float32)
    for value in (0.0, -1.0, np.nan, np.inf, -np.inf):
        x[random.random(x.shape) < 0.05] = value
    with np.errstate(all="ignore"):
        expected = np.concatenate([x, derive(x)], axis=1)
    np.testing.assert_array_equal(Graph(features_graph().SerializeToString(), [FEATURES]).run(x)[0], expected)


def test_each_derived_feature_is_the_ratio_it_declares() -> None:
    x = np.arange(1, 1 + len(MODEL_FIELDS), dtype=np.float32).reshape(1, -1)
    derived = derive(x)
    assert derived.shape == (1, len(DERIVED))
    for column, ratio in enumerate(DERIVED):
        over, under = x[0, COLUMN[ratio.over]], x[0, COLUMN[ratio.under]]
        assert derived[0, column] == np.float32(over / (under + np.float32(ratio.floor)))


def test_few_nodes_since_each_costs_a_microsecond_on_one_application() -> None:
    computing = [node.op_type for node in features_graph().graph.node if node.op_type not in ("Constant", "Identity")]
    assert sorted(computing) == ["Add", "Concat", "Div", "Gather", "Gather"]
