"""Locks pyproject.toml with hashes and without any index's address.

serving.txt ⊂ training.txt ⊂ notebook.txt ⊂ development.txt, and analytics.txt, dynamodb.txt, traces.txt and ray.txt
beside training.txt; audit.txt is an environment of its own.

make lock
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
NO_ADDRESS = ["--no-emit-index-url", "--no-emit-find-links"]


def lock(name: str, extras: list[str], *within: str) -> None:
    """Versions that `within` have locked already stay, so that one environment can grow into the next."""
    constraint = [f"--constraint={HERE / each}" for each in within]
    compile_to(name, "pyproject.toml", *(f"--extra={extra}" for extra in extras), *constraint)


def compile_to(name: str, *chosen: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", *chosen, *OPTIONS, *NO_ADDRESS]
    subprocess.run([*command, f"--output-file={HERE / name}"], check=True)  # noqa: S603 - our own command


lock("serving.txt", [])
lock("training.txt", ["training"], "serving.txt")
lock("notebook.txt", ["training", "notebook"], "training.txt")
lock("analytics.txt", ["analytics"], "serving.txt")
lock("dynamodb.txt", ["dynamodb"], "serving.txt")
lock("traces.txt", ["traces"], "serving.txt")
lock("ray.txt", ["ray"], "serving.txt", "notebook.txt", "traces.txt")  # with which it shares some
within = "notebook.txt", "analytics.txt", "dynamodb.txt", "traces.txt", "ray.txt"
lock("development.txt", ["training", "notebook", "analytics", "dynamodb", "traces", "ray", "development"], *within)
compile_to("audit.txt", "--group=pyproject.toml:audit")
