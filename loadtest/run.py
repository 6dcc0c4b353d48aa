"""The load test from start to end: a server of its own, locust against it, the verdict as the exit code.

    python -m loadtest.run                           # leaves build/loadtest.html
    LOADTEST_SECONDS=300 python -m loadtest.run --report long.html

It serves the newest model of the store, or RISKLINE_MODEL, and trains one first if there is none.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from loadtest import plan
from loadtest.server import ROOT, Server, ServerNotReadyError, running_server

REPORT = ROOT / "build" / "loadtest.html"
DRAIN_S = 5  # users may finish the request they are in
SPARE_S = 120  # over the plan's length: locust's own start, ramps that lag, the report


def has_model(environment: Mapping[str, str]) -> bool:
    """Whether `bentoml serve` would find a model: the rule of `make serve`."""
    store = Path(environment.get("BENTOML_HOME") or Path.home() / "bentoml")
    return bool(environment.get("RISKLINE_MODEL")) or (store / "models" / "riskline" / "latest").is_file()


def train() -> None:
    subprocess.run([sys.executable, "-m", "model.train"], cwd=ROOT, check=True)


def load(server: Server, report: Path, seconds: float) -> int:
    """Runs locust against the server and gives its exit code: 0 where every threshold held."""
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--host", server.url]
    options = ["--headless", "--only-summary", "--stop-timeout", str(DRAIN_S), "--html", str(report)]
    return subprocess.run([*command, *options], cwd=ROOT, timeout=seconds + SPARE_S).returncode  # noqa: S603 - our own command


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.run", description="Load-test the service.")
    parser.add_argument(
        "--report", type=Path, default=REPORT, help=f"HTML report (default: {REPORT.relative_to(ROOT)})"
    )
    report = parser.parse_args().report.resolve()
    # SIGTERM would end us without a word to the server, whose session is its own
    signal.signal(signal.SIGTERM, _exit)
    try:
        seconds = plan.seconds(os.environ)
    except ValueError as error:
        sys.exit(f"loadtest: {error}")
    try:
        if not has_model(os.environ):
            train()
        with running_server({}) as server:
            code = load(server, report, seconds)
            if code:
                print(f"The server's last lines:\n{server.log_tail()}", file=sys.stderr)  # noqa: T201
    except (ServerNotReadyError, subprocess.SubprocessError) as error:
        sys.exit(f"loadtest: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"Report: {report}")  # noqa: T201
    return code


def _exit(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
