"""The side-by-side benchmark: the service beside what others would have built, on this machine, one after the other.

    python -m loadtest.bench                # about 25 minutes; leaves loadtest/results.json, .md and .png
    python -m loadtest.bench --quick        # what the targets need, in less than 5
    python -m loadtest.bench --only riskline fastapi-onnx --out build/compared

What it compares is in bench_plan.py, the others' code in contenders/. It makes an environment for each of them under
build/bench and needs wrk, which it installs where it may.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadtest import bench_bodies, bench_environments, bench_offline, bench_report, bench_rounds, bench_tables, traffic
from loadtest.bench_environments import FOLDERS, Models, PreparationError
from loadtest.bench_plan import (
    FULL,
    NAMES,
    OFFLINE_PROGRAMS,
    ONE,
    QUICK,
    SERVERS,
    UNDER_BULK,
    WORKLOADS,
    Contender,
    Effort,
)
from loadtest.bench_results import Row, offline_row, online_row, ratios
from loadtest.bench_rounds import Key, Measured, Setup
from loadtest.bench_tables import Codes
from loadtest.bench_wrk import RunError
from loadtest.server import ROOT, Server

CORES = len(os.sched_getaffinity(0))
PARQUET = "application/x-parquet"
Step = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description="Measure side by side.")
    parser.add_argument("--quick", action="store_true", help="what the targets need, in less than 5 minutes")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=[], metavar="CONTENDER", help=", ".join(NAMES))
    parser.add_argument(
        "--out", type=Path, default=ROOT / "loadtest", help="folder for the results (default: loadtest)"
    )
    chosen = parser.parse_args(arguments)
    effort, wanted = QUICK if chosen.quick else FULL, selected(chosen.only, chosen.quick)
    programs = [key for key in OFFLINE_PROGRAMS if not chosen.only or key[0] in chosen.only]
    console = Console()
    try:
        rows = compare(wanted, programs, effort, console)
        found = ratios(rows)
        bench_report.show(found, console)
        command = " ".join(["python -m loadtest.bench", *(["--quick"] if chosen.quick else [])])
        command += f" --only {' '.join(chosen.only)}" if chosen.only else ""
        bench_report.write(rows, found, effort, command, chosen.out)
    except PreparationError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    console.print(f"Results: {chosen.out / 'results.md'}")
    return 0


def selected(only: Sequence[str], quick: bool) -> dict[Contender, tuple[str, ...]]:
    """The workloads to measure with each server. Who is asked for by name is measured whole, --quick or not."""
    chosen = [server for server in SERVERS if not only or server.name in only]
    workloads = {server: server.quick if quick and not only else server.workloads for server in chosen}
    return {server: names for server, names in workloads.items() if names}


def compare(
    wanted: Mapping[Contender, Sequence[str]], programs: Sequence[Key], effort: Effort, console: Console
) -> list[Row]:
    """Measures everything and gives a row for each figure wanted; PreparationError where nothing could be measured."""
    steps = (
        2 + len(wanted) + effort.rounds * sum(map(len, wanted.values())) + (1 + effort.offline_rounds) * len(programs)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("wrk", total=steps)

        def step(name: str) -> None:
            progress.update(bar, advance=1, description=name)
            if not console.is_terminal:  # a log shows no bar, and nothing for twenty minutes would look like the end
                console.print(name)

        wrk = bench_environments.wrk()
        step("training")
        applications = traffic.read_applications()
        values = bench_tables.codes(applications)
        models = bench_environments.train(values, bench_bodies.read_bad())
        requests = bench_bodies.all_requests(applications, models.artefact, bench_environments.BUILD / "bodies")
        setup = Setup(wrk, models, requests, effort, step)
        return [*online(wanted, setup, values), *offline(programs, models, values, effort, step)]


def online(wanted: Mapping[Contender, Sequence[str]], setup: Setup, values: Codes) -> list[Row]:
    measured = Measured()
    with ExitStack() as stack:
        servers = bench_rounds.start_all(stack, wanted, lambda one: interpreter(one, setup.models), setup, measured)
        bench_rounds.run_rounds(servers, wanted, setup, measured)
        if "riskline" in {contender.name for contender in wanted}:
            bulk(servers, setup, values, measured)
    rows = {workload.name: workload.rows for workload in WORKLOADS} | {UNDER_BULK: 1}
    keys = [(contender.name, name) for contender, names in wanted.items() for name in names]
    keys += [key for key in (*measured.samples, *measured.reasons) if key[1] == UNDER_BULK]
    return [
        Row(*key, not_measured=reason)
        if (reason := measured.reasons.get(key))
        else online_row(*key, rows[key[1]], measured.samples[key], CORES)
        for key in keys
    ]


def interpreter(contender: Contender, models: Models) -> Path:
    """The Python that the contender runs in, with what it serves trained; PreparationError where it cannot be had."""
    if not contender.folder:
        return Path(sys.executable)
    python = bench_environments.python_of(FOLDERS / contender.folder)
    if "{booster}" in contender.environment.values():
        bench_environments.train_booster(models, python)
    if "PIPELINE" in contender.environment:
        bench_environments.train_pipeline(models, python, traffic.APPLICATIONS)
    return python


def bulk(servers: Mapping[str, Server], setup: Setup, values: Codes, measured: Measured) -> None:
    """The workload single-under-bulk, on the server that everything else was measured on."""
    setup.step(UNDER_BULK)
    key = "riskline", UNDER_BULK
    if "riskline" not in servers:
        measured.reasons[key] = measured.reasons["riskline", ONE]
        return
    rows = np.concatenate(list(bench_tables.blocks(values, setup.effort.bulk_rows)))
    body = bench_tables.rendered(bench_tables.table(rows), PARQUET)
    try:
        sample = bench_rounds.under_bulk(setup, servers["riskline"], setup.requests["application", ONE], body, PARQUET)
    except RunError as error:
        measured.reasons[key] = str(error)
    else:
        measured.samples[key] = [sample]


def offline(programs: Sequence[Key], models: Models, values: Codes, effort: Effort, step: Step) -> list[Row]:
    """Each program in turn, round by round; who fails is not tried again."""
    if not programs:
        return []
    step(f"writing {effort.offline_rows:,} applications")
    files = bench_offline.write_files(values, effort.offline_rows, bench_environments.BUILD / "offline")
    samples: dict[Key, list[bench_offline.OfflineSample]] = {key: [] for key in programs}
    reasons: dict[Key, str] = {}
    try:
        for number in range(effort.offline_rounds):
            for key in programs:
                contender, workload = key
                step(f"round {number + 1} of {effort.offline_rounds}: {workload}, {contender}")
                if key not in reasons:
                    try:
                        samples[key].append(bench_offline.program(contender, workload, files, models)())
                    except PreparationError as error:
                        reasons[key] = str(error)
    finally:
        bench_offline.remove_files(files)
    return [
        Row(*key, not_measured=reasons[key]) if key in reasons else offline_row(*key, samples[key]) for key in programs
    ]


def _exit(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _exit)  # it would end us without a word to the servers, whose sessions are their own
    sys.exit(main())
