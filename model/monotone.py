"""The proof that the exported trees move only in the directions that the domain demands.

Read out of the ONNX graph itself, so that it speaks of what is served. In a tree, the split thresholds cut a feature's
axis into cells within which nothing changes, and every leaf is a box of such cells. A tree never falls along a feature
exactly if no two leaves contradict it: leaves whose boxes meet on all other features, missing values included, and of
which one has a cell above a cell of the other. All such pairs are compared, so nothing is sampled. A sum of monotone
trees is monotone, in float32 too: adding in a fixed order and rounding never turn an inequality around.

A missing value of the feature itself is neither more nor less than another, and no demand speaks of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from model.errors import MonotonicityError
from model.graph import FEATURES, MARGIN, Graph
from preprocessing.encode import COLUMN, MODEL_FIELDS, Matrix
from preprocessing.features import DERIVED
from preprocessing.fields import Category, Field

_OPERATOR = "TreeEnsembleRegressor"
PROBED_APPLICANTS = 200
PROBED_VALUES = 9


class Counterexample(NamedTuple):
    """Raising the feature from `low` to `high` moves the tree's leaf from `before` to `after`, against the demand."""

    tree: int
    low: float
    high: float
    before: float
    after: float
    others: Mapping[str, float]  # NaN stands for a missing value


@dataclass(frozen=True, slots=True)
class Proof:
    """One feature with a demanded direction (+1 or -1): proved if no pair of leaves contradicts it."""

    name: str
    label: str
    direction: int
    trees: int  # that split on the feature
    pairs: int  # of leaves that were compared
    counterexample: Counterexample | None

    @property
    def proved(self) -> bool:
        return self.counterexample is None


class Link(NamedTuple):
    """How a derived feature moves with a field, over the probed values, and the direction demanded of the feature."""

    label: str
    moves: int | None  # +1, -1, or None where it goes both ways
    risk: int


@dataclass(frozen=True, slots=True)
class Chain:
    """What the proofs of features say of a field: directly, and through every derived feature that moves with it."""

    label: str
    direction: int
    links: Sequence[Link]

    @property
    def follows(self) -> bool:
        return all(link.moves is not None and link.moves * link.risk == self.direction for link in self.links)


class _Tree(NamedTuple):
    """Leaves as boxes: `low` and `high` (leaves, features) are cells, inclusive, `missing` whether NaN gets there."""

    number: int
    features: list[int]
    thresholds: list[npt.NDArray[np.float32]]  # of each feature, ascending
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    missing: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float32]


def prove(onnx_bytes: bytes) -> list[Proof]:
    """A proof for every field and derived feature with a demanded direction; see `require` for those that fail."""
    demands = [(field.name, field.kind.label, field.kind.risk) for field in MODEL_FIELDS]
    demands += [(derived.name, derived.label, derived.risk) for derived in DERIVED]
    return prove_directions(onnx_bytes, demands)


def prove_directions(onnx_bytes: bytes, demands: Sequence[tuple[str, str, int]]) -> list[Proof]:
    """The same for any (name, label, direction) of the graph's features, in their order."""
    trees = list(_trees(onnx.load_from_string(onnx_bytes)))
    names = [name for name, _, _ in demands]
    proofs = []
    for feature, (name, label, direction) in enumerate(demands):
        if direction:
            concerned = [tree for tree in trees if feature in tree.features]
            compared = [_compare(tree, feature, direction, names) for tree in concerned]
            found = next((counterexample for _, counterexample in compared if counterexample), None)
            proofs.append(Proof(name, label, direction, len(concerned), sum(pairs for pairs, _ in compared), found))
    return proofs


def require(proofs: Sequence[Proof]) -> None:
    """Raises MonotonicityError, with the counterexample, for the first direction that is not proved."""
    for proof in proofs:
        if proof.counterexample:
            tree, low, high, before, after, _ = proof.counterexample
            demanded = "never lower" if proof.direction > 0 else "never raise"
            raise MonotonicityError(
                f"more of {proof.name!r} must {demanded} the risk, but from {low:.6g} to {high:.6g} tree {tree} goes "
                f"from {before:.6g} to {after:.6g}: nothing was written"
            )


def chains(onnx_bytes: bytes, matrix: Matrix) -> list[Chain]:
    """For every field with a demanded direction, the derived features that move with it, and which way.

    Which way is observed in the graph's own features, on up to `PROBED_APPLICANTS` rows of `matrix` (rows, fields) with
    the field set to values over its whole permitted range, bounds included.
    """
    model = onnx.load_from_string(onnx_bytes)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, ["rows", None]))
    graph = Graph(model.SerializeToString(), [FEATURES])
    base = matrix[:PROBED_APPLICANTS]
    return [_chain(graph, base, field) for field in MODEL_FIELDS if field.kind.risk]


def _chain(graph: Graph, base: Matrix, field: Field) -> Chain:
    steps = []
    for value in _probed(field, base[:, COLUMN[field.name]]):
        changed = base.copy()
        changed[:, COLUMN[field.name]] = value
        steps.append(graph.run(changed)[0][:, len(MODEL_FIELDS) :])
    with np.errstate(invalid="ignore"):  # a division by zero may be infinite twice
        moved = np.diff(np.stack(steps), axis=0)
    links = []
    for number, derived in enumerate(DERIVED):
        up, down = bool((moved[:, :, number] > 0).any()), bool((moved[:, :, number] < 0).any())
        if up or down:
            links.append(Link(derived.label, None if up and down else 1 if up else -1, derived.risk))
    return Chain(field.kind.label, field.kind.risk, links)


def _probed(field: Field, seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if isinstance(field.kind, Category):
        return np.arange(len(field.kind.values), dtype=np.float32)
    present = seen[~np.isnan(seen)]
    bounds = np.array([field.kind.low, field.kind.high], dtype=np.float32)
    if not present.size:
        return bounds
    return np.unique(np.append(bounds, np.quantile(present, np.linspace(0, 1, PROBED_VALUES)).astype(np.float32)))


def _compare(tree: _Tree, feature: int, direction: int, names: Sequence[str]) -> tuple[int, Counterexample | None]:
    """How many pairs of leaves speak of the direction, and one that contradicts it."""
    along = tree.features.index(feature)
    lowest = np.maximum(tree.low[:, None], tree.low[None])
    highest = np.minimum(tree.high[:, None], tree.high[None])
    both_missing = tree.missing[:, None] & tree.missing[None]
    meet = (lowest <= highest) | both_missing
    meet[:, :, along] = True
    reached = tree.low[:, along] <= tree.high[:, along]  # by some number, not only by missing values
    below = tree.low[:, None, along] < tree.high[None, :, along]  # the first has a cell below one of the second
    pairs = meet.all(axis=2) & below & reached[:, None] & reached[None]
    np.fill_diagonal(pairs, False)
    wrong = pairs & (direction * (tree.values[None] - tree.values[:, None]) < 0)
    if not wrong.any():
        return int(pairs.sum()), None
    first, second = (int(leaf) for leaf in np.argwhere(wrong)[0])
    others = {
        names[other]: _inside(tree.thresholds[column], int(lowest[first, second, column]))
        if lowest[first, second, column] <= highest[first, second, column]
        else float("nan")
        for column, other in enumerate(tree.features)
        if other != feature
    }
    cells = tree.thresholds[along]
    counterexample = Counterexample(
        tree.number,
        _inside(cells, int(tree.low[first, along])),
        _inside(cells, int(tree.high[second, along])),
        float(tree.values[first]),
        float(tree.values[second]),
        others,
    )
    return int(pairs.sum()), counterexample


def _inside(thresholds: npt.NDArray[np.float32], cell: int) -> float:
    """A value of the cell: the threshold that opens it, or the last number below the first threshold."""
    if cell == 0:
        return float(np.nextafter(thresholds[0], np.float32(-np.inf)))
    return float(thresholds[cell - 1])


def _trees(model: onnx.ModelProto) -> list[_Tree]:
    [node] = [node for node in model.graph.node if MARGIN in node.output]
    if node.op_type != _OPERATOR:
        raise MonotonicityError(f"the margin comes from {node.op_type}, and a proof is known for {_OPERATOR} alone")
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    weights = {
        place: np.float32(weight)
        for *place_, weight in zip(
            attributes["target_treeids"], attributes["target_nodeids"], attributes["target_weights"], strict=True
        )
        for place in [tuple(place_)]
    }
    nodes: dict[int, dict[int, _Node]] = {}
    for tree, number, *rest in zip(*(attributes[f"nodes_{name}"] for name in _NODE_ATTRIBUTES), strict=True):
        nodes.setdefault(tree, {})[number] = _Node(*rest)
    return [_boxes(tree, nodes[tree], weights) for tree in sorted(nodes)]


class _Node(NamedTuple):
    feature: int
    threshold: float
    mode: bytes
    true: int
    false: int
    missing_is_true: int


_NODE_ATTRIBUTES = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
                    "missing_value_tracks_true")  # fmt: skip


def _boxes(number: int, nodes: Mapping[int, _Node], weights: Mapping[Any, np.float32]) -> _Tree:
    splits = [node for node in nodes.values() if node.mode != b"LEAF"]
    if any(node.mode != b"BRANCH_LT" for node in splits):
        raise MonotonicityError(f"tree {number} has a branch that is no 'less than', and no proof is known for it")
    features = sorted({node.feature for node in splits})
    thresholds = [
        np.unique(np.array([node.threshold for node in splits if node.feature == feature], dtype=np.float32))
        for feature in features
    ]
    found: list[tuple[np.float32, list[tuple[int, int, bool]]]] = []

    def walk(place: int, box: list[tuple[int, int, bool]]) -> None:
        node = nodes[place]
        if node.mode == b"LEAF":
            found.append((weights[number, place], box))
            return
        column = features.index(node.feature)
        low, high, missing = box[column]
        cut = int(np.searchsorted(thresholds[column], np.float32(node.threshold)))
        to_true, to_false = list(box), list(box)
        to_true[column] = (low, min(high, cut), missing and bool(node.missing_is_true))
        to_false[column] = (max(low, cut + 1), high, missing and not node.missing_is_true)
        walk(node.true, to_true)
        walk(node.false, to_false)

    walk(0, [(0, len(cells), True) for cells in thresholds])
    boxes = np.array([box for _, box in found], dtype=np.int64).reshape(len(found), len(features), 3)
    values = np.array([value for value, _ in found], dtype=np.float32)
    return _Tree(number, features, thresholds, boxes[..., 0], boxes[..., 1], boxes[..., 2].astype(np.bool_), values)
