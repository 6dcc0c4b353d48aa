"""Whether a new model may take the place of the one before: both on the same applications, which neither has seen.

    python -m model.compare riskline:1f0c4a9e2b7d riskline:latest --data applications.csv --label status --bad bad

Both must have been trained with `--holdout`; of the file, the rows that both hold out are what they are compared on
(model/holdout.py). Every difference comes with a 95 % interval of a bootstrap over applicants, paired and by outcome.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from model.artifact import Artifact, open_artifact
from model.data import Labelled, read_labelled
from model.errors import ComparisonError
from model.evaluate import CALIBRATION_BINS
from model.fairness import FEWEST, FOUR_FIFTHS
from model.groups import Grouping
from model.holdout import held_out
from model.intervals import Interval, share
from model.policy import TIERS
from model.scorecard import RESAMPLES, Ranked
from preprocessing.errors import RisklineError
from preprocessing.schema import BAD, LABEL

BUNDLED = Path(__file__).parent / "data" / "applications.csv"
_HIGH = TIERS.index("high")
Weight = npt.NDArray[np.float64]

CODES = """exit codes:
  0  the new model is below no bar
  1  it is below a bar, each is named; or they cannot be compared, and a line on stderr says why
"""


@dataclass(frozen=True, slots=True)
class Bars:
    """What the new model must not fall below, each a flag of the command. README has them in words."""

    auc_loss: float = 0.02
    brier_rise: float = 0.01
    calibration_error: float = 0.05
    two_tiers: float = 0.01
    low_bad_rate_rise: float = 0.03
    impact_ratio: float = FOUR_FIFTHS
    impact_loss: float = 0.02


class Difference(NamedTuple):
    """A measure of both models, and the new one's less the old one's; NaN where there was nothing to measure."""

    measure: str
    old: float
    new: float
    change: Interval


@dataclass(frozen=True, slots=True)
class Compared:
    """`flips` counts applicants by old tier (rows) and new tier (columns); `below` names the bars that are not met."""

    rows: int
    bad: int
    differences: Sequence[Difference]
    flips: Sequence[Sequence[int]]
    moved: Interval  # share of applicants whose tier is another
    below: Sequence[str]


class _Scored:
    """One model's answers to the held-out rows, measured under any weights of the rows."""

    def __init__(self, artifact: Artifact, rows: Labelled) -> None:
        probability = np.array(artifact.score(rows.matrix))
        self._bad, self._groups = rows.bad, rows.groups
        self.tier = np.array(artifact.policy.tiers(probability.tolist()))
        self._ranked = Ranked(rows.bad, probability)
        self._probability, self._square = probability, (probability - rows.bad) ** 2
        self._bin = np.empty(rows.bad.size, dtype=np.int64)  # the equally large ones of evaluate.calibration_error
        for number, some in enumerate(np.array_split(np.argsort(probability, kind="stable"), CALIBRATION_BINS)):
            self._bin[some] = number

    def measures(self, weight: Weight) -> dict[str, float]:
        gap = np.bincount(self._bin, weight * (self._probability - self._bad), CALIBRATION_BINS)
        measured = {
            "auc": self._ranked.auc(weight),
            "brier": float(weight @ self._square / weight.sum()),
            "calibration error": float(np.abs(gap).sum() / weight.sum()),
        }
        rates = _rates(self.tier, weight, self._bad, len(TIERS))
        measured |= {f"bad rate of {tier}": float(rate) for tier, rate in zip(TIERS, rates, strict=True)}
        for grouping in self._groups:
            measured[f"impact ratio, {grouping.field.kind.label}"] = self._impact(grouping, weight)
        return measured

    def _impact(self, grouping: Grouping, weight: Weight) -> float:
        """The least approved group's approval rate over the most approved one's, groups of few applicants left out."""
        is_large = np.bincount(grouping.index, minlength=len(grouping.names)) >= FEWEST
        approved = _rates(grouping.index, weight, self.tier < _HIGH, len(grouping.names))[is_large]
        approved = approved[~np.isnan(approved)]
        return float(approved.min() / approved.max()) if approved.size and approved.max() else float("nan")


def compare(old: Artifact, new: Artifact, data: Labelled, bars: Bars, seed: int = 0) -> Compared:
    """Both models on the rows of `data` that neither has seen; ComparisonError where there are not enough of them."""
    rows = data.of(np.flatnonzero(held_out(data.matrix, min(_share_of(old, "old"), _share_of(new, "new")))))
    fewest = min(int(rows.bad.sum()), int((~rows.bad).sum()))
    if fewest < FEWEST:
        raise ComparisonError(
            f"only {rows.bad.size} rows of the data are held out by both models, {int(rows.bad.sum())} of them bad: "
            f"there must be {FEWEST} of either outcome; give more data or train with a larger --holdout"
        )
    scored = [_Scored(artifact, rows) for artifact in (old, new)]
    before, after = (one.measures(np.ones(rows.bad.size)) for one in scored)
    changes = _resampled(scored, rows.bad, seed)
    differences = [
        Difference(name, before[name], after[name], Interval(after[name] - before[name], *changes[name]))
        for name in before
    ]
    flips = np.bincount(scored[0].tier * len(TIERS) + scored[1].tier, minlength=len(TIERS) ** 2)
    table = flips.reshape(len(TIERS), len(TIERS))
    return Compared(
        rows.bad.size,
        int(rows.bad.sum()),
        differences,
        table.tolist(),
        share(int(table.sum() - np.trace(table)), rows.bad.size),
        _below(differences, int(table[0, -1] + table[-1, 0]) / rows.bad.size, bars),
    )


def _share_of(artifact: Artifact, which: str) -> float:
    held = float(artifact.manifest.training.get("holdout", {}).get("share", 0))
    if not held:
        raise ComparisonError(
            f"the {which} model was trained without --holdout, so nobody can tell which applications it has not seen; "
            "train it again with --holdout 0.2"
        )
    return held


def _resampled(scored: Sequence[_Scored], bad: npt.NDArray[np.bool_], seed: int) -> Mapping[str, tuple[float, float]]:
    """The middle 95 % of each measure's difference over resamples of the applicants."""
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        weight = np.empty(bad.size)
        for outcome in (bad, ~bad):
            rows = int(outcome.sum())
            weight[outcome] = np.bincount(random.integers(0, rows, rows), minlength=rows)
        before, after = (one.measures(weight) for one in scored)
        for name, value in after.items():
            drawn.setdefault(name, []).append(value - before[name])
    intervals = {}
    for name, values in drawn.items():
        known = np.array(values)[~np.isnan(values)]  # a resample may have nobody in a tier
        low, high = np.quantile(known, [0.025, 0.975]).tolist() if known.size else (float("nan"), float("nan"))
        intervals[name] = (low, high)
    return intervals


def _rates(index: npt.NDArray[np.int64], weight: Weight, hit: npt.NDArray[np.bool_], groups: int) -> Weight:
    """(groups,) weighted share of rows with a hit; NaN for a group without rows."""
    of = np.bincount(index, weight, groups)
    rates: Weight = np.divide(np.bincount(index, weight * hit, groups), of, out=np.full(groups, np.nan), where=of > 0)
    return rates


def _below(differences: Sequence[Difference], two_tiers: float, bars: Bars) -> list[str]:
    """A sentence for each bar that is not met. What there was nobody to measure on is below none."""
    found = []
    for name, old, new, (value, low, high) in differences:
        if name == "auc" and low < -bars.auc_loss:
            found.append(f"auc: may be {-low:.4f} lower, more than --auc-loss {bars.auc_loss:g}")
        if name == "brier" and high > bars.brier_rise:
            found.append(f"brier: may be {high:.4f} higher, more than --brier-rise {bars.brier_rise:g}")
        if name == "calibration error" and new > bars.calibration_error:
            found.append(f"calibration error: {new:.4f}, more than --calibration-error {bars.calibration_error:g}")
        if name == "bad rate of low" and high > bars.low_bad_rate_rise:
            found.append(f"{name}: may be {high:.4f} higher, more than --low-bad-rate-rise {bars.low_bad_rate_rise:g}")
        if name.startswith("impact ratio") and new < bars.impact_ratio and value < -bars.impact_loss:
            found.append(
                f"{name}: {new:.3f}, below --impact-ratio {bars.impact_ratio:g} and more than --impact-loss "
                f"{bars.impact_loss:g} below the old model's {old:.3f}"
            )
    if two_tiers > bars.two_tiers:
        found.append(f"two tiers: {two_tiers:.1%} change between low and high, above --two-tiers {bars.two_tiers:g}")
    return found


def as_json(compared: Compared) -> str:
    """Numbers in full, NaN as null."""

    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    measures = {
        name: {
            "old": known(old),
            "new": known(new),
            "change": dict(zip(change._fields, map(known, change), strict=True)),
        }
        for name, old, new, change in compared.differences
    }
    told: dict[str, Any] = {**asdict(compared), "moved": compared.moved._asdict(), "differences": measures}
    return json.dumps({"may_be_promoted": not compared.below, "tiers": TIERS, **told}, indent=1, allow_nan=False)


def _show(console: Console, compared: Compared) -> None:
    table = Table(title=f"{compared.rows} applications that neither model has seen, {compared.bad} of them bad")
    for name in ("measure", "old", "new", "change", "95 % interval"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for name, old, new, (value, low, high) in compared.differences:
        numbers = (f"{old:.4f}", f"{new:.4f}", f"{value:+.4f}", f"{low:+.4f} to {high:+.4f}")
        table.add_row(name, *(("-" if "nan" in number else number) for number in numbers))
    console.print(table)
    value, low, high = compared.moved
    flips = Table(title=f"Another tier: {value:.1%} ({low:.1%} to {high:.1%}) of them")
    for name in ("old tier", *(f"new {tier}" for tier in TIERS)):
        flips.add_column(name, justify="left" if name == "old tier" else "right")
    for tier, counts in zip(TIERS, compared.flips, strict=True):
        flips.add_row(tier, *map(str, counts))
    console.print(flips)
    for sentence in compared.below:
        console.print(f"below the bar: {sentence}", highlight=False)
    console.print("It may not be promoted." if compared.below else "It may be promoted.")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m model.compare", description="Compare a new model with the one before.", epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("old", help="folder, archive or tag of the model before")
    parser.add_argument("new", help="folder, archive or tag of the new model")
    parser.add_argument("--data", type=Path, default=BUNDLED, help="CSV or Parquet of labelled applications")
    parser.add_argument("--label", default=LABEL, help="column with the auditors' verdict")
    parser.add_argument("--bad", default=BAD, help="the verdict that counts as risk")
    parser.add_argument("--json", action="store_true", help="write JSON instead of tables")
    for bar in fields(Bars):
        parser.add_argument(f"--{bar.name.replace('_', '-')}", type=float, default=bar.default, metavar="BAR")
    arguments = parser.parse_args()
    bars = Bars(**{bar.name: getattr(arguments, bar.name) for bar in fields(Bars)})
    try:
        old, new = open_artifact(arguments.old), open_artifact(arguments.new)
        data = read_labelled(arguments.data, arguments.label, arguments.bad)
        compared = compare(old, new, data, bars)
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    if arguments.json:
        print(as_json(compared))  # noqa: T201
    else:
        _show(Console(), compared)
    sys.exit(bool(compared.below))


if __name__ == "__main__":
    main()
