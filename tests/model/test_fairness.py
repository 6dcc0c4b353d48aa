import numpy as np
import numpy.typing as npt
import pytest

from model.fairness import Audit, audit
from model.groups import Grouping, grouped
from preprocessing.fields import Category, Field

KIND = Category(label="Origin", values={"n": "north", "s": "south", "w": "west"}, protected=True, example="n")
ROWS = 600


def applicants(seed: int = 4) -> tuple[Grouping, npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Groups of about 300, 280 and 10 rows and some missing ones; the south is declined more often."""
    random = np.random.default_rng(seed)
    codes = random.choice([0.0, 1.0, 2.0, np.nan], ROWS, p=[0.5, 0.45, 0.02, 0.03])
    probability = random.beta(1, 3, ROWS) + 0.12 * (codes == 1.0)
    bad = random.random(ROWS) < probability
    return grouped(Field("origin", KIND, required=False), codes), bad, probability >= 0.35, probability


@pytest.fixture
def audited() -> Audit:
    return audit(*applicants())


def test_every_rate_is_what_plain_numpy_counts(audited: Audit) -> None:
    grouping, bad, high, probability = applicants()
    assert [group.name for group in audited.groups] == list(grouping.names)
    for number, group in enumerate(audited.groups):
        rows = grouping.index == number
        assert group.rows == rows.sum()
        assert group.approved.value == pytest.approx((~high[rows]).mean())
        assert group.bad_rate.value == pytest.approx(bad[rows].mean())
        assert group.probability == pytest.approx(probability[rows].mean())
        if (bad & rows).any():
            assert group.caught.value == pytest.approx(high[bad & rows].mean())
        if (~bad & rows).any():
            assert group.declined_good.value == pytest.approx(high[~bad & rows].mean())


def test_groups_are_compared_with_the_one_that_is_approved_most_among_those_large_enough(audited: Audit) -> None:
    north, south, west, missing = audited.groups
    assert (north.is_small, south.is_small, west.is_small, missing.is_small) == (False, False, True, True)
    assert audited.compared_with == "north"
    assert np.isnan(north.ratio.value)
    assert south.ratio.value == pytest.approx(south.approved.value / north.approved.value)
    assert audited.worst == south


def test_the_four_fifths_rule_is_met_or_not(audited: Audit) -> None:
    grouping, bad, _, probability = applicants()
    assert audited.meets_four_fifths is (audited.groups[1].ratio.value >= 0.8)
    assert not audit(grouping, bad, grouping.index == 1, probability).meets_four_fifths
    assert audit(grouping, bad, np.zeros(ROWS, dtype=np.bool_), probability).meets_four_fifths


def test_a_group_without_good_or_bad_applicants_has_no_rate_instead_of_a_made_up_one() -> None:
    grouping, bad, high, probability = applicants()
    bad = bad & (grouping.index != 2)
    west = audit(grouping, bad, high, probability).groups[2]
    assert np.isnan(west.caught.value)
    assert west.declined_good.value == pytest.approx(high[grouping.index == 2].mean())


def test_a_group_that_the_split_has_no_row_of_is_left_out() -> None:
    grouping, bad, high, probability = applicants()
    rows = grouping.index != 2
    part = Grouping(grouping.field, grouping.names, grouping.index[rows])
    assert [group.name for group in audit(part, bad[rows], high[rows], probability[rows]).groups] == [
        "north", "south", "missing",
    ]  # fmt: skip


def test_a_group_scored_too_low_is_seen() -> None:
    grouping, bad, high, probability = applicants()
    assert all(group.is_calibrated for group in audit(grouping, bad, high, probability).groups[:2])
    skewed = np.where(grouping.index == 1, probability / 2, probability)
    assert [group.is_calibrated for group in audit(grouping, bad, high, skewed).groups[:2]] == [True, False]
