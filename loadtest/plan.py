"""How hard the service is loaded and what it must hold, as data. No locust in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

SECONDS = "LOADTEST_SECONDS"  # environment variable: the whole test's length
DEFAULT_SECONDS = 40.0
P99_FACTOR = "LOADTEST_P99_FACTOR"  # environment variable: how many times slower than usual a machine may be

# Requests are named by their path; a refusal is expected to be as fast as a score and is counted apart
ONE, BATCH, REFUSED = "/predict", "/predict_batch", "/predict (refused)"
BATCH_SIZE = 50
ONE_IN_REFUSED = 50  # of the requests of single applications


@dataclass(frozen=True, slots=True)
class Stage:
    """For `seconds` there are `users`, reached by starting or ending `spawn_rate` of them in a second."""

    seconds: float
    users: int
    spawn_rate: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What the requests of one name must hold."""

    name: str
    p99_ms: float
    failure_ratio: float = 0.0

    def broken_by(self, requests: int, failures: int, p99_ms: float) -> list[str]:
        """One line for each way in which what was measured breaks the threshold."""
        if not requests:
            return [f"{self.name}: no request was made"]
        broken = []
        if failures > self.failure_ratio * requests:
            broken.append(f"{self.name}: {failures} of {requests} requests failed ({self.failure_ratio:.2%} allowed)")
        if p99_ms > self.p99_ms:
            broken.append(f"{self.name}: p99 is {p99_ms:.0f} ms ({self.p99_ms:.0f} ms allowed)")
        return broken


# Seconds are shares of the default length: wake every worker, everyday load, a rush, and whether it recovers
STAGES = (
    Stage(seconds=5, users=5, spawn_rate=5),
    Stage(seconds=15, users=20, spawn_rate=10),
    Stage(seconds=15, users=50, spawn_rate=20),
    Stage(seconds=5, users=10, spawn_rate=20),
)

# Far above what two cores show that also run locust: this finds a stall, not a slow day of a shared machine
THRESHOLDS = (
    Threshold(ONE, p99_ms=1000),
    Threshold(BATCH, p99_ms=1500),
    Threshold(REFUSED, p99_ms=1000),
)


def seconds(environment: Mapping[str, str]) -> float:
    """The test's length; ValueError naming the variable where it is no positive number."""
    return _positive(environment, SECONDS, DEFAULT_SECONDS)


def allowed(environment: Mapping[str, str]) -> tuple[Threshold, ...]:
    """The thresholds on this machine; ValueError naming the variable where its factor is no positive number."""
    factor = _positive(environment, P99_FACTOR, 1.0)
    return tuple(replace(threshold, p99_ms=threshold.p99_ms * factor) for threshold in THRESHOLDS)


def _positive(environment: Mapping[str, str], key: str, default: float) -> float:
    given = environment.get(key, "") or default
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{key}={given!r} is not a number above 0")
    return value


def scaled(stages: Sequence[Stage], total: float) -> tuple[Stage, ...]:
    """The same stages in `total` seconds; users come and go as much faster as the stages are shorter."""
    factor = total / sum(stage.seconds for stage in stages)
    return tuple(
        replace(stage, seconds=stage.seconds * factor, spawn_rate=stage.spawn_rate / factor) for stage in stages
    )


def stage_at(stages: Sequence[Stage], elapsed: float) -> Stage | None:
    """The stage that holds after `elapsed` seconds; None once all are over."""
    for stage in stages:
        if elapsed < stage.seconds:
            return stage
        elapsed -= stage.seconds
    return None
