"""GET /drift for people: the report of serving/drift_report.py as a page with charts, like the model's own report.

A page of one file, without scripts, that every text is escaped in by model/page.py and model/charts.py.
"""

from model.charts import Axis, bars, intervals
from model.intervals import Interval
from model.page import NOTHING, Section, figures, heading, number, page, paragraph, table
from model.psi import ANOTHER_POPULATION, WORTH_A_LOOK
from preprocessing.encode import MODEL_FIELDS
from serving.drift_report import ALL, FEWEST, Distribution, DriftReport, Shift, WindowReport
from serving.realised import Realised

WORST = 3  # fields whose distribution is drawn
MOVED = 0.1  # of all values, missing or outside more or less often than in training: the alert's threshold
_LABELS = {field.name: field.kind.label for field in MODEL_FIELDS}
_TITLES = {"1h": "The last hour", "24h": "The last 24 hours"}


def drift_page(report: DriftReport) -> bytes:
    """The page in UTF-8."""
    lead = (
        f"Model {report.model_version}: how far the applications that it scores have moved away from the "
        f"{report.training_rows:,} of its training, counted over all workers."
    )
    sections = [
        Section(f"window-{name}", _TITLES.get(name, name), _window(window)) for name, window in report.windows.items()
    ]
    if report.realised:
        sections.append(Section("outcomes", "What became of decisions", _outcomes(report.realised)))
    return page("Drift", lead, [*sections, Section("reading", "How to read this", _reading())])


def _window(window: WindowReport) -> str:
    everybody = window.channels[ALL]
    channels = table(
        ["Channel", "Reading", "Applications", "PSI of the score"],
        [
            [name, _verdict(channel.rows, channel.score), f"{channel.rows:,}", number(channel.score.psi, ".3f")]
            for name, channel in window.channels.items()
        ],
        words=2,
    )
    says = paragraph(f"{everybody.says[0].upper()}{everybody.says[1:]}.")
    if not everybody.rows:
        return says + channels
    worst = sorted(everybody.fields, key=lambda name: -(everybody.fields[name].psi or 0))
    return "".join(
        [
            says,
            channels,
            heading("What to expect"),
            table(
                ["Before any outcome is known", "Expected"],
                [
                    ["Bad rate", number(window.expected_bad_rate, ".2%")],
                    ["AUC", number(window.expected_auc, ".3f")],
                ],
            ),
            heading("Fields, worst first"),
            table(
                ["Field", "Reading", "PSI", "Missing", "Outside"],
                [_row(name, everybody.rows, everybody.fields[name]) for name in worst],
                words=2,
            ),
            figures(
                ("PSI by field; dotted: 0.1 and 0.25", _psi_chart(worst, everybody.fields)),
                ("Score", _distribution("Score", window.score)),
                *((_LABELS[name], _distribution(_LABELS[name], window.fields[name])) for name in worst[:WORST]),
            ),
        ]
    )


def _outcomes(known: Realised) -> str:
    if not known.rows:
        return paragraph("No outcome of a decision of this model has been told (POST /outcomes).")
    return table(
        [f"Of {known.rows:,} decisions whose outcome is known", "Expected", "Became"],
        [
            ["Bad rate", number(known.expected_bad_rate, ".2%"), number(known.bad_rate, ".2%")],
            ["AUC", number(known.expected_auc, ".3f"), number(known.auc, ".3f")],
        ],
    )


def _row(name: str, rows: int, shift: Shift) -> list[str]:
    """Of a field; the shares are told in points, less what they were in training."""
    shares = [
        NOTHING if share is None else f"{round(share * 100, 1) + 0.0:+.1f}"  # + 0.0: no minus before nothing
        for share in (shift.missing_shift, shift.outside_shift)
    ]
    return [_LABELS[name], _verdict(rows, shift), number(shift.psi, ".3f"), *shares]


def _verdict(rows: int, shift: Shift) -> str:
    """What a number may be taken for: few applications say nothing, however large it is."""
    if rows < FEWEST:
        return "too few to tell"
    found = []
    if shift.stands_out and shift.psi is not None:
        found.append("another population" if shift.psi > ANOTHER_POPULATION else "worth a look")
    for word, share in (("missing", shift.missing_shift), ("outside", shift.outside_shift)):
        if share is not None and abs(share) > MOVED:
            found.append(f"{word} {'more' if share > 0 else 'less'} often")
    return ", ".join(found) or "as in training"


def _psi_chart(worst: list[str], fields: dict[str, Shift]) -> str:
    values = [(name, fields[name].psi or 0.0) for name in worst]
    axis = Axis.over("PSI", [*(value for _, value in values), ANOTHER_POPULATION], zero=True)
    rows = [(_LABELS[name], Interval(value, 0.0, value)) for name, value in values]
    return intervals("PSI by field", axis, rows, (WORTH_A_LOOK, ANOTHER_POPULATION))


def _distribution(title: str, of: Distribution) -> str:
    """Bars side by side: training, and now."""
    axis = Axis.over("share", [*of.training, *of.now], percent=True, zero=True)
    names = [name.replace(" ", "\n", 1) for name in of.bins]
    return bars(title, "", axis, names, [("training", of.training), ("now", of.now)])


def _reading() -> str:
    return paragraph(
        f"PSI compares two distributions: below {WORTH_A_LOOK} they are alike, up to {ANOTHER_POPULATION} the "
        "difference is worth a look, above it these are other people than the model knows. Few applications differ by "
        f"chance: what does not stand out from it is not marked, and of fewer than {FEWEST} nothing is."
    ) + paragraph(
        "Missing and Outside are shares, in percentage points, of values that are missing or outside the range of "
        "training, less what they were there. The score's distribution is that of the probability, in bins that each "
        "held a tenth of the training. The expected bad rate and AUC are what the probabilities promise, as long as "
        "they are calibrated. A window ends with the current hour, which has only begun."
    )
