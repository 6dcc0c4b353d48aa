"""Last step of a score: probability → tier and points, and the words for the reasons.

The policy is data (`policy.json` of the artefact), so another one needs no training. Its two thresholds come from
target bad rates: *low* is the largest group of safest applicants of whom at most `low_bad_rate` went bad, *high* the
largest group of riskiest of whom at least `high_bad_rate` did; *medium* is what lies between.

    python -m model.policy                                  # what other thresholds would do
    python -m model.policy --show > policy.json             # the newest model's policy, to be edited …
    python -m model.policy --use policy.json                # … and given to it; the model itself stays as it is
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from functools import cached_property
from math import log
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model.errors import PolicyError
from preprocessing.encode import MODEL_FIELDS
from preprocessing.fields import sentences

Tier = Literal["low", "medium", "high"]
TIERS: tuple[Tier, ...] = ("low", "medium", "high")
Why = Literal["tier", "range", "threshold", "confidence"]  # a person should look at a decision
_TIER, _RANGE, _THRESHOLD, _CONFIDENCE = 1, 2, 4, 8
# what each sum of these means
WHYS: list[tuple[Why, ...]] = [
    tuple(why for bit, why in enumerate(get_args(Why)) if number >> bit & 1) for number in range(16)
]
DIGITS = 6  # of a probability, in every answer, threshold and record
_LEAST = 10**-DIGITS
FEW = 16  # rows, up to which plain Python is done before NumPy has begun; a test holds both to the same results
# Default targets, as multiples of the bad rate of all applicants: they suit any table.
LOW_TARGET, HIGH_TARGET = 0.2, 2.25
SMALLEST_GROUP = 30  # a handful of applicants without a bad one proves no bad rate


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Points(_Data):
    """points = offset + factor · ln(odds), odds being good : bad: `at` points mean odds of `odds` to 1, and `doubling`
    points more mean odds twice as good (Siddiqi 2017, "Intelligent Credit Scoring", chapter 10)."""

    at: float = 600
    odds: float = Field(50, gt=0)
    doubling: float = Field(20, gt=0)

    @property
    def factor(self) -> float:
        return self.doubling / log(2)

    @property
    def offset(self) -> float:
        return self.at - self.factor * log(self.odds)


class Review(_Data):
    """Which decisions a person looks at: those of `tiers`, and, if so wanted, those with a value outside the training
    range or with a probability at most `near_threshold` away from a threshold of the policy (0: none is near)."""

    tiers: tuple[Tier, ...] = Field(("medium",), strict=False)  # a list in JSON
    outside_training_range: bool = False
    near_threshold: float = Field(0, ge=0, lt=1)


class Wording(_Data):
    """A reason in words: `code` for machines, `text` for the applicant."""

    code: str = Field(pattern="^[A-Za-z0-9_.-]{1,64}$")
    text: str = Field(min_length=1, max_length=300)


class ReasonTexts(_Data):
    """What is said of a field that raised an applicant's risk, and of one that lowered it."""

    adverse: Wording
    favourable: Wording


def _default_texts() -> dict[str, ReasonTexts]:
    """The schema's own sentences; a lender's lawyers may want others."""
    texts = {}
    for field in MODEL_FIELDS:
        adverse, favourable = sentences(field.kind)
        texts[field.name] = ReasonTexts(
            adverse=Wording(code=f"{field.name}_adverse", text=adverse),
            favourable=Wording(code=f"{field.name}_favourable", text=favourable),
        )
    return texts


class Policy(_Data):
    """A probability below `low_below` is low, one of `high_from` or more is high; both are rounded as answers are."""

    low_below: float
    high_from: float
    low_bad_rate: float
    high_bad_rate: float
    points_scale: Points = Points()
    reasons: dict[str, ReasonTexts] = Field(default_factory=_default_texts)
    review: Review = Review()  # policies that were written before there was a queue have none

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 < self.low_below <= self.high_from < 1:
            raise ValueError(
                f"the thresholds must satisfy 0 < low_below <= high_from < 1, not {self.low_below} and {self.high_from}"
            )
        missing = [field.name for field in MODEL_FIELDS if field.name not in self.reasons]
        if missing:
            raise ValueError(f"reasons has no text for the field {missing[0]!r}")
        if unknown := self.reasons.keys() - {field.name for field in MODEL_FIELDS}:
            raise ValueError(f"reasons has a text for {min(unknown)!r}, which is no field that the model is given")
        return self

    def tier(self, probability: float) -> Tier:
        return TIERS[self.tiers([probability])[0]]

    def tiers(self, probabilities: Sequence[float]) -> list[int]:
        """Probabilities → indices into TIERS; a threshold belongs to the riskier tier."""
        thresholds = (self.low_below, self.high_from)
        if len(probabilities) <= FEW:
            return [bisect_right(thresholds, probability) for probability in probabilities]
        indices: list[int] = np.searchsorted(thresholds, probabilities, side="right").tolist()
        return indices

    def points(self, probabilities: Sequence[float]) -> list[int]:
        """Probabilities → points; 0 and 1 count as the nearest probabilities that an answer can tell from them."""
        offset, factor = self._line
        if len(probabilities) <= FEW:
            return [round(offset + factor * log(1 / min(max(p, _LEAST), 1 - _LEAST) - 1)) for p in probabilities]
        p = np.clip(probabilities, _LEAST, 1 - _LEAST)
        points: list[int] = np.rint(offset + factor * np.log(1 / p - 1)).astype(np.int64).tolist()
        return points

    def to_review(
        self,
        probabilities: Sequence[float],
        tiers: Sequence[int],
        outside: Collection[int],
        unsure: Collection[int] = (),
    ) -> list[tuple[Why, ...]]:
        """For each row why a person should look at it, in most cases for no reason.

        `tiers` are indices into TIERS, `outside` the rows with a value outside the training range, `unsure` those with
        a value that was read with little confidence, on which no policy decides alone.
        """
        of_tier, near = self._review_bits
        if not near:
            whys = [of_tier[tier] for tier in tiers]
        elif len(probabilities) <= FEW:
            whys = [
                of_tier[tier] + _THRESHOLD * any(low <= p <= high for low, high in near)
                for p, tier in zip(probabilities, tiers, strict=True)
            ]
        else:
            p = np.asarray(probabilities)
            is_near = np.any([(low <= p) & (p <= high) for low, high in near], axis=0)
            whys = (np.take(of_tier, tiers) + _THRESHOLD * is_near).tolist()
        if self.review.outside_training_range:
            for row in outside:
                whys[row] += _RANGE
        for row in unsure:
            whys[row] += _CONFIDENCE
        return [WHYS[why] for why in whys]

    @cached_property
    def _review_bits(self) -> tuple[list[int], list[tuple[float, float]]]:
        """What each tier counts, and the probabilities that are near a threshold, in an answer's digits."""
        of_tier = [_TIER if tier in self.review.tiers else 0 for tier in TIERS]
        distance = self.review.near_threshold
        thresholds = (self.low_below, self.high_from) if distance else ()
        return of_tier, [(round(at - distance, DIGITS), round(at + distance, DIGITS)) for at in thresholds]

    @cached_property
    def _line(self) -> tuple[float, float]:
        return self.points_scale.offset, self.points_scale.factor

    def better_tier(self, tier: int) -> tuple[Tier, float] | None:
        """The next better tier and the probability to get below for it; None for the best one."""
        return None if tier == 0 else (TIERS[tier - 1], (self.low_below, self.high_from)[tier - 1])

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, text: bytes) -> "Policy":
        """PolicyError that names what does not fit."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = first["msg"].removeprefix("Value error, ")
            raise PolicyError(f"policy.json does not fit: {where + ': ' if where else ''}{said}") from None


def answered(exact: npt.NDArray[np.float32]) -> list[float]:
    """(rows,) probabilities as they are answered: six digits, so that a tier follows from what is shown."""
    if len(exact) <= FEW:
        return [round(probability * 10**DIGITS) / 10**DIGITS for probability in exact.tolist()]
    rounded: list[float] = exact.astype(np.float64).round(DIGITS).tolist()
    return rounded


def choose(
    probabilities: npt.NDArray[np.float64],
    bad: npt.NDArray[np.bool_],
    low_bad_rate: float | None = None,
    high_bad_rate: float | None = None,
) -> Policy:
    """Thresholds that meet the target bad rates on validation data; PolicyError where no group of any size does.

    Both arrays have shape (rows,). A target left out is derived from the overall bad rate.
    """
    overall = float(bad.mean())
    low_target = low_bad_rate if low_bad_rate is not None else overall * LOW_TARGET
    high_target = high_bad_rate if high_bad_rate is not None else min(overall * HIGH_TARGET, (1 + overall) / 2)
    if not 0 < low_target < high_target < 1:
        raise PolicyError(
            f"target bad rates must satisfy 0 < low < high < 1, not {low_target:.3f} and {high_target:.3f}"
        )
    candidates = np.unique(np.round(probabilities, DIGITS))
    low = [t for t in candidates if _rate(bad[probabilities < t], otherwise=1.0) <= low_target]
    high = [t for t in candidates if _rate(bad[probabilities >= t], otherwise=0.0) >= high_target]
    if not low or not high:
        target, word = (low_target, "at most") if not low else (high_target, "at least")
        raise PolicyError(
            f"no group of validation applicants has a bad rate of {word} {target:.3f} (all: {overall:.3f}); "
            f"choose another --low-bad-rate or --high-bad-rate, or --nearest-targets"
        )
    # where the two groups overlap, both meet their targets without the overlap, which becomes medium
    low_below, high_from = sorted([float(max(low)), float(min(high))])
    return Policy(low_below=low_below, high_from=high_from, low_bad_rate=low_target, high_bad_rate=high_target)


def choose_nearest(probabilities: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_]) -> Policy:
    """As `choose`; where no groups meet the usual targets, these move towards the overall bad rate, step by step, until
    some do. PolicyError where even nine tenths of the way do not help."""
    overall = float(bad.mean())
    low, high = overall * LOW_TARGET, min(overall * HIGH_TARGET, (1 + overall) / 2)
    for way in np.linspace(0, 0.8, 9):
        try:
            return choose(probabilities, bad, low + way * (overall - low), high + way * (overall - high))
        except PolicyError:
            continue
    return choose(probabilities, bad, low + 0.9 * (overall - low), high + 0.9 * (overall - high))


def _rate(group: npt.NDArray[np.bool_], otherwise: float) -> float:
    """The group's bad rate; `otherwise` for a group too small to have one."""
    return float(group.mean()) if group.size >= SMALLEST_GROUP else otherwise


if __name__ == "__main__":
    from model.thresholds import main  # the program around this module, which the service does not need

    main()
