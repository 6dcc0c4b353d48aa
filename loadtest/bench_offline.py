"""Bulk scoring from file to file, beside what the engines alone do with a matrix that is ready in memory."""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest import bench_tables
from loadtest.bench_environments import FOLDERS, Models, PreparationError, home, run
from loadtest.bench_plan import CONTRIBUTIONS, OFFLINE
from loadtest.bench_tables import Codes
from model.artifact import CONTRIBUTIONS_BLOCK

WITHIN_S = 600
THREADS = len(os.sched_getaffinity(0))
ROWS_AT_ONCE = 16_384  # for ONNX Runtime alone; as fast as any other block from a thousand to a million rows
CONTRIBUTIONS_ROWS = 100_000  # XGBoost takes seconds for them
_SCRIPTS = FOLDERS / "offline"


@dataclass(frozen=True, slots=True)
class Files:
    """The same made-up applications as Parquet, as the graph's input and as the trees' features."""

    rows: int
    table: Path
    matrix: Path
    features: Path
    scores: Path


@dataclass(frozen=True, slots=True)
class OfflineSample:
    """`seconds` are of the whole program for the service, and of scoring alone for the engines."""

    rows_per_s: float
    peak_rss_mib: float


def write_files(applications: Codes, rows: int, folder: Path) -> Files:
    """Takes 180 bytes of disk a row; `remove_files` gives them back."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(rows, *(folder / name for name in ("in.parquet", "matrix.npy", "features.npy", "out.parquet")))
    bench_tables.write_parquet(applications, rows, files.table)
    sample = bench_tables.features(applications[:1])
    width = bench_tables.matrix(applications[:1]).shape[1]
    matrix = np.lib.format.open_memmap(files.matrix, "w+", np.float32, (rows, width))
    features = np.lib.format.open_memmap(files.features, "w+", np.float32, (rows, sample.shape[1]))
    start = 0
    for block in bench_tables.blocks(applications, rows):
        end = start + len(block)
        features[start:end] = bench_tables.features(block)
        matrix[start:end] = features[start:end, :width]
        start = end
    return files


def remove_files(files: Files) -> None:
    shutil.rmtree(files.table.parent, ignore_errors=True)


def program(contender: str, workload: str, files: Files, models: Models) -> Callable[[], OfflineSample]:
    """One run of one of `OFFLINE_PROGRAMS`; PreparationError where it cannot be run."""
    if (contender, workload) == ("riskline", OFFLINE):
        return lambda: _service(files, models)
    native = [_SCRIPTS / "xgboost_native.py", models.features, models.parameters, files.features]
    alone = _SCRIPTS / "onnxruntime_alone.py"
    command: list[object] = {
        ("onnxruntime-alone", OFFLINE): [
            alone, models.artefact / "model.onnx", "probability", files.matrix, THREADS, ROWS_AT_ONCE,
        ],
        ("xgboost-native", OFFLINE): [*native, THREADS],
        ("riskline", CONTRIBUTIONS): [
            alone, models.artefact / "contributions.onnx", "contributions", files.matrix, 1, CONTRIBUTIONS_BLOCK,
            CONTRIBUTIONS_ROWS,
        ],
        ("xgboost-native", CONTRIBUTIONS): [*native, 1, CONTRIBUTIONS_ROWS],
    }[contender, workload]  # fmt: skip
    return lambda: _engine([sys.executable, *map(str, command)])


def _service(files: Files, models: Models) -> OfflineSample:
    if importlib.util.find_spec("model.score") is None:
        raise PreparationError("there is no python -m model.score")
    files.scores.unlink(missing_ok=True)
    command = [sys.executable, "-m", "model.score", str(files.table), str(files.scores)]
    figures = _measured(command, {"RISKLINE_MODEL": str(models.artefact)})
    try:
        scored = bench_tables.scored_rows(files.scores)
    except (OSError, ValueError, KeyError) as error:
        raise PreparationError(f"python -m model.score left no scores: {error}") from None
    if scored != files.rows:
        raise PreparationError(f"python -m model.score wrote {scored:,} scores for {files.rows:,} rows")
    return OfflineSample(files.rows / figures["wall_s"], figures["peak_rss_mib"])


def _engine(command: Sequence[str]) -> OfflineSample:
    figures = _measured(command, {})
    return OfflineSample(figures["rows"] / figures["seconds"], figures["peak_rss_mib"])


def _measured(command: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """What the program and `bench_child` printed as JSON, each on a line of its own."""
    output = run([sys.executable, "-m", "loadtest.bench_child", *command], WITHIN_S, {**home(), **environment})
    figures: dict[str, float] = {}
    for line in output.splitlines():
        if line.startswith('{"'):
            figures.update(json.loads(line))
    return figures
