"""What would change a score: the smallest change in one or two fields that brings the probability below a threshold.

The model answers the same between two split thresholds, so the only values worth trying are those where a field, or a
feature derived from it, has just crossed one. They are found by bisection on the features graph, to the last bit, and
every one is scored: the search is exact. It leans on two things. A derived feature rises or falls with each of its
fields throughout, as ratios, sums and logarithms do. And where two fields make a derived feature together, a threshold
of it is a line in their plane, and a smallest change lies where it meets another threshold; where two such lines meet
is not tried.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from model.artifact import Artifact
from preprocessing.encode import COLUMN, MODEL_FIELDS, Matrix
from preprocessing.fields import Number

SCORED_AT_ONCE = 512  # candidates, the smallest changes first
CLEARLY = 0.95  # times the smallest change of one field; for less nobody changes two
_TIDY = 100  # a value is told in hundredths where that still reaches the tier

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """`to` holds the new values by field; `size` is in interquartile ranges of the training applicants, summed."""

    to: Mapping[str, float]
    size: float


@dataclass(frozen=True, slots=True)
class _Axis:
    """A field that can be changed, from its value `start` as far as `end`, in one direction."""

    column: int
    start: np.float32
    end: np.float32
    whole: bool
    spread: float

    def size(self, values: Values) -> npt.NDArray[np.float64]:
        return np.asarray(np.abs(values.astype(np.float64) - float(self.start)) / self.spread)

    def steps(self, values: Values) -> npt.NDArray[np.int64]:
        """Values as whole numbers in the same order, neighbours one apart: what is bisected."""
        if self.whole:
            return np.asarray(np.rint(values), dtype=np.int64)
        bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, np.int64(-(2**31)) - bits, bits)

    def values(self, steps: npt.NDArray[np.int64]) -> Values:
        if self.whole:
            return steps.astype(np.float32)
        bits = np.where(steps < 0, np.int64(-(2**31)) - steps, steps)
        return bits.astype(np.int32).view(np.float32)


def smallest_changes(artifact: Artifact, row: Values, below: float) -> list[Change]:
    """The changes of an application, (fields,) float32, that bring its probability below `below`, smallest first.

    For each field alone its smallest one, and the smallest of two fields together where it is clearly smaller.
    """
    axes = _axes(artifact, row)
    found: list[Change] = []
    for axis in axes:
        entries = _crossings(artifact, row[None, :], axis, _splits(artifact, axis))[0]
        found += _first(artifact, row, [axis], entries[:, None], below, np.inf)
    for one, other in combinations(axes, 2):
        if one.column != other.column:
            best = CLEARLY * min((change.size for change in found), default=np.inf)
            found += _first(artifact, row, [one, other], _pairs(artifact, row, one, other, best), below, best)
    found.sort(key=lambda change: change.size)
    alone = {tuple(change.to): change for change in reversed(found) if len(change.to) == 1}.values()
    together = [change for change in found if len(change.to) == 2]
    return sorted([*alone, *together[:1]], key=lambda change: change.size)


def _axes(artifact: Artifact, row: Values) -> list[_Axis]:
    """Nothing is said of a missing value, and nothing goes beyond what training saw."""
    axes = []
    for field in MODEL_FIELDS:
        kind, column = field.kind, COLUMN[field.name]
        if not isinstance(kind, Number) or field.name not in artifact.reference.spread or np.isnan(row[column]):
            continue
        low, high = artifact.ranges[:, column]
        for direction, end in ((-1, max(low, np.float32(kind.low))), (1, min(high, np.float32(kind.high)))):
            if kind.change in (0, direction) and direction * (end - row[column]) > 0:
                axes.append(
                    _Axis(column, row[column], np.float32(end), kind.whole, artifact.reference.spread[field.name])
                )
    return axes


def _splits(artifact: Artifact, *axes: _Axis) -> list[tuple[int, np.float32]]:
    """(feature, threshold) of every split of a feature that all these fields are sources of."""
    names = {MODEL_FIELDS[axis.column].name for axis in axes}
    return [
        (feature, np.float32(threshold))
        for feature, splits in enumerate(artifact.reference.splits)
        if names <= set(splits.sources)
        for threshold in splits.thresholds
    ]


def _crossings(artifact: Artifact, rows: Matrix, axis: _Axis, splits: Sequence[tuple[int, np.float32]]) -> list[Values]:
    """For each row the values on the axis that have just crossed a split, in no order; no value for a split that is
    not crossed."""
    if not splits or not len(rows):
        return [np.empty(0, dtype=np.float32) for _ in rows]
    features = np.tile(np.array([feature for feature, _ in splits]), len(rows))
    thresholds = np.tile(np.array([threshold for _, threshold in splits], dtype=np.float32), len(rows))
    asked = np.repeat(rows, len(splits), axis=0)
    picked = np.arange(len(asked)), features

    def is_below(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        asked[:, axis.column] = axis.values(steps)
        return np.asarray(artifact.features_graph.run(asked)[0][picked] < thresholds)

    near = np.broadcast_to(axis.steps(np.array([axis.start]))[0], len(asked)).copy()
    far = np.broadcast_to(axis.steps(np.array([axis.end]))[0], len(asked)).copy()
    at_start = is_below(near)
    crossed = at_start != is_below(far)
    while np.any(np.abs(far - near)[crossed] > 1):
        middle = (near + far) // 2
        same = is_below(middle) == at_start
        near, far = np.where(same, middle, near), np.where(same, far, middle)
    values = axis.values(far)
    of_rows = zip(values.reshape(len(rows), -1), crossed.reshape(len(rows), -1), strict=True)
    return [np.unique(found[is_crossed]) for found, is_crossed in of_rows]


def _pairs(artifact: Artifact, row: Values, one: _Axis, other: _Axis, best: float) -> Values:
    """(candidates, 2): every pair of values that could be the smallest change and is smaller than `best`."""
    alone = [_crossings(artifact, row[None, :], axis, _splits(artifact, axis))[0] for axis in (one, other)]
    grid = np.stack(np.meshgrid(*alone, indexing="ij"), axis=-1).reshape(-1, 2)
    parts = [grid]
    if shared := _splits(artifact, one, other):
        parts.append(np.concatenate(list(_on_lines(artifact, row, one, other, alone[0], shared, best))))
        turned = np.concatenate(list(_on_lines(artifact, row, other, one, alone[1], shared, best)))
        parts.append(turned[:, ::-1])
    return np.concatenate(parts)


def _on_lines(
    artifact: Artifact,
    row: Values,
    fixed: _Axis,
    moved: _Axis,
    entries: Values,
    shared: Sequence[tuple[int, np.float32]],
    best: float,
) -> Iterator[Values]:
    """With one field at each edge of each of its intervals: where the other crosses a threshold that both make."""
    before = fixed.values(fixed.steps(entries) - np.int64(np.sign(float(fixed.end) - float(fixed.start))))
    edges = np.unique(np.concatenate([entries, before, [fixed.end]]).astype(np.float32))
    edges = edges[(fixed.size(edges) < best) & (edges != fixed.start)]
    lines = np.repeat(row[None, :], len(edges), axis=0)
    lines[:, fixed.column] = edges
    yield np.empty((0, 2), dtype=np.float32)
    for edge, crossings in zip(edges, _crossings(artifact, lines, moved, shared), strict=True):
        yield np.stack([np.full_like(crossings, edge), crossings], axis=1)


def _first(
    artifact: Artifact, row: Values, axes: Sequence[_Axis], candidates: Values, below: float, best: float
) -> list[Change]:
    """The smallest of the candidates, (candidates, axes), that gets below, if one smaller than `best` does."""
    sizes = np.sum([axis.size(candidates[:, place]) for place, axis in enumerate(axes)], axis=0)
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] < best]
    for start in range(0, len(order), SCORED_AT_ONCE):
        chosen = order[start : start + SCORED_AT_ONCE]
        reached = _probabilities(artifact, row, axes, candidates[chosen]) < below
        if reached.any():
            values = _tidied(artifact, row, axes, candidates[chosen[np.argmax(reached)]].tolist(), below)
            to = {MODEL_FIELDS[axis.column].name: value for axis, value in zip(axes, values, strict=True)}
            return [Change(to, float(sizes[chosen[np.argmax(reached)]]))]
    return []


def _tidied(artifact: Artifact, row: Values, axes: Sequence[_Axis], values: list[float], below: float) -> list[float]:
    """The values rounded to hundredths, away from where they are now, if that gets below as well."""
    tidy = [
        value if axis.whole else (floor if axis.end < axis.start else ceil)(value * _TIDY) / _TIDY
        for axis, value in zip(axes, values, strict=True)
    ]
    return tidy if _probabilities(artifact, row, axes, np.array([tidy], dtype=np.float32))[0] < below else values


def _probabilities(
    artifact: Artifact, row: Values, axes: Sequence[_Axis], candidates: Values
) -> npt.NDArray[np.float64]:
    rows = np.repeat(row[None, :], len(candidates), axis=0)
    for place, axis in enumerate(axes):
        rows[:, axis.column] = candidates[:, place]
    return np.array(artifact.score(rows))
