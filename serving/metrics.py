"""Every metric of the service, declared once, and counted so that counting costs a request next to nothing.

What happened is counted some dozens of requests at a time: that is far cheaper than a little after each, when nothing
of the code is in the processor's caches. Prometheus hears of it a few times a second, before a scrape and at the end.
With several workers it adds up through files in PROMETHEUS_MULTIPROC_DIR, which BentoML sets before a worker starts.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from prometheus_client import Gauge
from prometheus_client.multiprocess import mark_process_dead

from decisions.log import Log
from decisions.record import Channel
from model.artifact import Artifact
from model.policy import FEW, TIERS
from preprocessing.encode import FIELDS
from serving import VERSION
from serving.gathered import Counter, Histogram, Level
from serving.scorer import Scores

FLUSH_EVERY_S = 0.25
SMALL = 64  # rows
AT_ONCE = 64  # requests: more would hold up those that come meanwhile
LOOK_EVERY_S = 2.0  # at the process itself, and for workers that are dead: both cost more
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 1024, 16_384, 1_048_576)
_DISTANCES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # between two probabilities
_PROBABILITIES = tuple(step / 20 for step in range(1, 21))
_lock = threading.Lock()  # bulk bodies are counted by threads of their own


REQUESTS = Counter(
    "riskline_requests_total", "Requests answered, by route, status and channel; api where none is named.",
    ["route", "status", "channel"],
)  # fmt: skip
REJECTED = Counter("riskline_rejected_total", "Whole requests answered with an error, by its code.", ["reason"])
KEYS = Counter(
    "riskline_key_requests_total", "Requests by the id of their key, and what became of them at the gate.",
    ["key", "result"],
)  # fmt: skip
IN_PROGRESS = Level("riskline_requests_in_progress", "Requests whose bodies are whole and that have no answer yet.")
DURATION = Histogram(
    "riskline_request_duration_seconds", "From the whole body's arrival to the answer, by route.", ["route"], _SECONDS
)
STAGES = Histogram("riskline_stage_duration_seconds", "Time in a stage, for each batch scored.", ["stage"], _SECONDS)
ROWS = Histogram("riskline_batch_rows", "Applications scored in one call of the model.", [], _ROWS)
WAITS = Histogram(
    "riskline_queue_wait_seconds",
    "From an application's decoding to the start of the turn that scores it.",
    [],
    _SECONDS,
)
SCORES = Counter("riskline_scores_total", "Applications scored, by tier.", ["tier"])
PROBABILITY = Histogram("riskline_probability", "The probabilities of applications scored.", [], _PROBABILITIES)
REASONS = Counter("riskline_reasons_total", "Reasons given with scores, by the policy's code.", ["code"])
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
    "riskline_promotions_total",
    "Changed models that a worker has taken up, and changes of any kind that it has refused.",
    ["result"],
)
RETRIES = Counter("riskline_store_retries_total", "Puts that the store had no room for at first.", [])
CPU = Counter("riskline_process_cpu_seconds_total", "Processor time of all workers.", [])
STARTS = Counter("riskline_worker_starts_total", "Workers that have started, the first ones too.", [])
LOST_LINES = Counter("riskline_log_lines_lost_total", "Lines of the log that nobody read in time.", [])
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
TRAINED = Gauge(
    "riskline_model_trained_timestamp_seconds", "When the model being served was saved to where it is served from.",
    multiprocess_mode="livemax",
)  # fmt: skip
BUILD = Gauge(
    "riskline_build_info", "1 for each version of the service that runs.", ["version"], multiprocess_mode="livemax"
)
UNRECORDED = Gauge("riskline_unrecorded_rows", "Decisions that wait for the disk.", multiprocess_mode="livesum")
CHAINED = Gauge(
    "riskline_chain_records", "Decisions in the chains that are being written now.", multiprocess_mode="livesum"
)
WORKERS = Gauge("riskline_workers", "Workers that run.", multiprocess_mode="livesum")
WANTED = Gauge("riskline_workers_wanted", "Workers that should run.", multiprocess_mode="livemax")
READY = Gauge("riskline_ready", "1 where every worker that runs is ready, else 0.", multiprocess_mode="livemin")
MEMORY = Gauge(
    "riskline_process_resident_memory_bytes", "Memory of all workers; what they share counts once for each.",
    multiprocess_mode="livesum",
)  # fmt: skip
OPEN_FILES = Gauge(
    "riskline_process_open_files",
    "Open files and connections of the worker that has most.",
    multiprocess_mode="livemax",
)

_GATHERED = (
    REQUESTS,
    REJECTED,
    KEYS,
    IN_PROGRESS,
    DURATION,
    STAGES,
    ROWS,
    WAITS,
    SCORES,
    PROBABILITY,
    REASONS,
    REFUSED,
    WARNINGS,
    SHADOW,
    SHADOW_DIFFERENCE,
    SHADOW_DROPPED,
    PROMOTIONS,
    RETRIES,
    CPU,
    STARTS,
    LOST_LINES,
)
_TIERS = [(tier,) for tier in TIERS]
_KNOWN = {field.name for field in FIELDS}
_answered: deque[tuple[str, int, float, Channel, str]] = deque()  # requests to be counted
_asked: deque[tuple[str, str]] = deque()  # keys and results to be counted
_scored: deque[tuple[Scores, Mapping[str, float], Sequence[float]]] = deque()  # small batches to be counted


def count_request(route: str, status: int, seconds: float, channel: Channel = "api", error: str = "") -> None:
    """Counts an answered request; `error` is the code of the error that it was answered with, if it was."""
    _answered.append((route, status, seconds, channel, error))
    if len(_answered) >= AT_ONCE:
        with _lock:
            _count_what_waits()


def count_key(key: str, result: str) -> None:
    """Counts a request that brought a known key: allowed, forbidden, or the code of the limit that it met."""
    _asked.append((key, result))


def count_scores(scores: Scores, stages: Mapping[str, float], waits: Sequence[float] = ()) -> None:
    """Counts a batch, and how long some of it waited for its turn. Large ones are not kept until the next flush."""
    if len(scores) <= SMALL:
        _scored.append((scores, stages, waits))
    else:
        with _lock:
            _count_scores(scores, stages, waits)


def _count_what_waits() -> None:
    while _answered:
        _count_request(*_answered.popleft())
    while _asked:
        KEYS.add(_asked.popleft())
    while _scored:
        _count_scores(*_scored.popleft())


def _count_request(route: str, status: int, seconds: float, channel: Channel, error: str) -> None:
    REQUESTS.add((route, str(status), channel))
    DURATION.observe((route,), seconds)
    if error:
        REJECTED.add((error,))


def _count_scores(scores: Scores, stages: Mapping[str, float], waits: Sequence[float]) -> None:
    """Field names that a caller made up become "other": labels must stay few."""
    reasons = scores.reasoning.codes(scores.reasons, scores.refused) if scores.reasons else ()
    probability = scores.probability
    if scores.refused:
        probability = [value for row, value in enumerate(probability) if row not in scores.refused]
    ROWS.observe((), len(scores))
    for wait in waits:
        WAITS.observe((), wait)
    for stage, seconds in stages.items():
        STAGES.observe((stage,), seconds)
    if len(probability) > FEW:
        PROBABILITY.observe_many((), np.array(probability))
    else:
        for value in probability:
            PROBABILITY.observe((), value)
    REASONS.add_each(reasons)
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
    UNRECORDED.set(state.waiting)
    CHAINED.set(state.height)
    with _lock:
        RETRIES.reach(state.retries)


def show_worker(wanted: int) -> None:
    """Tells that this is a worker, one of `wanted`."""
    WORKERS.set(1)
    WANTED.set(wanted)
    BUILD.labels(VERSION).set(1)
    with _lock:
        STARTS.add(())


def show_model(artifact: Artifact, saved: float, before: Artifact | None = None) -> None:
    """Tells which model this worker serves, in the place of the one before; `saved` in seconds since 1970."""
    if before is not None:
        MODEL.labels(before.model_version, before.policy_version).set(0)
    MODEL.labels(artifact.model_version, artifact.policy_version).set(1)
    TRAINED.set(saved)


def show_ready(ready: bool) -> None:
    READY.set(ready)


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


def count_recorded(seconds: float) -> None:
    """Counts how long a batch's decisions took to be on disk."""
    with _lock:
        STAGES.observe(("record",), seconds)


def count_lost_line() -> None:
    with _lock:
        LOST_LINES.add(())


def flush() -> None:
    with _lock:
        _count_what_waits()
        for metric in _GATHERED:
            metric.flush()


def look_at_process() -> None:
    """Says what this worker uses, and takes out what workers said that are dead."""
    forget_the_dead()
    with _lock:
        CPU.reach(time.process_time())
    with suppress(OSError):  # only Linux has these files
        MEMORY.set(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        OPEN_FILES.set(sum(1 for _ in Path("/proc/self/fd").iterdir()))


def forget_the_dead() -> None:
    """A worker that was killed serves nothing any more."""
    for file in Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was faster
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:  # it lives, and is somebody else's
            continue
