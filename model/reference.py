"""What the model was seen to do in training, as data of the artefact: the reference points of explanations, what tells
how other thresholds would have done, and the bins by which drift is told.

Applicants are counted in groups; no file of the artefact holds an application.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.policy import DIGITS
from model.psi import counts, deciles
from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.fields import Category

GROUPS = 40  # of equally many applicants, by probability
FEWEST = 30  # applicants in a group; fewer have no mean worth comparing with
JUST_PASSED = 0.1  # of all applicants: as many as stand just on the better side of the cut-off

Floats = npt.NDArray[np.float64]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Contributions = Annotated[
    tuple[float, ...], Field(min_length=len(MODEL_FIELDS), max_length=len(MODEL_FIELDS))
]  # of each field


class ScoreGroup(_Data):
    """Applicants with a probability from the group before to this `up_to`: how many, and their mean contributions."""

    up_to: float
    applicants: int
    contributions: Contributions


class Outcomes(_Data):
    """Applicants of the test split up to a probability, by what became of them."""

    up_to: float
    good: int
    bad: int


class FeatureSplits(_Data):
    """The thresholds at which the trees split a feature; a field, or derived from the fields `sources`."""

    feature: str
    sources: tuple[str, ...]
    thresholds: tuple[float, ...]


class Bins(_Data):
    """How many applicants had a value in each bin between the inner `edges`, ascending; the missing ones last."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _has_a_count_for_each(self) -> "Bins":
        if len(self.counts) != len(self.edges) + 2 or not sum(self.counts):
            raise ValueError("a count for each bin and one for the missing are needed")
        return self


class TrainingBins(_Data):
    """Of all applicants that the model was trained and tested on: the score, each field that the model is given, and
    how many of them lie `outside` the range of the field that the manifest tells."""

    score: Bins
    fields: dict[str, Bins]
    outside: dict[str, int]

    @model_validator(mode="after")
    def _has_every_field(self) -> "TrainingBins":
        names = [field.name for field in MODEL_FIELDS]
        if sorted(self.fields) != sorted(names) or sorted(self.outside) != sorted(names):
            raise ValueError("bins of exactly the model's fields are needed")
        return self


class Reference(_Data):
    """`bias` is the mean margin in log-odds; `spread` the interquartile range of each field that can be changed."""

    bias: float
    spread: dict[str, float]
    groups: tuple[ScoreGroup, ...]
    outcomes: tuple[Outcomes, ...]
    splits: tuple[FeatureSplits, ...]
    bins: TrainingBins

    def just_passed(self, cut_off: float) -> Floats:
        """(fields,): the mean contributions of the applicants just on the better side of the cut-off.

        Regulation B's commentary on 12 CFR 1002.9(b)(2), paragraph 5, has applicants compared with them.
        """
        wanted = JUST_PASSED * sum(group.applicants for group in self.groups)
        total, count = np.zeros(len(MODEL_FIELDS)), 0
        for group in reversed([group for group in self.groups if group.up_to < cut_off] or list(self.groups[:1])):
            total += group.applicants * np.array(group.contributions)
            count += group.applicants
            if count >= wanted:
                break
        return np.asarray(total / count)


def score_groups(probability: Floats, contributions: npt.NDArray[np.float32]) -> tuple[ScoreGroup, ...]:
    """Both by row, of all applicants that the model was trained and tested on."""
    return tuple(
        ScoreGroup(
            up_to=round(float(probability[rows].max()), DIGITS),
            applicants=len(rows),
            contributions=tuple(np.round(contributions[rows].mean(axis=0, dtype=np.float64), DIGITS).tolist()),
        )
        for rows in _groups(probability)
    )


def outcomes(probability: Floats, bad: npt.NDArray[np.bool_]) -> tuple[Outcomes, ...]:
    """Both by row, of the test split."""
    return tuple(
        Outcomes(
            up_to=round(float(probability[rows].max()), DIGITS), good=int((~bad[rows]).sum()), bad=int(bad[rows].sum())
        )
        for rows in _groups(probability)
    )


def spread(matrix: Matrix) -> dict[str, float]:
    """Field → how far apart the middle half of the applicants lies; where that is 0, all of them; for fields that an
    applicant can change."""
    found = {}
    for column, field in enumerate(MODEL_FIELDS):
        values = matrix[:, column][~np.isnan(matrix[:, column])].astype(np.float64)
        if getattr(field.kind, "change", None) is not None and values.size and np.ptp(values) > 0:
            low, high = np.quantile(values, [0.25, 0.75])
            found[field.name] = float(high - low or np.ptp(values))
    return found


def training_bins(probability: Floats, matrix: Matrix, ranges: Mapping[str, tuple[float, float]]) -> TrainingBins:
    """`probability` by row as it is answered; `ranges` as the manifest tells them."""
    columns = {field.name: matrix[:, column] for column, field in enumerate(MODEL_FIELDS)}
    lowest, highest = np.array([ranges[name] for name in columns], dtype=np.float32).T
    outside = ((matrix < lowest) | (matrix > highest)).sum(axis=0).tolist()
    return TrainingBins(
        score=_bins(probability, deciles(probability)),
        fields={
            field.name: _bins(
                columns[field.name],
                np.arange(0.5, len(field.kind.values) - 1)
                if isinstance(field.kind, Category)
                else deciles(columns[field.name]),
            )
            for field in MODEL_FIELDS
        },
        outside=dict(zip(columns, outside, strict=True)),
    )


def _bins(values: npt.NDArray[np.floating[Any]], edges: Floats) -> Bins:
    return Bins(edges=tuple(edges.tolist()), counts=tuple(counts(values, edges).tolist()))


def _groups(probability: Floats) -> list[npt.NDArray[np.int64]]:
    """Rows in ascending order of probability, cut into groups of equal size, equal probabilities together."""
    order = np.argsort(probability, kind="stable")
    count = max(1, min(GROUPS, len(order) // FEWEST))
    edges = np.linspace(0, len(order), count + 1).astype(int)[1:-1]
    values = np.round(probability[order], DIGITS)
    edges = np.unique(np.searchsorted(values, values[edges]))
    return [rows for rows in np.split(order, edges) if rows.size]
