"""The report's section on groups of applicants: who is approved, whose risk is seen, and whether it is right."""

import math

from model.charts import Axis, intervals
from model.fairness import FEWEST, FOUR_FIFTHS, Audit, Group
from model.intervals import Interval
from model.page import NOTHING, figures, heading, paragraph, table
from model.study import Study

HEADER = (
    "group", "rows", "approved", "ratio", "true positive rate", "false positive rate", "mean probability", "bad rate",
)  # fmt: skip


def fairness(study: Study) -> str:
    """Selection, errors and calibration by group, for every protected or audited field."""
    words = paragraph(
        "Measured on the test split with fairlearn. Approved means low or medium: whom a lender would accept who "
        "declines tier high. Ratio is a group's approval rate to that of the group approved most often. True positive "
        "rate is the share of the bad in tier high, false positive rate the share of the good. All intervals hold 95 % "
        "(Wilson; of a ratio: Katz). Differences between groups may have lawful reasons; they are shown so that "
        "somebody asks."
    )
    audits = [_audited(audit) for audit in study.audits]
    return words + "".join(audits) if audits else paragraph("The schema marks no field as protected or to be audited.")


def _audited(audit: Audit) -> str:
    kind = "protected, never given to the model" if audit.protected else "given to the model, audited"
    rows = [
        (_marked(group), f"{group.rows}", _interval(group.approved),
         _ratio(audit, group), _interval(group.caught), _interval(group.declined_good), f"{group.probability:.1%}",
         _interval(group.bad_rate))
        for group in audit.groups
    ]  # fmt: skip
    small = f"* fewer than {FEWEST} applicants: says next to nothing. " if any(g.is_small for g in audit.groups) else ""
    bad = intervals(
        f"Bad rates by {audit.label}",
        Axis("bad rate", 0, 1, percent=True),
        [(_marked(group), group.bad_rate) for group in audit.groups],
    )
    return (
        heading(f"{audit.label} ({kind})")
        + table(HEADER, rows)
        + paragraph(f"{small}{verdict(audit)}")
        + figures(("Approved (dotted: four fifths of the highest rate)", approval_chart(audit)), ("Bad rate", bad))
    )


def approval_chart(audit: Audit) -> str:
    """An SVG: each group's approval rate with its interval, and where four fifths of the highest one lie."""
    highest = next(group.approved.value for group in audit.groups if group.name == audit.compared_with)
    return intervals(
        f"Approval rates by {audit.label}",
        Axis("approved", 0, 1, percent=True),
        [(_marked(group), group.approved) for group in audit.groups],
        references=[highest * FOUR_FIFTHS],
    )


def verdict(audit: Audit) -> str:
    worst = audit.worst
    if worst is None:
        return "There are not two groups large enough to compare."
    sentence = (
        f"{worst.name!r} is approved {worst.ratio.value:.2f} times as often as {audit.compared_with!r} "
        f"(95 % interval {worst.ratio.low:.2f} to {worst.ratio.high:.2f}): "
        f"{'within' if audit.meets_four_fifths else 'OUTSIDE'} the four-fifths rule."
        if math.isfinite(worst.ratio.value)
        else f"{worst.name!r} is never approved: OUTSIDE the four-fifths rule."
    )
    skewed = [repr(group.name) for group in audit.groups if not group.is_small and not group.is_calibrated]
    if not skewed:
        return f"{sentence} In every group large enough the mean probability lies within the interval of the bad rate."
    return f"{sentence} The mean probability lies outside the interval of the bad rate for {', '.join(skewed)}."


def _marked(group: Group) -> str:
    return f"{group.name}\N{NO-BREAK SPACE}*" if group.is_small else group.name


def _ratio(audit: Audit, group: Group) -> str:
    if group.name == audit.compared_with:
        return "compared with"
    value, low, high = group.ratio
    return f"{value:.2f}\n{low:.2f} to {high:.2f}" if math.isfinite(value) else NOTHING


def _interval(measured: Interval) -> str:
    value, low, high = measured
    return f"{value:.1%}\n{100 * low:.1f} to {high:.1%}" if math.isfinite(value) else NOTHING
