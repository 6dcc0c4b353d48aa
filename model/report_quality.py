"""The report's first half: what the model was trained on and how well it does. Functions from a Study to HTML."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.charts import Axis, Line, bars, lines
from model.effects import Effect, effects
from model.evaluate import CALIBRATION_BINS
from model.groups import MISSING
from model.intervals import Interval, share
from model.page import NOTHING, figures, heading, listing, number, paragraph, plain, table
from model.policy import TIERS
from model.psi import ANOTHER_POPULATION, WORTH_A_LOOK, by_chance, psi
from model.study import Rows, Study
from preprocessing.encode import FIELDS, MODEL_FIELDS
from preprocessing.fields import Category, Field

MOST_POINTS = 150  # of a curve: more than a printer shows
HISTOGRAM_BINS = 20
GAIN_BINS = 10
DIRECTIONS = {1: "more never lowers the risk", -1: "more never raises the risk", 0: "no demand"}

Curve = npt.NDArray[np.float64]


def data(study: Study) -> str:
    """Rows and labels by split, what was left out, every field, and how the scores spread."""
    bad = study.data.bad
    splits = [(name, rows) for name, rows in study.splits._asdict().items()]
    counted = [
        (name, f"{rows.size:,}", f"{int(bad[rows].sum()):,}", f"{bad[rows].mean():.1%}")
        for name, rows in [*splits, ("all", np.arange(bad.size))]
    ]
    axis = Axis("probability", 0, 1, percent=True)
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    drawn = []
    for name, rows in splits:
        held = np.histogram(study.probability[rows], edges)[0] / max(1, rows.size)
        drawn.append(Line(name, list(zip((edges[1:] + edges[:-1]) / 2, held.tolist(), strict=True))))
    height = Axis.over("share of applicants", [y for line in drawn for _, y in line.points], percent=True, zero=True)
    rates = [("", [float(bad[rows].mean()) for _, rows in splits])]
    percents = Axis("bad rate", 0, 1, percent=True)
    return (
        table(("split", "applications", "bad", "bad rate"), counted)
        + paragraph(
            "The rows are split at random, stratified by the label: the trees are fitted on the first split; when to "
            "stop, the calibration and the thresholds come from the second; all that follows is measured on the third, "
            "unless it says otherwise."
        )
        + listing([f"Note from reading the data: {warning}." for warning in study.data.warnings])
        + figures(
            ("Bad rate by split", bars("Bad rate by split", "split", percents, list(study.splits._fields), rates)),
            ("Distribution of the probability", lines("Distribution of the probability", axis, height, drawn)),
        )
        + heading("Fields")
        + table(
            ("field", "values", "given to the model", "missing", "median (5 to 95 %) or commonest"),
            [_field_row(study, field) for field in FIELDS],
            words=3,
        )
    )


def discrimination(study: Study) -> str:
    """ROC and Kolmogorov-Smirnov on the test split."""
    bad, probability = study.tested
    test = study.facts["metrics"]["test"]
    at, of_bad, of_good = _cumulative(bad, probability)
    shown = _thinned(at.size)
    unit = Axis("good at or above the threshold", 0, 1, percent=True)
    percent = Axis("bad at or above the threshold", 0, 1, percent=True)
    roc = [(1.0, 1.0), *zip((1 - of_good[shown]).tolist(), (1 - of_bad[shown]).tolist(), strict=True)]
    widest = int(np.argmax(of_good - of_bad))
    gap = Line(f"KS {test['ks']:.3f}", [(at[widest], of_bad[widest]), (at[widest], of_good[widest])], light=True)
    scores = Axis("probability", 0, 1, percent=True)
    below = Axis("share at or below", 0, 1, percent=True)
    good_line = Line("good", [(0.0, 0.0), *zip(at[shown].tolist(), of_good[shown].tolist(), strict=True)])
    bad_line = Line("bad", [(0.0, 0.0), *zip(at[shown].tolist(), of_bad[shown].tolist(), strict=True)])
    chance = Line("", [(0.0, 0.0), (1.0, 1.0)], light=True)
    return paragraph(
        f"AUC {test['auc']:.4f}: of a bad and a good applicant taken at random, the bad one has the higher probability "
        f"in {test['auc']:.1%} of cases. KS {test['ks']:.4f}: the largest distance between the two distributions, at a "
        f"probability of {at[widest]:.3f}. Brier score {test['brier']:.4f}, log loss {test['log_loss']:.4f}."
    ) + figures(
        ("ROC", lines("ROC curve", unit, percent, [Line("", roc), chance])),
        ("KS", lines("Distributions of good and bad", scores, below, [good_line, bad_line, gap])),
    )


def calibration(study: Study) -> str:
    """Mean probability against bad rate in ten bins of equal size."""
    bins = calibration_bins(*study.tested)
    inside = sum(rate.low <= mean <= rate.high for _, mean, rate in bins)
    return (
        paragraph(
            f"Calibration error {study.facts['metrics']['test']['calibration_error']:.4f}: the mean distance between "
            f"probability and bad rate over ten bins of equal size. In {inside} of {len(bins)} bins the mean "
            "probability lies within the 95 % interval of the bad rate (Wilson)."
        )
        + figures(("Calibration", calibration_chart(bins)))
        + table(
            ("bin", "applicants", "mean probability", "bad rate", "95 % interval"),
            [
                (f"{place}", f"{rows}", f"{mean:.1%}", f"{rate.value:.1%}", f"{rate.low:.1%} to {rate.high:.1%}")
                for place, (rows, mean, rate) in enumerate(bins, start=1)
            ],
        )
    )


class CalibrationBin(NamedTuple):
    """Applicants of like probability: how many, their mean probability and their bad rate (Wilson's 95 %)."""

    rows: int
    probability: float
    bad_rate: Interval


def calibration_bins(bad: npt.NDArray[np.bool_], probability: Curve) -> list[CalibrationBin]:
    """Ten of equal size, ascending, of (rows,) verdicts and probabilities."""
    bins = np.array_split(np.argsort(probability, kind="stable"), CALIBRATION_BINS)
    return [
        CalibrationBin(rows.size, float(probability[rows].mean()), share(int(bad[rows].sum()), rows.size))
        for rows in bins
        if rows.size
    ]


def calibration_chart(bins: Sequence[CalibrationBin]) -> str:
    """An SVG: the nearer the dots to the diagonal, the more the probabilities can be taken at their word."""
    x, y = Axis("mean probability", 0, 1, percent=True), Axis("bad rate", 0, 1, percent=True)
    points = [(mean, rate.value) for _, mean, rate in bins]
    whiskers = [(mean, rate.low, rate.high) for _, mean, rate in bins]
    measured = Line("", points, marks=True, joined=False, whiskers=whiskers)
    return lines("Calibration", x, y, [measured, Line("", [(0, 0), (1, 1)], light=True)])


def gain(study: Study) -> str:
    """How many of the bad are found among the riskiest."""
    bad, probability = study.tested
    ranked = bad[np.argsort(-probability, kind="stable")]
    found = np.append(0.0, np.cumsum(ranked) / max(1, ranked.sum()))
    shown = _thinned(found.size)
    x = Axis("applicants, riskiest first", 0, 1, percent=True)
    y = Axis("share of the bad found", 0, 1, percent=True)
    curve = list(zip((shown / (found.size - 1)).tolist(), found[shown].tolist(), strict=True))
    parts = np.array_split(ranked, GAIN_BINS)
    ends = np.cumsum([part.size for part in parts])
    rows = [
        (f"{place}", f"{part.size}", f"{int(part.sum())}", f"{part.mean():.1%}", f"{found[end]:.1%}",
         f"{part.mean() / bad.mean():.2f}")
        for place, (part, end) in enumerate(zip(parts, ends.tolist(), strict=True), start=1) if part.size
    ]  # fmt: skip
    return figures(("Gain", lines("Gain", x, y, [Line("", curve), Line("", [(0, 0), (1, 1)], light=True)]))) + table(
        ("tenth, riskiest first", "applicants", "bad", "bad rate", "bad found so far", "lift"), rows
    )


def tiers(study: Study) -> str:
    """What each tier holds on the test split, and the targets that the thresholds were chosen for."""
    policy, held = study.policy, study.facts["metrics"]["test"]["tiers"]
    bounds = (f"below {policy.low_below:.6g}", "between", f"{policy.high_from:.6g} and above")
    targets = (f"at most {policy.low_bad_rate:.1%}", "", f"at least {policy.high_bad_rate:.1%}")
    rows, rates, shares = [], [], []
    for name, bound, target in zip(TIERS, bounds, targets, strict=True):
        tier = held[name]
        size = tier["good"] + tier["bad"]
        rate = share(tier["bad"], size)
        rates.append(rate.value)
        shares.append(float(tier["share"]))
        interval = f"{rate.low:.1%} to {rate.high:.1%}" if size else NOTHING
        rows.append(
            (name, bound, target, f"{size:,}", f"{tier['share']:.1%}", number(tier["bad_rate"], ".1%"), interval)
        )
    series = [("share", shares), ("bad rate", rates)]
    axis = Axis("share, bad rate", 0, 1, percent=True)
    return (
        table(
            ("tier", "probability", "target bad rate", "applicants", "share", "bad rate", "95 % interval"),
            rows,
            words=3,
        )
        + paragraph("The thresholds meet the targets on the validation split; this is what they do on the test split.")
        + figures(("Tiers", bars("Share and bad rate of each tier", "tier", axis, list(TIERS), series)))
    )


def drift(study: Study) -> str:
    """PSI of the score and of every field, validation and test against fitting."""
    matrix, splits = study.data.matrix, study.splits
    rows = [("score", *(_psi_cell(study.probability, splits.fitting, other, None) for other in splits[1:]))]
    for column, field in enumerate(MODEL_FIELDS):
        categories = len(field.kind.values) if isinstance(field.kind, Category) else None
        cells = (_psi_cell(matrix[:, column], splits.fitting, other, categories) for other in splits[1:])
        rows.append((field.kind.label, *cells))
    for grouping in study.data.groups:
        if grouping.field.kind.protected:
            index = grouping.index.astype(np.float64)
            cells = (_psi_cell(index, splits.fitting, other, len(grouping.names)) for other in splits[1:])
            rows.append((f"{grouping.field.kind.label} (groups)", *cells))
    return paragraph(
        f"Usually read as: below {WORTH_A_LOOK} stable, up to {ANOTHER_POPULATION} worth a look, above it another "
        "population. Numbers are counted between the deciles of the fitting split, words one by one, missing values "
        f"apart. Chance alone gives about {by_chance(splits.fitting.size, splits.test.size):.3f} with ten bins. The "
        "splits are random parts of one file: this says that they are alike, and nothing about next year's applicants."
    ) + table(("", "validation", "test"), rows)


def field_effects(study: Study) -> str:
    """Partial dependence of every field the model sees."""
    found = effects(study.onnx, study.data.matrix[study.splits.test])
    highest = max((value for effect in found for value in effect.probability), default=1.0)
    axis = Axis("mean probability", 0, min(1.0, highest * 1.15), percent=True)
    return paragraph(
        "The mean probability of up to 300 test applicants if the field had each value, all else left as it is; "
        "derived features follow the field. Ticks above the axis are deciles of the test split, percentages under a "
        "word its share. All charts have the same scale."
    ) + figures(*(_effect_chart(effect, axis) for effect in found))


def _effect_chart(effect: Effect, axis: Axis) -> tuple[str, str]:
    kind = effect.field.kind
    title = f"Effect of {kind.label}"
    caption = kind.label
    if effect.missing is not None:
        caption += f" (missing in {effect.missing_share:.1%}: {effect.missing:.1%})"
    if isinstance(kind, Category):
        names = [f"{word}\n{part:.0%}" for word, part in zip(kind.values, effect.shares, strict=True)]
        return caption, bars(title, "", axis, names, [("", effect.probability)])
    points = list(zip(effect.values, effect.probability, strict=True))
    x = Axis.over(kind.unit, effect.values)
    inside = [value for value in effect.deciles if x.low <= value <= x.high]
    return caption, lines(title, x, axis, [Line("", points)], rug=inside)


def _field_row(study: Study, field: Field) -> tuple[str, ...]:
    kind = field.kind
    values = (
        ", ".join(kind.values) if isinstance(kind, Category) else f"{plain(kind.low)} to {plain(kind.high)} {kind.unit}"
    )
    if field not in MODEL_FIELDS:
        [grouping] = [grouping for grouping in study.data.groups if grouping.field == field]
        sizes = np.bincount(grouping.index, minlength=len(grouping.names)) / grouping.index.size
        largest = int(np.argmax(sizes))
        missing = sum(size for name, size in zip(grouping.names, sizes, strict=True) if name == MISSING)
        typical = f"{grouping.names[largest]} {sizes[largest]:.0%}"
        return kind.label, values, "no: protected", f"{missing:.1%}", typical
    column = study.data.matrix[:, MODEL_FIELDS.index(field)]
    present = column[~np.isnan(column)]
    typical = NOTHING
    if present.size and isinstance(kind, Category):
        counted = np.bincount(present.astype(np.int64), minlength=len(kind.values)) / present.size
        typical = f"{list(kind.values)[int(np.argmax(counted))]} {counted.max():.0%}"
    elif present.size:
        low, middle, high = np.quantile(present, [0.05, 0.5, 0.95]).tolist()
        typical = f"{plain(middle)} ({plain(low)} to {plain(high)})"
    demand = DIRECTIONS[kind.risk] if not (isinstance(kind, Category) and kind.risk) else _worded(kind)
    return kind.label, values, f"yes; {demand}", f"{np.isnan(column).mean():.1%}", typical


def _worded(kind: Category) -> str:
    words = list(kind.values) if kind.risk > 0 else list(kind.values)[::-1]
    return "risk never falls in the order " + ", ".join(words)


def _psi_cell(values: npt.NDArray[np.floating[Any]], fitting: Rows, other: Rows, categories: int | None) -> str:
    found = psi(values[fitting], values[other], categories)
    mark = " (another population)" if found > ANOTHER_POPULATION else " (worth a look)" if found >= WORTH_A_LOOK else ""
    return f"{found:.4f}{mark}"


def _cumulative(bad: npt.NDArray[np.bool_], probability: Curve) -> tuple[Curve, Curve, Curve]:
    """At each distinct probability, ascending: the shares of the bad and of the good at or below it."""
    order = np.argsort(probability, kind="stable")
    ranked, is_bad = probability[order], bad[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    return ranked[last], (np.cumsum(is_bad) / is_bad.sum())[last], (np.cumsum(~is_bad) / (~is_bad).sum())[last]


def _thinned(size: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, size - 1, min(size, MOST_POINTS)).astype(np.int64))
