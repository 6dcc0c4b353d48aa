"""The search for the smallest change against trying everything, where everything can be tried."""

import numpy as np
import numpy.typing as npt
import pytest

from model.artifact import Artifact
from model.changes import CLEARLY, Change, smallest_changes
from model.data import Labelled
from preprocessing.encode import COLUMN, MODEL_FIELDS, Matrix
from preprocessing.fields import Number

CHANGEABLE = {f.name: f.kind for f in MODEL_FIELDS if isinstance(f.kind, Number) and f.kind.change is not None}
WHOLE = [name for name, kind in CHANGEABLE.items() if kind.whole]


def rows_above(artifact: Artifact, labelled: Labelled, below: float, count: int) -> Matrix:
    probability = np.array(artifact.score(labelled.matrix))
    return labelled.matrix[(probability >= below) & (probability < below + 0.25)][::7][:count]


def changed(row: npt.NDArray[np.float32], change: Change) -> Matrix:
    rows = row[None, :].copy()
    for name, value in change.to.items():
        rows[0, COLUMN[name]] = value
    return rows


def size(artifact: Artifact, row: npt.NDArray[np.float32], name: str, value: float) -> float:
    return float(abs(value - float(row[COLUMN[name]])) / artifact.reference.spread[name])


def allowed(artifact: Artifact, name: str, before: float, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = artifact.ranges[:, COLUMN[name]]
    direction = CHANGEABLE[name].change
    kept = values[(values >= min(low, before)) & (values <= max(high, before)) & (values != before)]
    return np.asarray(kept if direction == 0 else kept[np.sign(kept - before) == direction])


def test_every_change_reaches_the_tier_and_keeps_to_what_can_be_changed(artifact: Artifact, labelled: Labelled) -> None:
    below = artifact.policy.high_from
    found = 0
    for row in rows_above(artifact, labelled, below, 25):
        changes = smallest_changes(artifact, row, below)
        assert [change.size for change in changes] == sorted(change.size for change in changes)
        assert len({tuple(change.to) for change in changes}) == len(changes)
        for change in changes:
            found += 1
            assert artifact.score(changed(row, change))[0] < below
            for name, value in change.to.items():
                assert allowed(artifact, name, float(row[COLUMN[name]]), np.array([value])).size
    assert found > 25


@pytest.mark.parametrize("name", WHOLE)
def test_no_smaller_change_of_a_whole_number_reaches_the_tier(
    artifact: Artifact, labelled: Labelled, name: str
) -> None:
    below = artifact.policy.low_below
    kind, reached = CHANGEABLE[name], 0
    for row in rows_above(artifact, labelled, below, 60):
        values = allowed(artifact, name, float(row[COLUMN[name]]), np.arange(kind.low, kind.high + 1))
        rows = np.repeat(row[None, :], len(values), axis=0)
        rows[:, COLUMN[name]] = values
        good = values[np.array(artifact.score(rows)) < below] if len(values) else values
        expected = min((size(artifact, row, name, value) for value in good), default=None)
        got = [change.size for change in smallest_changes(artifact, row, below) if tuple(change.to) == (name,)]
        assert got == ([] if expected is None else [pytest.approx(expected)])
        reached += expected is not None
    assert reached > 3


def test_no_smaller_change_of_one_or_two_fields_is_found_by_trying_many(artifact: Artifact, labelled: Labelled) -> None:
    """Random trying cannot prove that a change is smallest, but it would find a smaller one soon if there were many."""
    below, random = artifact.policy.low_below, np.random.default_rng(5)
    names, pairs = list(CHANGEABLE), 0
    for row in rows_above(artifact, labelled, below, 12):
        changes = smallest_changes(artifact, row, below)
        alone = {next(iter(change.to)): change.size for change in changes if len(change.to) == 1}
        together = [change.size for change in changes if len(change.to) == 2]
        pairs += len(together)
        # two fields count only where they are clearly better than one
        smallest = min([*together, *(CLEARLY * one for one in alone.values()), np.inf])
        rows = np.repeat(row[None, :], 20_000, axis=0)
        sizes = np.zeros(len(rows))
        for name in random.choice(names, 2, replace=False):
            kind, column, spread = CHANGEABLE[name], COLUMN[name], artifact.reference.spread[name]
            if np.isnan(row[column]):
                continue
            reach = min(smallest, 3) * spread * random.random(len(rows))
            values = row[column] + reach * (kind.change or random.choice([-1, 1], len(rows)))
            values = np.rint(values) if kind.whole else values
            rows[:, column] = np.clip(values, *artifact.ranges[:, column])
            sizes += np.abs(rows[:, column].astype(float) - float(row[column])) / spread
        reached = np.array(artifact.score(rows)) < below
        assert sizes[reached].min(initial=np.inf) >= smallest - 1e-6
    assert pairs > 0


def test_nothing_is_said_of_a_missing_value(artifact: Artifact, labelled: Labelled) -> None:
    for name in (name for name in CHANGEABLE if not next(f for f in MODEL_FIELDS if f.name == name).required):
        for row in rows_above(artifact, labelled, artifact.policy.low_below, 5):
            missing = row.copy()
            missing[COLUMN[name]] = np.nan
            assert all(name not in change.to for change in smallest_changes(artifact, missing, 0.5))
