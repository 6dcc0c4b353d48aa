"""Metrics whose changes wait in plain dicts, so that counting costs a request next to nothing.

`flush` hands them to prometheus_client. Whoever counts from several threads holds a lock of its own.
"""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import prometheus_client
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample as Sample


class Counter:
    """A counter whose increments wait for `flush`."""

    def __init__(self, name: str, documentation: str, labels: list[str]) -> None:
        self.metric = prometheus_client.Counter(name, documentation, labels)
        self._waiting: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._reached = 0.0

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        self._waiting[labels] += amount

    def add_each(self, many: Iterable[tuple[str, ...]]) -> None:
        waiting = self._waiting
        for labels in many:
            waiting[labels] += 1

    def reach(self, total: float) -> None:
        """Adds what is missing to a total that is counted elsewhere."""
        self.add((), total - self._reached)
        self._reached = total

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, defaultdict(float)
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


class Level:
    """A number that goes up and down: the sum of what each worker that lives has now."""

    def __init__(self, name: str, documentation: str) -> None:
        self.metric = prometheus_client.Gauge(name, documentation, multiprocess_mode="livesum")
        self.value = 0

    def flush(self) -> None:
        self.metric.set(self.value)


def samples() -> list[Sample]:
    """What has been flushed by now: by all workers of the server, or by this process where it is the only one."""
    registry = prometheus_client.REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = prometheus_client.CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return [sample for family in registry.collect() for sample in family.samples]
