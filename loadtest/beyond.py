"""Scoring many files by one process, by Ray on this machine, and as SageMaker's batch transform sends them.

python -m loadtest.beyond                        # 8 million rows in 16 files, three rounds in turn: 4 min
python -m loadtest.beyond --files 8 --rows 2000000

The rate is that of the files after the first, or after the first of each worker, by the times at which they are
finished; what remains of a run is starting and ending. Batch transform is the service on this machine and CSV bodies of
its size: the container's part, without instances that start, and without S3.
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
from preprocessing.tables import open_parquet
from serving.cores import cores
from serving.offline import BLOCK_ROWS

WITHIN_S = 900
ROUNDS = 3
BODY_ROWS = 75_000  # as CSV they are just below 6 MB, the largest body that batch transform sends
BODIES = 20
CSV = {"Content-Type": "text/csv", "Accept": "text/csv"}


class Way(NamedTuple):
    """A program with `workers` processes on `used` cores, and what came of it in each round."""

    name: str
    used: int
    workers: int
    command: Sequence[str]
    runs: list["Run"]


class Run(NamedTuple):
    seconds: float  # of the whole program
    rows_per_s: float  # of those that score already


def ways() -> list[Way]:
    every = cores()
    first = str(min(os.sched_getaffinity(0)))
    score = [sys.executable, "-m", "model.score"]
    return [
        Way("one process, one core", 1, 1, ["taskset", "--cpu-list", first, *score, "--threads", "1"], []),
        Way(f"one process, {every} cores", every, 1, [*score, "--threads", str(every)], []),
        Way(f"Ray, {every} workers", every, every, [*score, "--engine", "ray", "--workers", str(every)], []),
    ]


def scored(way: Way, folder: Path, rows: int) -> Run:
    """Runs it once; `rows` are in each file."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        started = time.perf_counter()
        run([*way.command, str(folder / "in"), f"{out}/scores"], WITHIN_S)
        seconds = time.perf_counter() - started
        finished = sorted(path.stat().st_mtime for path in Path(out).rglob("*.parquet"))
    measured = finished[way.workers - 1 :]
    return Run(seconds, (len(measured) - 1) * rows / (measured[-1] - measured[0]))


def reading(file: Path, rows: int) -> float:
    """Rows a second that one thread reads and encodes, which a process has one of."""
    started = time.perf_counter()
    with file.open("rb") as source:
        assert sum(len(block.batch.matrix) for block in open_parquet(source, (), BLOCK_ROWS).blocks) == rows
    return rows / (time.perf_counter() - started)


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
    parser.add_argument("--files", type=int, default=16)
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
                way.runs.append(scored(way, folder, chosen.rows))
        read = statistics.median(
            reading(folder / f"in/{number}.parquet", chosen.rows) for number in range(chosen.files)
        )
    _show(measured, chosen.files * chosen.rows, invocations(applications, cores()), read)


def _show(measured: Sequence[Way], rows: int, invoked: float, read: float) -> None:
    table = Table("way", "rows/s", "a core", "beside the 2nd", "start and end, s", "rows/s, all in")
    a_core = [statistics.median(each.rows_per_s for each in way.runs) / way.used for way in measured]
    for way, rate in zip(measured, a_core, strict=True):
        beside = statistics.median(each.seconds - rows / each.rows_per_s for each in way.runs)
        all_in = statistics.median(rows / each.seconds for each in way.runs)
        figures = (
            f"{rate * way.used:,.0f}",
            f"{rate:,.0f}",
            f"{rate / a_core[1]:.2f}",
            f"{beside:.1f}",
            f"{all_in:,.0f}",
        )
        table.add_row(way.name, *figures)
    served = invoked / cores()
    table.add_row("/invocations, CSV", f"{invoked:,.0f}", f"{served:,.0f}", f"{served / a_core[1]:.2f}")
    table.add_row("reading alone, one thread", f"{read:,.0f}")
    rich.print(table)


if __name__ == "__main__":
    main()
