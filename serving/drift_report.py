"""What the counts of serving/drift.py say beside those of training: the answer of GET /drift, and the gauges.

PSI is model/psi.py's. Before any outcome is known, the probabilities themselves say what to expect, as long as they are
calibrated (NannyML's confidence-based performance estimation): of n applications with probability p, n·p go bad.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from decisions.record import CHANNELS
from model import reference
from model.page import plain
from model.psi import ANOTHER_POPULATION, psi_of_counts, stands_out
from preprocessing.encode import MODEL_FIELDS
from preprocessing.fields import Category
from serving.drift import PROBABILITY_BINS, Counts, Drift
from serving.realised import Outcomes, Realised, auc

ALL = "all"
FEWEST = 100  # applications; of fewer, nothing is said to stand out


@dataclass(frozen=True, slots=True)
class Shift:
    """The score's or a field's: PSI, and the shares of missing values and of those outside the training range, less
    what they were in training. None where nothing was scored."""

    psi: float | None
    stands_out: bool
    missing_shift: float | None
    outside_shift: float | None


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """`says` is what a person should read first; of `rows` scored applications."""

    rows: int
    says: str
    score: Shift
    fields: dict[str, Shift]


_NOTHING = Shift(None, stands_out=False, missing_shift=None, outside_shift=None)
NOBODY = ChannelReport(0, "nobody was scored", _NOTHING, {field.name: _NOTHING for field in MODEL_FIELDS})


@dataclass(frozen=True, slots=True)
class Distribution:
    """The share of each bin, whose name says what is in it, in training and `now`; all 0 where nothing was scored."""

    bins: tuple[str, ...]
    training: tuple[float, ...]
    now: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What to expect of everybody scored, None of nobody, and each channel by its name, `all` together; the
    distributions of the score and of each field are everybody's too."""

    expected_bad_rate: float | None
    expected_auc: float | None
    channels: dict[str, ChannelReport]
    score: Distribution
    fields: dict[str, Distribution]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """By window: `1h` and `24h` are so many whole hours and what has passed of the current one."""

    model_version: str
    training_rows: int
    windows: dict[str, WindowReport]
    realised: Realised | None  # None where no decision is recorded


def report(drift: Drift, outcomes: Outcomes | None = None) -> DriftReport:
    """Of what all workers have counted, and of what waits in this one."""
    drift.gather()
    training, seen = drift.artifact.reference.bins, drift.seen()
    return DriftReport(
        drift.artifact.model_version,
        sum(training.score.counts),
        {window: _window(drift, counts) for window, counts in seen.items()},
        outcomes.of(drift.artifact.model_version) if outcomes else None,
    )


def expected(counts: npt.NDArray[np.int64]) -> tuple[float | None, float | None]:
    """Bad rate and AUC to expect of applications counted by probability in bins of equal width, (bins,).

    Everybody in a bin is taken to have its middle: with 100 bins the bad rate is right to 0.005. AUC is the chance that
    a bad applicant has the higher probability of two, half of it where they share a bin; None where it has no meaning.
    """
    middle = (np.arange(len(counts)) + 0.5) / len(counts)
    bad, good = counts * middle, counts * (1 - middle)
    if not counts.any():
        return None, None
    return float(bad.sum() / counts.sum()), auc(bad, good)


def _window(drift: Drift, counts: Counts) -> WindowReport:
    everybody, training = counts.sum(axis=0), drift.artifact.reference.bins
    assert len(everybody[drift.bins.probability]) == PROBABILITY_BINS, "as counted: this is a bug"
    return WindowReport(
        *expected(everybody[drift.bins.probability]),
        {
            ALL: _channel(drift, everybody),
            **{channel: _channel(drift, row) for channel, row in zip(CHANNELS, counts, strict=True) if row.any()},
        },
        _distribution(
            training.score, _ranges([f"{edge:.1%}" for edge in training.score.edges]), everybody[drift.bins.score]
        ),
        {
            field.name: _distribution(
                training.fields[field.name],
                list(field.kind.values)
                if isinstance(field.kind, Category)
                else _ranges([plain(edge) for edge in training.fields[field.name].edges]),
                everybody[part],
            )
            for field, part in zip(MODEL_FIELDS, drift.bins.fields, strict=True)
        },
    )


def _ranges(edges: Sequence[str]) -> list[str]:
    return [f"below {edges[0]}" if edges else "any value", *(f"from {edge}" for edge in edges)]


def _distribution(training: reference.Bins, names: Sequence[str], counts: npt.NDArray[np.int64]) -> Distribution:
    """`names` of all bins but that of the missing, which is the last."""
    before = np.array(training.counts)
    bins = (*names, "no value")
    assert len(bins) == len(before) == len(counts), "as counted in training: this is a bug"
    return Distribution(bins, tuple((before / before.sum()).tolist()), tuple((counts / max(1, counts.sum())).tolist()))


def _channel(drift: Drift, counts: npt.NDArray[np.int64]) -> ChannelReport:
    """Of one row of counts."""
    training = drift.artifact.reference.bins
    score = _shift(training.score, counts[drift.bins.score], 0, 0)
    fields = {
        field.name: _shift(training.fields[field.name], counts[part], int(outside), training.outside[field.name])
        for field, part, outside in zip(
            MODEL_FIELDS, drift.bins.fields, counts[drift.bins.outside].tolist(), strict=True
        )
    }
    rows = int(counts[drift.bins.score].sum())
    return ChannelReport(rows, _words(rows, score, fields), score, fields)


def _shift(training: reference.Bins, counts: npt.NDArray[np.int64], outside: int, outside_before: int) -> Shift:
    rows, before = int(counts.sum()), np.array(training.counts)
    if not rows:
        return _NOTHING
    trained = int(before.sum())
    psi = psi_of_counts(before, counts)
    bins = int(((before > 0) | (counts > 0)).sum())
    return Shift(
        psi,
        rows >= FEWEST and stands_out(psi, trained, rows, bins),
        float(counts[-1] / rows - before[-1] / trained),
        outside / rows - outside_before / trained,
    )


def _words(rows: int, score: Shift, fields: dict[str, Shift]) -> str:
    if rows < FEWEST:
        return f"{rows} applications are too few to tell drift from chance"
    moved = {name: shift.psi for name, shift in (("the score", score), *fields.items()) if shift.stands_out}
    if not moved:
        return "nothing stands out"
    return "; ".join(
        f"{name} has moved: PSI {psi:.2f}, {'another population' if psi > ANOTHER_POPULATION else 'worth a look'}"
        for name, psi in sorted(moved.items(), key=lambda item: -(item[1] or 0))
        if psi is not None
    )
