"""The figures of docs/proof.md: decisions made by a real server, replayed and verified by the commands.

python -m loadtest.proof                # 100,000 decisions, a tenth of them with reasons
python -m loadtest.proof 1000000
"""

import os
import subprocess
import sys
import tempfile
import time

import httpx
import numpy as np
from pydantic_core import to_json

from loadtest.server import ROOT, running_server
from loadtest.traffic import read_applications

DECISIONS, ROWS = 100_000, 1000  # in all, and of one request
EXPLAINED_EVERY = 10  # requests


def main() -> None:
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else DECISIONS
    with tempfile.TemporaryDirectory(prefix="riskline-proof-") as folder:
        _decide(decisions, folder)
        for command in (["decisions.replay", "--all"], ["decisions.verify"]):
            _run([*command, "--decisions", folder])


def _decide(decisions: int, folder: str) -> None:
    applications, random = read_applications(), np.random.default_rng(1)
    with (
        running_server({"RISKLINE_DECISIONS": folder}) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        for number in range(decisions // ROWS):
            body = to_json({"applications": [applications[n] for n in random.integers(0, len(applications), ROWS)]})
            parameters = {"explain": "true"} if number % EXPLAINED_EVERY == 0 else {}
            headers = {"Content-Type": "application/json"}
            client.post("/predict_batch", content=body, params=parameters, headers=headers).raise_for_status()


def _run(command: list[str]) -> None:
    """Runs a program, and says how long it took and how much memory at most."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT)  # noqa: S603 - ours
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    print(f"{command[0]}: {time.perf_counter() - started:.1f} s, {used.ru_maxrss / 1024:.0f} MiB")  # noqa: T201


if __name__ == "__main__":
    main()
