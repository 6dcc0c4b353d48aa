"""Adopts five invented tables, each in a copy of the project and without an edit by hand, and prints what came of it.

    python -m loadtest.adopt                      # all five, 4,000 rows each
    python -m loadtest.adopt shops --rows 1500

A table's other half, which training never saw, tells the AUC; beside it stands XGBoost on one-hot columns, with default
settings and with ours. Some of its rows are sent to the served model as a web form would send them, under the table's
own headers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np

from loadtest.adopt_tables import TABLES, Made, made, write
from loadtest.server import ROOT, running_server
from model.adopt_signal import auc

ROWS = 4000
FORMS = 20  # rows that are sent to the served model
# the answer has six digits of the graph's float32
_SERVED_TOLERANCE = 1e-6


class Adopted(NamedTuple):
    """What came of a table: three AUCs on `tested` rows, and how many of `FORMS` forms were `served` alike."""

    name: str
    columns: int
    fields: int
    parity: float
    auc: float
    default: float
    tuned: float
    tested: int
    refused: int
    served: int
    seconds: float


def copy_of_project(folder: Path) -> Path:
    """The working tree, new files included."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout  # noqa: S603 - git's own
    for name in names.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith(".venv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def adopt(name: str, rows: int, folder: Path) -> Adopted:
    """Adopts the first half of a table of `2 * rows` rows and judges it by the other half."""
    table = made(name, 2 * rows)
    project = copy_of_project(folder / "project")
    train, test = folder / f"{name}.csv", folder / "test.csv"
    write(table, train, slice(0, rows))
    write(table, test, slice(rows, None))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RISKLINE_")}
    environment |= {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    started = time.perf_counter()
    command = ["model.adopt", str(train), "--label", table.label, "--bad", table.bad, "--force", "--cv-seeds", "0"]
    _run(command, project, environment)
    seconds = time.perf_counter() - started
    judged = json.loads(_run(["loadtest.adopt_child", table.label, str(train), str(test)], project, environment))
    labels = table.columns[table.label][rows:]
    kept = np.array([one is not None for one in judged["ours"]]) & np.isin(labels, _verdicts(table))
    bad = labels[kept] == table.bad
    by_which = ("ours", "default", "tuned")
    ours, default, tuned = [auc(np.array(judged[which], dtype=float)[kept], bad) for which in by_which]
    with running_server(
        {**environment, "RISKLINE_MODEL": "riskline:latest", "RISKLINE_WORKERS": "1"}, cwd=project
    ) as server:
        served = _served(server.url, table, rows, judged["ours"])
    columns, tested, refused = len(table.columns) - 1, int(kept.sum()), judged["ours"].count(None)
    fields, parity = judged["fields"], judged["parity"]
    return Adopted(name, columns, fields, parity, ours, default, tuned, tested, refused, served, seconds)


def _run(command: list[str], project: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _verdicts(table: Made) -> list[str]:
    """What the label may say, without what means that nobody knows yet."""
    return [verdict for verdict in set(table.columns[table.label]) if verdict != "NaN"]


def _served(url: str, table: Made, rows: int, expected: list[float | None]) -> int:
    """How many forms, with the table's headers and cells, get the probability that the graph gives."""
    alike = 0
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for row in range(FORMS):
            form = {header: str(cells[rows + row]) for header, cells in table.columns.items() if header != table.label}
            form["language"] = table.language
            answer = client.post("/channels/webform", data=form)
            if (exact := expected[row]) is None:
                alike += answer.status_code == 422
            elif answer.status_code == 200:
                alike += abs(answer.json()["probability"] - exact) <= _SERVED_TOLERANCE
    return alike


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.adopt", description="Adopt invented tables.")
    parser.add_argument("names", nargs="*", choices=[*TABLES, []], help="which (default: all)")
    parser.add_argument("--rows", type=int, default=ROWS, help="to train on, and as many to test on")
    arguments = parser.parse_args()
    print("| table | columns | fields | parity | AUC | XGBoost | and tuned | rows | refused | served alike | in |")  # noqa: T201
    print("|---" * 11 + "|")  # noqa: T201
    for name in arguments.names or TABLES:
        with tempfile.TemporaryDirectory(prefix="riskline-adopt-") as folder:
            one = adopt(name, arguments.rows, Path(folder))
        print(  # noqa: T201
            f"| {name} | {one.columns} | {one.fields} | {one.parity:.1e} | {one.auc:.4f} | {one.default:.4f} | "
            f"{one.tuned:.4f} | {one.tested:,} | {one.refused} | {one.served} of {FORMS} | {one.seconds:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
