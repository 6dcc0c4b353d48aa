"""Why a score is what it is: exact contributions of the fields to the log-odds, tabulated when the model is exported.

Path-dependent TreeSHAP (Lundberg et al. 2020, algorithm 2) depends only on how the row stands at each split, so its
values can be looked up: `lookup.py` turns a tree into groups of at most eight splits, and here every pattern of their
outcomes gets its contributions. (Yang 2021, "Fast TreeSHAP", and Nadel & Wexler 2025, "WOODELF", have the same idea.)

A derived feature's contribution is split in equal parts among the fields that it is computed from.
"""

from functools import cache
from math import factorial

import numpy as np
import numpy.typing as npt

from model.errors import ExplanationError
from model.lookup import Group, Lookup
from model.trees import Leaf, Tree
from preprocessing.encode import COLUMN, MODEL_FIELDS
from preprocessing.features import DERIVED

LARGEST_MIB = 36  # of tables, so that the whole artefact stays below 40

_SPLITS = 7  # of a tree of three levels

Table = npt.NDArray[np.float64]


def contribution_table(lookup: Lookup, slope: float) -> npt.NDArray[np.float32]:
    """(groups, patterns, fields) float32: what a row of each pattern adds to the contributions to the log-odds, for a
    calibration with this `slope`. Raises ExplanationError if the table would be too large."""
    _check_size(lookup)
    table = np.zeros((len(lookup.groups), lookup.patterns, len(MODEL_FIELDS)), dtype=np.float32)
    for number, group in enumerate(lookup.groups):
        table[number] = slope * _of_group(group, lookup.patterns) @ feature_shares()
    return table


def expected_margin(tree: Tree) -> float:
    """The mean leaf over the training rows, by cover: what the tree says of a row of which nothing is known."""
    return sum(leaf.value * float(np.prod([tree.share(step) for step in leaf.path])) for leaf in tree.leaves())


def feature_shares() -> Table:
    """(features, fields): how much of a feature's contribution is each field's; rows add up to 1."""
    shares = np.zeros((len(MODEL_FIELDS) + len(DERIVED), len(MODEL_FIELDS)))
    shares[: len(MODEL_FIELDS)] = np.eye(len(MODEL_FIELDS))
    for row, derived in enumerate(DERIVED, start=len(MODEL_FIELDS)):
        shares[row, [COLUMN[source] for source in derived.sources]] = 1 / len(derived.sources)
    return shares


def most_trees() -> int:
    """How many trees of three levels the table has room for: with hundreds of fields, fewer than would be boosted."""
    trees = 1
    while _mebibytes(trees + 1, 2**_SPLITS, _SPLITS * (trees + 1)) <= LARGEST_MIB:
        trees += 1
    return trees


def _mebibytes(groups: int, patterns: int, comparisons: int) -> float:
    return groups * (patterns * len(MODEL_FIELDS) * 4 + comparisons) / 2**20


def _check_size(lookup: Lookup) -> None:
    size = _mebibytes(len(lookup.groups), lookup.patterns, len(lookup.threshold))
    if size > LARGEST_MIB:
        raise ExplanationError(
            f"the tables of contributions would take {size:.0f} MiB for {len(lookup.groups)} groups of splits, "
            f"the limit is {LARGEST_MIB}: use fewer trees (a higher learning_rate) or a smaller max_depth"
        )


def _of_group(group: Group, patterns: int) -> Table:
    """(patterns, features): the contributions of the group's leaves. Patterns that the group does not use are zero."""
    table = np.zeros((patterns, len(MODEL_FIELDS) + len(DERIVED)))
    goes_left = group.goes_left()
    for leaf in group.leaves:
        features = list(dict.fromkeys(group.tree.feature[node] for node, _ in leaf.path))
        taken = {node: goes_left[:, group.nodes.index(node)] == left for node, left in leaf.path}
        # a feature that comes twice on the path is satisfied where the row takes the path at each of its splits
        satisfied = [
            np.all([taken[node] for node, _ in leaf.path if group.tree.feature[node] == feature], axis=0)
            for feature in features
        ]
        which = sum((column.astype(np.intp) << bit for bit, column in enumerate(satisfied)), np.zeros(1, np.intp))
        table[: len(goes_left), features] += _of_leaf(group.tree, leaf, features)[which]
    return table


def _of_leaf(tree: Tree, leaf: Leaf, features: list[int]) -> Table:
    """(2^k, k): the Shapley values of the k features on the leaf's path, by which of them the row satisfies.

    The game of a leaf: known features count by whether they are satisfied, unknown ones by the share of training rows
    that took their steps (its formula is the product over the path).
    """
    k = len(features)
    weight = [float(np.prod([tree.share(step) for step in leaf.path if tree.feature[step[0]] == f])) for f in features]
    bits = _subsets(k)
    # (satisfied, known, feature) → the factor of each feature in the product
    factors = np.where(bits[None, :, :], bits[:, None, :], np.array(weight))
    return np.asarray(leaf.value * factors.prod(axis=2) @ _shapley_weights(k))


@cache
def _subsets(k: int) -> npt.NDArray[np.bool_]:
    """(2^k, k): row i holds the bits of i, lowest first."""
    return np.asarray((np.arange(2**k)[:, None] >> np.arange(k)) & 1 == 1)


@cache
def _shapley_weights(k: int) -> Table:
    """(2^k, k): the values of a game's 2^k coalitions @ this = the Shapley values of its k players (Shapley 1953)."""
    bits = _subsets(k)
    size = bits.sum(axis=1)
    weights = np.zeros((2**k, k))
    for coalition in range(2**k):
        others = size[coalition] - bits[coalition]
        for player in range(k):
            weight = factorial(others[player]) * factorial(k - others[player] - 1) / factorial(k)
            weights[coalition, player] = weight if bits[coalition, player] else -weight
    return weights
