"""Locks the environments of other people's programs, with hashes and without any index's address.

These are the contenders, the chart, and the SageMaker SDK that the image's tests use as a client.

python -m loadtest.bench_lock                 # all of them
python -m loadtest.bench_lock fastapi_onnx    # one
"""

import subprocess
import sys
from pathlib import Path

from loadtest.server import ROOT

ROOMS = ("loadtest", "tests")
OPTIONS = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
NO_ADDRESS = ["--no-emit-index-url", "--no-emit-find-links"]


def lock(folder: Path) -> None:
    """What the service uses too comes in the service's version: a comparison is of designs, not of releases."""
    overrides = folder / "overrides.txt"
    # what must override a requirement cannot live with the service's versions either
    versions = (
        f"--override={overrides}" if overrides.exists() else f"--constraint={ROOT / 'requirements' / 'training.txt'}"
    )
    command = [sys.executable, "-m", "uv", "pip", "compile", str(folder / "requirements.in"), *OPTIONS, *NO_ADDRESS]
    subprocess.run([*command, versions, f"--output-file={folder / 'requirements.txt'}"], check=True)  # noqa: S603


def main() -> None:
    for requirements in sorted(path for room in ROOMS for path in (ROOT / room).glob("**/requirements.in")):
        if not sys.argv[1:] or requirements.parent.name in sys.argv[1:]:
            lock(requirements.parent)


if __name__ == "__main__":
    main()
