"""Half an hour at half of what the service can do: does memory grow, do answers become slower, do handles leak?

    python -m loadtest.soak                 # leaves build/soak.md and build/soak.json
    MINUTES=120 python -m loadtest.soak

Two workers, single applications, each decision recorded. Memory is what the processes have for themselves (USS): their
share of what they have in common (PSS) grows when some other program on the machine ends that had it too.
"""

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from loadtest.server import ROOT, Server, ServerNotReadyError, running_server
from loadtest.traffic import application_body, read_applications

MINUTES = float(os.environ.get("MINUTES", "30"))
WORKERS = 2
CALLERS = 8
CAPACITY_S = 10.0
SHARE = 0.5
WARM_UP = 1 / 6  # of the run: pools fill, caches grow, the store makes its first files
MOST_GROWTH = 0.05
MOST_DRIFT = 0.20
MOST_HANDLES = 4  # files of the store that one moment has and another has not
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: answers, failures, the 99th percentile in ms, MiB (USS) and open handles of all processes."""

    answered: int
    failed: int
    p99_ms: float
    mib: float
    handles: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Growth and drift as shares of what was there after the warm-up; `wrong` says what is too much."""

    growth: float
    drift: float
    more_handles: int
    failed: int
    wrong: Sequence[str]


def judge(minutes: Sequence[Minute]) -> Verdict:
    """The medians of the last third against those of the first, both after the warm-up; at least 4 minutes."""
    warm = minutes[max(1, round(len(minutes) * WARM_UP)) :]
    third = max(1, len(warm) // 3)
    first, last = warm[:third], warm[-third:]
    growth = _median([one.mib for one in last]) / _median([one.mib for one in first]) - 1
    drift = _median([one.p99_ms for one in last]) / _median([one.p99_ms for one in first]) - 1
    more = round(_median([one.handles for one in last]) - _median([one.handles for one in first]))
    failed = sum(one.failed for one in minutes)
    wrong = [
        *([f"memory has grown by {growth:.1%}, more than {MOST_GROWTH:.0%}"] if growth > MOST_GROWTH else []),
        *([f"p99 has risen by {drift:.0%}, more than {MOST_DRIFT:.0%}"] if drift > MOST_DRIFT else []),
        *([f"{more} more handles are open"] if more > MOST_HANDLES else []),
        *([f"{failed} requests failed"] if failed else []),
    ]
    return Verdict(growth, drift, more, failed, wrong)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(minutes: Sequence[Minute], verdict: Verdict, rate: float) -> str:
    """Markdown, for people."""
    rows = [
        f"| {number} | {one.answered:,} | {one.p99_ms:.1f} | {one.mib:.0f} | {one.handles} |"
        for number, one in enumerate(minutes, 1)
    ]
    said = "; ".join(verdict.wrong) or "nothing grows"
    return "\n".join(
        [
            f"{len(minutes)} minutes at {rate:,.0f} applications a second: {said}. Memory {verdict.growth:+.1%}, "
            f"p99 {verdict.drift:+.0%}, handles {verdict.more_handles:+d}, {verdict.failed} failed.",
            "",
            "| minute | answered | p99, ms | MiB (USS) | handles |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


class Load:
    """Callers that send at a steady rate together, each on one connection; the rate is None for as fast as they can."""

    def __init__(self, server: Server, rate: float | None) -> None:
        self._address, self._every_s = urlsplit(server.url).netloc, CALLERS / rate if rate else 0.0
        self._bodies = [application_body(one) for one in read_applications()]
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._seconds: list[float] = []
        self._failed = 0
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> tuple[list[float], int]:
        """The seconds of the answers since the last call, and how many requests failed."""
        with self._lock:
            taken, self._seconds, failed, self._failed = self._seconds, [], self._failed, 0
        return taken, failed

    def _call(self, number: int) -> None:
        connection = HTTPConnection(self._address, timeout=30)
        due = time.perf_counter() + number * self._every_s / CALLERS
        while not self._ending.is_set():
            if (early := due - time.perf_counter()) > 0:
                self._ending.wait(early)
            # who is late is not made up for: that would be another load
            due = max(due + self._every_s, time.perf_counter())
            number += CALLERS
            started, whole = time.perf_counter(), False
            with suppress(OSError, HTTPException):
                connection.request("POST", "/predict", self._bodies[number % len(self._bodies)], JSON_TYPE)
                answer = connection.getresponse()
                answer.read()
                whole = answer.status == 200
            if not whole:
                connection.close()
            with self._lock:
                self._failed += not whole
                self._seconds += [time.perf_counter() - started] * whole
        connection.close()


def measured(server: Server, load: Load) -> Minute:
    """What the callers have seen since the last call, and what the processes use now."""
    seconds, failed = load.take()
    supervisor = psutil.Process(server.pid)
    processes = [supervisor, *supervisor.children(recursive=True)]
    return Minute(
        answered=len(seconds),
        failed=failed,
        p99_ms=statistics.quantiles(seconds, n=100)[98] * 1000 if len(seconds) > 1 else 0.0,
        mib=sum(process.memory_full_info().uss for process in processes) / 2**20,
        handles=sum(process.num_fds() for process in processes),
    )


def soak(minutes: int, minute_s: float = 60.0) -> tuple[list[Minute], float]:
    """Each minute, and the rate in applications a second."""
    with running_server({"RISKLINE_WORKERS": str(WORKERS)}) as server:
        with Load(server, None) as load:
            time.sleep(CAPACITY_S / 2)  # until it is warm
            load.take()
            time.sleep(CAPACITY_S)
            capacity = len(load.take()[0]) / CAPACITY_S
        rate = capacity * SHARE
        found: list[Minute] = []
        with Load(server, rate) as load:
            for _ in range(minutes):
                time.sleep(minute_s)
                found.append(measured(server, load))
                print(json.dumps(asdict(found[-1])), flush=True)  # noqa: T201
        return found, rate


def main() -> None:
    try:
        minutes, rate = soak(max(4, round(MINUTES)))
    except ServerNotReadyError as error:
        sys.exit(f"soak: {error}")
    verdict = judge(minutes)
    text = table(minutes, verdict, rate)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    Path(build / "soak.md").write_text(text)
    figures = {"rate": rate, "minutes": [asdict(one) for one in minutes], "verdict": asdict(verdict)}
    Path(build / "soak.json").write_text(json.dumps(figures, indent=1))
    print(text)  # noqa: T201
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
