"""What GET /drift says, as metrics: of all workers together, as the one that looked last found it."""

from prometheus_client import Gauge

from serving.drift_report import NOBODY, DriftReport

DRIFT_PSI = Gauge(
    "riskline_drift_psi", "PSI of the score or a field against training, by channel and window.",
    ["of", "channel", "window"], multiprocess_mode="mostrecent",
)  # fmt: skip
DRIFT_ROWS = Gauge(
    "riskline_drift_rows", "Applications that the drift metrics are about, by channel and window.",
    ["channel", "window"], multiprocess_mode="mostrecent",
)  # fmt: skip
DRIFT_MISSING = Gauge(
    "riskline_drift_missing_shift", "Share of missing values less that in training.",
    ["field", "channel", "window"], multiprocess_mode="mostrecent",
)  # fmt: skip
DRIFT_OUTSIDE = Gauge(
    "riskline_drift_outside_shift", "Share of values outside the training range less that in training.",
    ["field", "channel", "window"], multiprocess_mode="mostrecent",
)  # fmt: skip
EXPECTED_BAD_RATE = Gauge(
    "riskline_expected_bad_rate", "Bad rate that the probabilities promise, by window.",
    ["window"], multiprocess_mode="mostrecent",
)  # fmt: skip
EXPECTED_AUC = Gauge(
    "riskline_expected_auc", "AUC that the probabilities promise, by window.",
    ["window"], multiprocess_mode="mostrecent",
)  # fmt: skip
REALISED = Gauge(
    "riskline_realised_rows", "Decisions of the running model whose outcome is known, the newest told.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
REALISED_BAD_RATE = Gauge(
    "riskline_realised_bad_rate", "Bad rate of those, by what it is: what was expected of them, or what became.",
    ["what"], multiprocess_mode="mostrecent",
)  # fmt: skip
REALISED_AUC = Gauge(
    "riskline_realised_auc", "AUC of those, by what it is: what was expected of them, or what became.",
    ["what"], multiprocess_mode="mostrecent",
)  # fmt: skip

_shown: set[str] = set()  # channels with drift metrics


def show_drift(report: DriftReport) -> None:
    """Tells how far applications have moved; of no rows, as in a channel that fell silent, that is NaN."""
    for window, seen in report.windows.items():
        EXPECTED_BAD_RATE.labels(window).set(_number(seen.expected_bad_rate))
        EXPECTED_AUC.labels(window).set(_number(seen.expected_auc))
        _shown.update(seen.channels)
        for channel in sorted(_shown):
            of = seen.channels.get(channel, NOBODY)
            DRIFT_ROWS.labels(channel, window).set(of.rows)
            DRIFT_PSI.labels("score", channel, window).set(_number(of.score.psi))
            for field, shift in of.fields.items():
                DRIFT_PSI.labels(field, channel, window).set(_number(shift.psi))
                DRIFT_MISSING.labels(field, channel, window).set(_number(shift.missing_shift))
                DRIFT_OUTSIDE.labels(field, channel, window).set(_number(shift.outside_shift))

    if known := report.realised:
        REALISED.set(known.rows)
        for what, bad_rate, auc in (
            ("expected", known.expected_bad_rate, known.expected_auc),
            ("became", known.bad_rate, known.auc),
        ):
            REALISED_BAD_RATE.labels(what).set(_number(bad_rate))
            REALISED_AUC.labels(what).set(_number(auc))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
