"""What the model was seen to do in training, as data of the artefact: the reference points of explanations, and what
tells how other thresholds would have done.

Applicants are counted in groups; no file of the artefact holds an application.
"""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from model.policy import DIGITS
from preprocessing.encode import MODEL_FIELDS, Matrix

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


class Reference(_Data):
    """`bias` is the mean margin in log-odds; `spread` the interquartile range of each field that can be changed."""

    bias: float
    spread: dict[str, float]
    groups: tuple[ScoreGroup, ...]
    outcomes: tuple[Outcomes, ...]
    splits: tuple[FeatureSplits, ...]

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


def _groups(probability: Floats) -> list[npt.NDArray[np.int64]]:
    """Rows in ascending order of probability, cut into groups of equal size, equal probabilities together."""
    order = np.argsort(probability, kind="stable")
    count = max(1, min(GROUPS, len(order) // FEWEST))
    edges = np.linspace(0, len(order), count + 1).astype(int)[1:-1]
    values = np.round(probability[order], DIGITS)
    edges = np.unique(np.searchsorted(values, values[edges]))
    return [rows for rows in np.split(order, edges) if rows.size]
