"""The results for people: results.md with machine and versions, results.png, and the ratios in the terminal."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from loadtest.bench_environments import CHART, FOLDERS, locked_version, python_of, run
from loadtest.bench_plan import SERVERS, Effort
from loadtest.bench_results import Ratio, Row, as_json

DRAW_WITHIN_S = 120
_PACKAGES = {  # of a contender: what its figures depend on most
    "bentoml_stock": ("bentoml", "uvicorn", "onnxruntime", "pydantic"),
    "bentoml_contribs": ("bentoml", "uvicorn", "xgboost-cpu"),
    "fastapi_onnx": ("fastapi", "uvicorn", "onnxruntime", "pydantic"),
    "fastapi_pandas": ("fastapi", "pandas", "scikit-learn", "xgboost-cpu"),
    "fixed_in_lane": ("bentoml", "uvicorn"),
    "fixed_uvicorn": ("uvicorn",),
    "mlserver": ("mlserver", "fastapi", "xgboost-cpu"),
}
_OURS = ("bentoml", "uvicorn", "onnxruntime", "pydantic", "pyarrow", "xgboost-cpu")

_COLUMNS = ("contender", "workload", "req/s", "rows/s", "p50 ms", "p99 ms", "cores: server", "wrk", "peak MiB", "note")

METHOD = """\
Every server has one worker (riskline-two-workers has two) and listens on the loopback interface. riskline-recorded
answers once each decision is on disk; the others keep nothing. riskline-logged also logs every hundredth decision, and
riskline-unwatched has metrics and drift taken out as well. riskline-v2 is asked by the Open Inference Protocol, with a
tensor for each field. All are started once and each must first answer with the right number of scores, those with the
same graph with the artefact's own probabilities. Then wrk loads one after the other, {warm_up} s unmeasured and
{seconds} s measured, and all of it again, {rounds} rounds in all; the figures are medians, in brackets the slowest and
the fastest round. A run counts only if every answer was 2xx. The bodies are the bundled applications, sent in turn,
over 8 connections (single-1conn: 1, single-64conn: 64).
"cores" says how many of them the server and wrk kept busy. wrk corrects latencies for coordinated omission: a pause
counts for all requests that it would have held up.

Server and wrk share the machine, so ratios are what counts. bentoml-stock is BentoML as its documentation has it,
without access logs; bentoml-tuned is the same without its tracing and with shorter timers. fixed-in-lane and
fixed-uvicorn answer 200 bytes without looking at the request: the most that is possible. mlserver and xgboost-native
are given ready features. In single-under-bulk one more client sends Parquet bodies of {bulk_rows:,} rows all the time.
offline-parquet scores {offline_rows:,} rows: the whole `python -m model.score` from file to file, beside the engines
alone on a matrix in memory, all with as many threads as there are cores."""


def write(rows: Sequence[Row], found: Sequence[Ratio], effort: Effort, command: str, folder: Path) -> None:
    """Writes results.json, results.md and, where its environment can be had, results.png; PreparationError if not."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(as_json(rows), encoding="utf-8")
    (folder / "results.md").write_text(markdown(rows, found, effort, command), encoding="utf-8")
    draw = [str(python_of(CHART)), str(CHART / "draw.py")]
    run([*draw, str((folder / "results.json").resolve()), str((folder / "results.png").resolve())], DRAW_WITHIN_S)


def markdown(rows: Sequence[Row], found: Sequence[Ratio], effort: Effort, command: str) -> str:
    method = METHOD.format(
        warm_up=effort.warm_up_s,
        seconds=effort.seconds,
        rounds=effort.rounds,
        bulk_rows=effort.bulk_rows,
        offline_rows=effort.offline_rows,
    )
    facts = [("Machine", machine()), ("Date", f"{datetime.now(UTC):%Y-%m-%d}"), ("Command", f"`{command}`")]
    facts += [("Versions", "; ".join(versions()))]
    parts = [
        "# Side by side",
        _table(("what", "value"), facts),
        "## Ratios",
        _table(("ratio", "measured", "wanted", "met"), [_ratio_cells(ratio) for ratio in found]),
        "## Figures",
        _table(_COLUMNS, [_cells(row) for row in rows]),
        "![Bars of the figures above](results.png)",
        "## Method",
        method,
    ]
    return "\n\n".join(parts) + "\n"


def show(found: Sequence[Ratio], console: Console) -> None:
    table = Table(title="The ratios that matter")
    for name in ("ratio", "measured", "wanted", "met"):
        table.add_column(name, justify="left" if name == "ratio" else "right")
    for ratio in found:
        table.add_row(*_ratio_cells(ratio))
    console.print(table)


def machine() -> str:
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}"
    )


def versions() -> list[str]:
    """Python, wrk where it is installed, and the packages that each contender's figures depend on most."""
    known = [f"Python {platform.python_version()}"]
    if wrk := shutil.which("wrk"):
        told = subprocess.run([wrk, "--version"], capture_output=True, text=True).stdout.split()  # noqa: S603 - wrk, where we found it
        known.append(" ".join(told[:2]))
    known.append("riskline: " + ", ".join(f"{package} {version(package)}" for package in _OURS))
    folders = {contender.folder: contender.name for contender in reversed(SERVERS) if contender.folder}
    for folder, packages in _PACKAGES.items():
        locked = ", ".join(f"{package} {locked_version(FOLDERS / folder, package)}" for package in packages)
        known.append(f"{folders[folder]}: {locked}")
    return known


def _ratio_cells(ratio: Ratio) -> tuple[str, str, str, str]:
    target = ratio.target
    figure = {"req_per_s": "req/s", "rows_per_s": "rows/s", "p50_ms": "p50", "p99_ms": "p99"}[target.figure]
    of, against = " ".join(target.of), " ".join(target.against)
    value = "-" if ratio.value is None else f"{ratio.value:.2f}"
    return f"{figure}: {of} / {against}", value, ratio.wanted, ratio.verdict


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.contender,
        row.workload,
        _spread(row.req_per_s, row.req_per_s_min, row.req_per_s_max),
        _spread(row.rows_per_s, row.rows_per_s_min, row.rows_per_s_max),
        _number(row.p50_ms),
        _number(row.p99_ms),
        _number(row.server_cpu),
        _number(row.generator_cpu),
        _number(row.peak_rss_mib),
        f"not measured: {row.not_measured}" if row.not_measured else row.note or "",
    )


def _spread(middle: float | None, low: float | None, high: float | None) -> str:
    if middle is None or low is None or high is None or low == high:
        return _number(middle)
    return f"{_number(middle)} ({_number(low)}-{_number(high)})"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A bar in a cell would end it."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
