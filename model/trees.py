"""XGBoost's trees as plain values, read once from its JSON: what export, explanation and lookup tables work on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

Step = tuple[int, bool]  # a node, and whether the path goes left there


class Leaf(NamedTuple):
    """`value` in log-odds, and the steps from the root that lead there."""

    node: int
    value: float
    path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; a list has an item for each node, node 0 is the root.

    A row goes left where its `feature` is below `threshold`, and where it is missing and `default_left` says so. At a
    leaf `left` is -1 and `value` its weight in log-odds. `cover` is the sum of hessians of the training rows there.
    """

    left: list[int]
    right: list[int]
    feature: list[int]
    threshold: list[float]
    default_left: list[bool]
    value: list[float]
    cover: list[float]

    def is_leaf(self, node: int) -> bool:
        return self.left[node] == -1

    def splits(self, node: int = 0) -> list[int]:
        """The splitting nodes from `node` down, itself first."""
        if self.is_leaf(node):
            return []
        return [node, *self.splits(self.left[node]), *self.splits(self.right[node])]

    def leaves(self, node: int = 0, path: tuple[Step, ...] = ()) -> Iterator[Leaf]:
        """The leaves from `node` down, from left to right; `path` is what leads to `node`."""
        if self.is_leaf(node):
            yield Leaf(node, self.value[node], path)
        else:
            yield from self.leaves(self.left[node], (*path, (node, True)))
            yield from self.leaves(self.right[node], (*path, (node, False)))

    def share(self, step: Step) -> float:
        """The share of a split's training rows, by cover, that took this step."""
        node, goes_left = step
        return self.cover[self.left[node] if goes_left else self.right[node]] / self.cover[node]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """margin = base_margin + the sum of the leaves reached, in log-odds before calibration."""

    trees: tuple[Tree, ...]
    base_margin: float

    def thresholds(self) -> dict[int, list[float]]:
        """Feature → the thresholds at which some tree splits it, ascending."""
        found: dict[int, set[float]] = {}
        for tree in self.trees:
            for node in tree.splits():
                found.setdefault(tree.feature[node], set()).add(tree.threshold[node])
        return {feature: sorted(thresholds) for feature, thresholds in found.items()}


def read_ensemble(model: Mapping[str, Any]) -> Ensemble:
    """XGBoost's model as `save_raw("json")` gives it, parsed → the ensemble."""
    learner = model["learner"]
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    trees = learner["gradient_booster"]["model"]["trees"]
    return Ensemble(tuple(map(_tree, trees)), log(base / (1 - base)))


def _tree(tree: Mapping[str, Any]) -> Tree:
    leaves = [left == -1 for left in tree["left_children"]]
    conditions: list[float] = tree["split_conditions"]  # a leaf keeps its weight here
    return Tree(
        tree["left_children"],
        tree["right_children"],
        tree["split_indices"],
        [0.0 if leaf else condition for leaf, condition in zip(leaves, conditions, strict=True)],
        [not leaf and bool(default) for leaf, default in zip(leaves, tree["default_left"], strict=True)],
        [condition if leaf else 0.0 for leaf, condition in zip(leaves, conditions, strict=True)],
        tree["sum_hessian"],
    )
