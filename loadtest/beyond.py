"""Scoring many files by one process, by Ray on this machine, and as SageMaker's batch transform sends them.

python -m loadtest.beyond                        # 4 million rows in 8 files, three rounds in turn: 5 min
python -m loadtest.beyond --files 4 --rows 2000000

What a program needs to start and end is what it takes where every file is finished already. Batch transform is the
service on this machine and CSV bodies of its size: the container's part, without instances that start, and without S3.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx
import rich
from rich.table import Table

from loadtest import bench_tables
from loadtest.bench_environments import run
from loadtest.bench_tables import Codes
from loadtest.server import running_server
from loadtest.traffic import read_applications
from serving.cores import cores

WITHIN_S = 900
ROUNDS = 3
BODY_ROWS = 90_000  # as CSV they are just below 6 MB, the largest body that batch transform sends
BODIES = 20
CSV = {"Content-Type": "text/csv", "Accept": "text/csv"}


class Way(NamedTuple):
    """A program on `used` cores, with what it took in each round: to start and end, and in all, in seconds."""

    name: str
    used: int
    command: Sequence[str]
    taken: list[tuple[float, float]]


def ways() -> list[Way]:
    every = cores()
    first = str(min(os.sched_getaffinity(0)))
    score = [sys.executable, "-m", "model.score"]
    return [
        Way("one process, one core", 1, ["taskset", "--cpu-list", first, *score, "--threads", "1"], []),
        Way(f"one process, {every} cores", every, [*score, "--threads", str(every)], []),
        Way(f"Ray, {every} workers", every, [*score, "--engine", "ray", "--workers", str(every)], []),
    ]


def taken(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """The seconds of the command where all is done already, and of the same command where nothing is."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            run([*command, str(folder / "in"), f"{out}/scores"], WITHIN_S)
            seconds.append(time.perf_counter() - started)
    in_all, again = seconds
    return again, in_all


def invocations(applications: Codes, workers: int) -> float:
    """Rows a second of CSV bodies, two at a time for each worker."""
    [block] = bench_tables.blocks(applications, BODY_ROWS)
    body = bench_tables.rendered(bench_tables.table(block), "text/csv")

    def invoke(client: httpx.Client) -> None:
        answer = client.post("/invocations", content=body, headers=CSV).raise_for_status()
        assert answer.content.count(b"\n") >= BODY_ROWS

    environment = {"RISKLINE_WORKERS": str(workers), "RISKLINE_RECORD": "none", "RISKLINE_MAX_INVOCATION_MB": "64"}
    with (
        running_server(environment) as server,
        httpx.Client(base_url=server.url, timeout=WITHIN_S) as client,
        ThreadPoolExecutor(2 * workers) as callers,
    ):
        list(callers.map(invoke, [client] * 2 * workers))
        started = time.perf_counter()
        list(callers.map(invoke, [client] * BODIES))
        return BODIES * BODY_ROWS / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.beyond", description="Compare ways to score many files.")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rows", type=int, default=500_000, help="of each file")
    chosen = parser.parse_args()
    applications = bench_tables.codes(read_applications())
    measured = ways()
    with tempfile.TemporaryDirectory(prefix="riskline-beyond-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for number in range(chosen.files):
            bench_tables.write_parquet(applications, chosen.rows, folder / f"in/{number}.parquet")
        for _ in range(ROUNDS):
            for way in measured:
                way.taken.append(taken(way.command, folder))
    _show(measured, chosen.files * chosen.rows, invocations(applications, cores()))


def _show(measured: Sequence[Way], rows: int, invoked: float) -> None:
    table = Table("way", "to start and end, s", "rows/s, all in", "rows/s without that", "a core", "beside the second")
    a_core = [statistics.median(rows / (in_all - start) for start, in_all in way.taken) / way.used for way in measured]
    for way, rate in zip(measured, a_core, strict=True):
        start = statistics.median(start for start, _ in way.taken)
        all_in = statistics.median(rows / in_all for _, in_all in way.taken)
        rates = (all_in, rate * way.used, rate)
        table.add_row(way.name, f"{start:.1f}", *(f"{each:,.0f}" for each in rates), f"{rate / a_core[1]:.2f}")
    served = invoked / cores()
    table.add_row("/invocations, CSV", "", "", f"{invoked:,.0f}", f"{served:,.0f}", f"{served / a_core[1]:.2f}")
    rich.print(table)


if __name__ == "__main__":
    main()
