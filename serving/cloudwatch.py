"""Metrics as lines on stdout in CloudWatch's embedded metric format, for where nobody can scrape /metrics: CloudWatch
takes them out of the log of a SageMaker endpoint.

Once a minute one worker says for all of them what has been counted since the last line, and how things are now. What
has been said is kept beside the counts, so that whichever worker is next goes on from there.
"""

import asyncio
import fcntl
import json
import math
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from model.policy import TIERS
from serving.gathered import Sample, samples
from serving.logs import Lines

EVERY_S = 60.0  # CloudWatch's own step; finer ones cost more


class Metric(NamedTuple):
    """One of CloudWatch's as the sum of the samples of `name` whose labels begin with those in `labels`."""

    unit: str
    name: str
    labels: Mapping[str, str] = {}


COUNTED = {
    "Requests": Metric("Count", "riskline_requests_total"),
    "ClientErrors": Metric("Count", "riskline_requests_total", {"status": "4"}),
    "ServerErrors": Metric("Count", "riskline_requests_total", {"status": "5"}),
    "BrokenRules": Metric("Count", "riskline_refused_total"),
    "Warnings": Metric("Count", "riskline_warnings_total"),
    "WorkerStarts": Metric("Count", "riskline_worker_starts_total"),
    **{f"{tier.title()}Risk": Metric("Count", "riskline_scores_total", {"tier": tier}) for tier in TIERS},
}
_OF_ALL = {"channel": "all", "window": "24h"}
NOW = {
    "Workers": Metric("Count", "riskline_workers"),
    "Ready": Metric("None", "riskline_ready"),
    "Memory": Metric("Bytes", "riskline_process_resident_memory_bytes"),
    "StoreLag": Metric("Seconds", "riskline_store_lag_seconds"),
    "DriftRows": Metric("Count", "riskline_drift_rows", _OF_ALL),
    "ScoreDrift": Metric("None", "riskline_drift_psi", {"of": "score", **_OF_ALL}),
    "ExpectedBadRate": Metric("None", "riskline_expected_bad_rate", {"window": "24h"}),
}
DURATIONS = {"DurationP50": 0.5, "DurationP99": 0.99}  # of requests answered since the last line, in seconds
_BUCKET = "riskline_request_duration_seconds_bucket"


class CloudWatch:
    """Part of a worker's housekeeping; `folder` is where all workers' counts are."""

    def __init__(self, namespace: str, lines: Lines, folder: Path) -> None:
        self._namespace, self._lines = namespace, lines
        self._said, self._lock = folder / "cloudwatch.json", folder / "cloudwatch.lock"
        self._looked = time.monotonic()

    async def look(self) -> None:
        """One round: a line if it is time for one."""
        if time.monotonic() - self._looked >= EVERY_S:
            self._looked = time.monotonic()
            await asyncio.to_thread(self.say, EVERY_S * 0.9)

    def say(self, not_within_s: float = 0) -> None:
        """Adds a line with what all workers have flushed, unless one of them did within so many seconds."""
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            said = json.loads(self._said.read_text()) if self._said.exists() else {}
            now = time.time()
            if 0 <= now - said.get("timestamp", 0) < not_within_s:
                return
            found = samples()
            totals = {name: _sum(found, metric) or 0.0 for name, metric in COUNTED.items()}
            totals |= {f"<={end}": value for end, value in _ends(found).items()}
            # kept before it is said: a worker that is killed here says too little, not everything again
            aside = self._said.with_suffix(".new")
            aside.write_text(json.dumps({"timestamp": now, "totals": totals}))
            aside.rename(self._said)
        before: dict[str, float] = said.get("totals", {})
        more = {name: _more(value, before.get(name, 0)) for name, value in totals.items()}
        counts = {float(name[2:]): value for name, value in more.items() if name.startswith("<=")}
        values = {
            **{name: more[name] for name in COUNTED},
            **{name: value for name, share in DURATIONS.items() if (value := _quantile(counts, share)) is not None},
            **{name: value for name, metric in NOW.items() if (value := _sum(found, metric)) is not None},
        }
        units = {name: metric.unit for name, metric in (COUNTED | NOW).items()} | dict.fromkeys(DURATIONS, "Seconds")
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [[]],
            "Metrics": [{"Name": name, "Unit": units[name]} for name in values],
        }
        self._lines.add("metrics", _aws={"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}, **values)


def _more(now: float, before: float) -> float:
    """How much a counter has grown; one that is lower than before began again."""
    return now - before if now >= before else now


def _sum(found: Collection[Sample], metric: Metric) -> float | None:
    """None where there is no sample, or one of nobody."""
    of_it = [
        sample.value
        for sample in found
        if sample.name == metric.name
        and all(sample.labels[label].startswith(start) for label, start in metric.labels.items())
    ]
    total = sum(of_it)
    return total if of_it and math.isfinite(total) else None


def _ends(found: Collection[Sample]) -> dict[str, float]:
    """How many requests took at most so long, by the buckets' upper ends."""
    ends: defaultdict[str, float] = defaultdict(float)
    for sample in found:
        if sample.name == _BUCKET:
            ends[sample.labels["le"]] += sample.value
    return ends


def _quantile(counts: Mapping[float, float], share: float) -> float | None:
    """The time that a share of the requests took at most, evenly spread within a bucket as Prometheus has it."""
    total = max(counts.values(), default=0)
    lower = below = 0.0
    for end, count in sorted(counts.items()):
        if total and count >= share * total:
            return lower if math.isinf(end) else lower + (end - lower) * (share * total - below) / (count - below)
        lower, below = end, count
    return None
