"""Every metric of the service, declared once, and counted so that counting costs a request next to nothing.

Increments wait in plain dicts and reach prometheus_client a few times a second, before a scrape and at the end. With
several workers it adds them up through files in PROMETHEUS_MULTIPROC_DIR, which BentoML sets before a worker starts.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import prometheus_client
from prometheus_client import Gauge
from prometheus_client.multiprocess import mark_process_dead

from decisions.log import Log
from model.artifact import Artifact
from model.policy import TIERS
from preprocessing.encode import FIELDS
from serving.drift_report import NOBODY, DriftReport
from serving.scorer import Scores

FLUSH_EVERY_S = 0.25
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 1024, 16_384, 1_048_576)
_DISTANCES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # between two probabilities
_lock = threading.Lock()  # bulk bodies are counted by threads of their own


class Counter:
    """A counter whose increments wait for `flush`."""

    def __init__(self, name: str, documentation: str, labels: list[str]) -> None:
        self.metric = prometheus_client.Counter(name, documentation, labels)
        self._waiting: Tally[tuple[str, ...]] = Tally()
        self._reached = 0

    def add(self, labels: tuple[str, ...], amount: int = 1) -> None:
        self._waiting[labels] += amount

    def reach(self, total: int) -> None:
        """Adds what is missing to a total that is counted elsewhere."""
        self.add((), total - self._reached)
        self._reached = total

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, Tally()
        for labels, amount in waiting.items():
            (self.metric.labels(*labels) if labels else self.metric).inc(amount)


class Histogram:
    """A histogram whose observations wait for `flush`."""

    def __init__(self, name: str, documentation: str, labels: list[str], buckets: tuple[float, ...]) -> None:
        self.metric = prometheus_client.Histogram(name, documentation, labels, buckets=buckets)
        self._bounds = buckets
        self._waiting: dict[tuple[str, ...], list[float]] = {}  # a count for each bucket, then the sum

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        waiting = self._waiting.get(labels)
        if waiting is None:
            waiting = self._waiting[labels] = [0] * (len(self._bounds) + 1) + [0.0]
        waiting[bisect_left(self._bounds, value)] += 1
        waiting[-1] += value

    def observe_many(self, labels: tuple[str, ...], values: npt.NDArray[np.float64]) -> None:
        waiting = self._waiting.setdefault(labels, [0] * (len(self._bounds) + 1) + [0.0])
        for bucket, count in enumerate(np.bincount(np.searchsorted(self._bounds, values)).tolist()):
            waiting[bucket] += count
        waiting[-1] += float(values.sum())

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for labels, (*counts, total) in waiting.items():
            child = self.metric.labels(*labels) if labels else self.metric
            child._sum.inc(total)  # prometheus_client has no public way to add many observations at once
            for bucket, count in zip(child._buckets, counts, strict=True):
                if count:
                    bucket.inc(count)


REQUESTS = Counter("riskline_requests_total", "Requests answered, by route and status.", ["route", "status"])
DURATION = Histogram(
    "riskline_request_duration_seconds", "From the whole body's arrival to the answer, by route.", ["route"], _SECONDS
)
STAGES = Histogram("riskline_stage_duration_seconds", "Time in a stage, for each batch scored.", ["stage"], _SECONDS)
ROWS = Histogram("riskline_batch_rows", "Applications scored in one call of the model.", [], _ROWS)
SCORES = Counter("riskline_scores_total", "Applications scored, by tier.", ["tier"])
REFUSED = Counter(
    "riskline_refused_total", "Broken rules in refused applications, by field and rule.", ["field", "rule"]
)
WARNINGS = Counter("riskline_warnings_total", "Warnings given with scores, by field and code.", ["field", "code"])
SHADOW = Counter(
    "riskline_shadow_scores_total", "Applications that the challenger has scored too, by the served tier and its own.",
    ["served", "challenger"],
)  # fmt: skip
SHADOW_DIFFERENCE = Histogram(
    "riskline_shadow_difference", "Distance of the challenger's probability from the served one.", [], _DISTANCES
)
SHADOW_DROPPED = Counter(
    "riskline_shadow_dropped_total", "Applications lost to the challenger: waiting, failed, or scored and unrecorded.",
    ["why"],
)  # fmt: skip
PROMOTIONS = Counter(
    "riskline_promotions_total", "Promoted models that a worker has taken up, or refused to.", ["result"]
)
RETRIES = Counter("riskline_store_retries_total", "Puts that the store had no room for at first.", [])
# of the machine, whichever of its workers has looked last
LAG = Gauge(
    "riskline_store_lag_seconds", "How long the oldest decision that the store lacks has waited for it.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
BACKLOG = Gauge(
    "riskline_store_backlog_bytes", "About how many bytes of decisions wait for the store.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
CONFLICTS = Gauge(
    "riskline_store_conflicts", "Decisions whose id stood for another machine's decision in the store.",
    multiprocess_mode="mostrecent",
)  # fmt: skip
MODEL = Gauge(
    "riskline_model_info", "1 for the model and policy being served, 0 for those served before.",
    ["model_version", "policy_version"], multiprocess_mode="livemax",
)  # fmt: skip
# of all workers together, as the one that looked last found it
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

_GATHERED = (
    REQUESTS,
    DURATION,
    STAGES,
    ROWS,
    SCORES,
    REFUSED,
    WARNINGS,
    SHADOW,
    SHADOW_DIFFERENCE,
    SHADOW_DROPPED,
    PROMOTIONS,
    RETRIES,
)
_TIERS = [(tier,) for tier in TIERS]
_KNOWN = {field.name for field in FIELDS}
_shown: set[str] = set()  # channels with drift metrics


def count_request(route: str, status: int, seconds: float) -> None:
    with _lock:
        REQUESTS.add((route, str(status)))
        DURATION.observe((route,), seconds)


def count_scores(scores: Scores, stages: Mapping[str, float]) -> None:
    """Counts a batch. Field names that a caller made up become "other": labels must stay few."""
    with _lock:
        ROWS.observe((), len(scores))
        for stage, seconds in stages.items():
            STAGES.observe((stage,), seconds)
        for index, tier in enumerate(_TIERS):
            if amount := scores.tier.count(index):
                SCORES.add(tier, amount)
        for row, refused in scores.refused.items():
            SCORES.add(_TIERS[scores.tier[row]], -1)  # a refused row's tier means nothing
            for problem in refused.detail:
                field = problem.field if problem.field in _KNOWN or not problem.field else "other"
                REFUSED.add((field, problem.rule))
        for warnings in scores.warnings.values():
            for warning in warnings:
                WARNINGS.add((warning.field, warning.code))


def look_at(log: Log) -> None:
    """Says how the store of decisions is."""
    state = log.state()
    LAG.set(state.behind_s)
    BACKLOG.set(state.backlog_bytes)
    CONFLICTS.set(state.conflicts)
    with _lock:
        RETRIES.reach(state.retries)


def show_model(artifact: Artifact, before: Artifact | None = None) -> None:
    """Tells which model this worker serves, in the place of the one before."""
    if before is None:
        _forget_the_dead()
    else:
        MODEL.labels(before.model_version, before.policy_version).set(0)
    MODEL.labels(artifact.model_version, artifact.policy_version).set(1)


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


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def count_shadow(pairs: Mapping[tuple[str, str], int], distances: npt.NDArray[np.float64]) -> None:
    """Counts what a challenger says: pairs of the served tier and its own, and how far its probabilities are away."""
    with _lock:
        for pair, amount in pairs.items():
            SHADOW.add(pair, amount)
        SHADOW_DIFFERENCE.observe_many((), distances)


def count_shadow_dropped(why: str, rows: int) -> None:
    with _lock:
        SHADOW_DROPPED.add((why,), rows)


def count_promotion(result: str) -> None:
    with _lock:
        PROMOTIONS.add((result,))


def _forget_the_dead() -> None:
    """A worker that was killed serves nothing any more."""
    for file in Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:  # it lives, and is somebody else's
            continue


def count_recorded(seconds: float) -> None:
    """Counts how long a batch's decisions took to be on disk."""
    with _lock:
        STAGES.observe(("record",), seconds)


def flush() -> None:
    with _lock:
        for metric in _GATHERED:
            metric.flush()
