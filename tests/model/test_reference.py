import numpy as np
import pytest

from model import reference
from model.artifact import Artifact
from model.data import Labelled
from model.reference import Bins, Reference, ScoreGroup, TrainingBins
from preprocessing.encode import COLUMN, MODEL_FIELDS
from preprocessing.fields import Category


def test_groups_hold_every_applicant_once_in_order_of_probability(artifact: Artifact, labelled: Labelled) -> None:
    groups = artifact.reference.groups
    assert sum(group.applicants for group in groups) == len(labelled.matrix)
    assert [group.up_to for group in groups] == sorted({group.up_to for group in groups})
    assert min(group.applicants for group in groups) >= reference.FEWEST
    probability = np.array(artifact.score(labelled.matrix))
    assert [int((probability <= group.up_to).sum()) for group in groups] == np.cumsum(
        [group.applicants for group in groups]
    ).tolist()


def test_a_groups_contributions_are_its_applicants_mean(artifact: Artifact, labelled: Labelled) -> None:
    first = artifact.reference.groups[0]
    rows = np.array(artifact.score(labelled.matrix)) <= first.up_to
    mean = artifact.contributions(labelled.matrix[rows]).mean(axis=0)
    np.testing.assert_allclose(first.contributions, mean, atol=1e-5)


def test_outcomes_are_those_of_the_test_split(artifact: Artifact) -> None:
    test = artifact.manifest.metrics["test"]
    outcomes = artifact.reference.outcomes
    assert sum(group.good + group.bad for group in outcomes) == test["rows"]
    assert sum(group.bad for group in outcomes) == round(test["bad_rate"] * test["rows"])


def test_equal_probabilities_stay_in_one_group() -> None:
    probability = np.repeat([0.1, 0.2, 0.3], [500, 3, 497])
    groups = reference.outcomes(probability, np.zeros(1000, dtype=np.bool_))
    assert [group.up_to for group in groups] == sorted({group.up_to for group in groups})
    assert sum(group.good for group in groups) == 1000


@pytest.mark.parametrize(("cut_off", "expected"), [(0.05, 1.0), (0.25, 1.5), (0.35, 2.5), (0.9, 3.5)])
def test_those_who_just_passed_are_the_nearest_tenth_below_the_cut_off(
    artifact: Artifact, cut_off: float, expected: float
) -> None:
    groups = tuple(
        ScoreGroup(up_to=up_to, applicants=applicants, contributions=(mean,) * len(MODEL_FIELDS))
        for up_to, applicants, mean in [
            (0.1, 50, 1.0),
            (0.2, 50, 2.0),
            (0.3, 50, 3.0),
            (0.4, 50, 4.0),
            (0.99, 800, 9.0),
        ]
    )
    seen = Reference(bias=0, spread={}, groups=groups, outcomes=(), splits=(), bins=artifact.reference.bins)
    np.testing.assert_allclose(seen.just_passed(cut_off), expected)


def test_the_spread_is_the_interquartile_range_of_what_an_applicant_can_change(
    artifact: Artifact, labelled: Labelled
) -> None:
    can_change = {field.name for field in MODEL_FIELDS if getattr(field.kind, "change", None) is not None}
    assert set(artifact.reference.spread) == can_change != set()
    for name, spread in artifact.reference.spread.items():
        column = labelled.matrix[:, COLUMN[name]]
        low, high = np.nanquantile(column, [0.25, 0.75])
        assert spread == pytest.approx(high - low if high > low else np.nanmax(column) - np.nanmin(column))


def test_every_applicant_is_in_one_bin_of_the_score_and_of_each_field(artifact: Artifact, labelled: Labelled) -> None:
    bins = artifact.reference.bins
    assert sum(bins.score.counts) == len(labelled.matrix)
    assert bins.score.counts[-1] == 0  # nobody is without a score
    for field in MODEL_FIELDS:
        column, found = labelled.matrix[:, COLUMN[field.name]], bins.fields[field.name]
        assert sum(found.counts) == len(column)
        assert found.counts[-1] == np.isnan(column).sum()
        low, high = artifact.manifest.ranges[field.name]
        assert bins.outside[field.name] == ((column < low) | (column > high)).sum()
        if isinstance(field.kind, Category):
            assert list(found.counts[:-1]) == [int((column == code).sum()) for code in range(len(field.kind.values))]
        else:
            assert list(found.edges) == np.unique(np.nanquantile(column, np.arange(1, 10) / 10)).tolist()


def test_bins_that_do_not_fit_are_refused(artifact: Artifact) -> None:
    with pytest.raises(ValueError, match="a count for each bin"):
        Bins(edges=(1.0,), counts=(3, 4))
    bins = artifact.reference.bins
    with pytest.raises(ValueError, match="exactly the model's fields"):
        TrainingBins(score=bins.score, fields={**bins.fields, "made_up": bins.score}, outside=bins.outside)
