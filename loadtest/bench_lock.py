"""Locks the environments that stand beside the service's: contenders, chart, and what tests need of other people's.

With hashes, and without any index's address.

python -m loadtest.bench_lock                 # all of them
python -m loadtest.bench_lock fastapi_onnx    # one
"""

import subprocess
import sys
from pathlib import Path

from loadtest.server import ROOT

BENCH = ROOT / "loadtest"

OPTIONS = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
NO_ADDRESS = ["--no-emit-index-url", "--no-emit-find-links"]


def lock(folder: Path) -> None:
    """What the service uses too comes in the service's version: a comparison is of designs, not of releases."""
    overrides = folder / "overrides.txt"
    if overrides.exists():  # who must override a requirement cannot live with the service's versions either
        versions = [f"--override={overrides}"]
    elif BENCH in folder.parents:
        versions = [f"--constraint={ROOT / 'requirements' / 'training.txt'}"]
    else:  # tests compare nothing
        versions = []
    command = [sys.executable, "-m", "uv", "pip", "compile", str(folder / "requirements.in"), *OPTIONS, *NO_ADDRESS]
    subprocess.run([*command, *versions, f"--output-file={folder / 'requirements.txt'}"], check=True)  # noqa: S603 - our own command


def main() -> None:
    for requirements in sorted([*BENCH.glob("**/requirements.in"), *(ROOT / "tests").glob("**/requirements.in")]):
        if not sys.argv[1:] or requirements.parent.name in sys.argv[1:]:
            lock(requirements.parent)


if __name__ == "__main__":
    main()
