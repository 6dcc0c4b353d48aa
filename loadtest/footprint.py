"""Start-up time, memory of a worker and size of the serving environment: the figures of README's second table.

python -m loadtest.footprint
"""

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import httpx
import psutil

from loadtest.server import ROOT, ServerNotReadyError, running_server
from preprocessing.encode import FIELDS

SERVING = ROOT / "requirements/serving.txt"
REQUESTS = 10_000
EXAMPLE = {field.name: field.kind.example for field in FIELDS}


def main() -> None:
    try:
        figures = {**_start_up_and_memory(), **_environment()}
    except ServerNotReadyError as error:
        sys.exit(f"footprint: {error}")
    print(json.dumps(figures, indent=1))  # noqa: T201


def _start_up_and_memory() -> dict[str, float]:
    started = time.perf_counter()
    with running_server({"RISKLINE_WORKERS": "1"}) as server, httpx.Client(base_url=server.url) as client:
        client.post("/predict", json=EXAMPLE).raise_for_status()
        first_answer = time.perf_counter() - started
        [worker] = psutil.Process(server.pid).children()
        idle = worker.memory_info().rss
        for _ in range(REQUESTS):
            client.post("/predict", json=EXAMPLE).raise_for_status()
        return {
            "seconds to the first answer": round(first_answer, 2),
            "MiB of a worker at start": round(idle / 2**20, 1),
            f"MiB of a worker after {REQUESTS:,} requests": round(worker.memory_info().rss / 2**20, 1),
        }


def _environment() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "-qq", "--require-hashes", "-r", str(SERVING)], check=True)  # noqa: S603 - our own command
        subprocess.run([*pip, "uninstall", "-qq", "-y", "setuptools", "pip"], check=True)  # noqa: S603 - our own command
        [packages] = Path(folder).glob("lib/python*/site-packages")
        size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
        count = len(list(packages.glob("*.dist-info")))
        return {"MiB of the serving environment": round(size / 2**20), "packages in it": count}


if __name__ == "__main__":
    main()
