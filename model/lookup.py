"""Trees as tables: all comparisons of all trees at once, then one look into a table for each group of splits.

    features ─ each distinct comparison once ─ times powers of two: each group's pattern ─ table ─ sum over the groups

A row's way through a tree is a chain of branches that no processor can foresee; here nothing branches. On blocks of
rows that takes half the time of the tree operator or less, and the same patterns find the contributions. The matrix is
turned so that every step runs along the rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from model.errors import ExplanationError
from model.trees import Ensemble, Leaf, Step, Tree

DEEPEST = 6  # levels of splits
MOST_SPLITS = 8  # of a group: its pattern is the sum of eight powers of two, which fits into the operator's uint8
PATTERNS = "patterns"


@dataclass(frozen=True, slots=True)
class Group:
    """Leaves of one tree and all `nodes` on the way to them. Bit i of the group's pattern is about node i."""

    tree: Tree
    nodes: tuple[int, ...]
    leaves: tuple[Leaf, ...]

    def goes_left(self) -> npt.NDArray[np.bool_]:
        """(2^nodes, nodes): for each pattern, whether a row of that pattern goes left at each node.

        A bit is 1 where the comparison is true, which a missing value never makes it. So the comparison of a node whose
        missing values go left asks whether a row goes right.
        """
        bits = np.arange(2 ** len(self.nodes))[:, None] >> np.arange(len(self.nodes)) & 1 == 1
        return np.asarray(bits ^ np.array([self.tree.default_left[node] for node in self.nodes], dtype=bool))


@dataclass(frozen=True, slots=True)
class Lookup:
    """Comparison i asks whether column `column[i]` of [features, -features] is below `threshold[i]`.

    `column` (comparisons,) int64, `threshold` (comparisons,) float32; `weights` (groups, comparisons) uint8: what each
    true comparison adds to each group's pattern, which is below `patterns`.
    """

    groups: tuple[Group, ...]
    column: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float32]
    weights: npt.NDArray[np.uint8]
    patterns: int


def tabulate(ensemble: Ensemble, features: int) -> Lookup:
    """The ensemble's splits as comparisons of `features` columns, and in which pattern each of them counts.

    Raises ExplanationError for trees that are too deep to be tabulated.
    """
    depth = max(len(leaf.path) for tree in ensemble.trees for leaf in tree.leaves())
    if depth > DEEPEST:
        raise ExplanationError(
            f"the trees are {depth} levels deep and can be tabulated up to {DEEPEST}: lower max_depth in model/train.py"
        )
    groups = tuple(group for tree in ensemble.trees for group in _groups(tree, 0, ()))
    numbers: dict[tuple[int, float], int] = {}
    counted: list[tuple[int, int, int]] = []
    for number, group in enumerate(groups):
        for bit, node in enumerate(group.nodes):
            comparison = _comparison(group.tree, node, features)
            counted.append((number, numbers.setdefault(comparison, len(numbers)), 2**bit))
    weights = np.zeros((len(groups), max(len(numbers), 1)), dtype=np.uint8)
    for number, comparison_number, weight in counted:
        weights[number, comparison_number] += weight
    comparisons = list(numbers) or [(0, 0.0)]  # trees without any split still need a row to have a length
    return Lookup(
        groups,
        np.array([column for column, _ in comparisons], dtype=np.int64),
        np.array([threshold for _, threshold in comparisons], dtype=np.float32),
        weights,
        2 ** max(len(group.nodes) for group in groups),
    )


def leaf_table(lookup: Lookup, slope: float) -> npt.NDArray[np.float32]:
    """(groups, patterns) float32: the leaf that a row of the pattern reaches, times `slope`."""
    table = np.zeros((len(lookup.groups), lookup.patterns), dtype=np.float32)
    for number, group in enumerate(lookup.groups):
        goes_left = group.goes_left()
        for leaf in group.leaves:
            reached = np.ones(len(goes_left), dtype=np.bool_)
            for node, left in leaf.path:
                reached &= goes_left[:, group.nodes.index(node)] == left
            table[number, : len(reached)][reached] = np.float32(slope * leaf.value)
    return table


def append_patterns(model: onnx.ModelProto, lookup: Lookup, features: str) -> None:
    """Adds `PATTERNS` (groups, rows) int32 to a graph that computes `features` (rows, features) float32."""
    column, threshold = lookup.column, lookup.threshold.reshape(-1, 1)
    append(model, "Transpose", [features], "by_row", perm=[1, 0])
    append(model, "Neg", ["by_row"], "negative")
    append(model, "Concat", ["by_row", "negative"], "both_signs", axis=0)
    append(model, "Gather", ["both_signs", column], "compared", axis=0)
    append(model, "Less", ["compared", threshold], "is_below")
    append(model, "Cast", ["is_below"], "is_below_int8", to=onnx.TensorProto.INT8)
    append(model, "MatMulInteger", [lookup.weights, "is_below_int8"], PATTERNS)


def append(
    model: onnx.ModelProto, operator: str, inputs: Sequence[str | npt.NDArray[Any]], output: str, **attributes: Any
) -> None:
    """Adds a node; an array among its inputs becomes a constant of the graph."""
    names = []
    for position, value in enumerate(inputs):
        if not isinstance(value, str):
            name = f"{output}_{position}"
            model.graph.initializer.append(numpy_helper.from_array(value, name))
            value = name
        names.append(value)
    model.graph.node.append(helper.make_node(operator, names, [output], **attributes))


def _groups(tree: Tree, root: int, path: tuple[Step, ...]) -> Iterator[Group]:
    """As few groups as hold the leaves from `root` down: a subtree is a group if its splits and those above it fit."""
    nodes = (*(node for node, _ in path), *tree.splits(root))
    if len(nodes) <= MOST_SPLITS or tree.is_leaf(root):
        yield Group(tree, nodes, tuple(tree.leaves(root, path)))
    else:
        yield from _groups(tree, tree.left[root], (*path, (root, True)))
        yield from _groups(tree, tree.right[root], (*path, (root, False)))


def _comparison(tree: Tree, node: int, features: int) -> tuple[int, float]:
    """x < t as it is; x >= t, which a missing value must not make true either, as -x < the next number above -t."""
    feature, threshold = tree.feature[node], np.float32(tree.threshold[node])
    if not tree.default_left[node]:
        return feature, float(threshold)
    return feature + features, float(np.nextafter(-threshold, np.float32(np.inf)))
