"""A Ray cluster of this machine alone, as a program that is told from outside when to end.

python -m tests.lab.ray_head    # prints its address; ends with its stdin
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from loadtest.server import ROOT
from serving.offline_ray import ALONE, QUIET

CPUS = 2
WITHIN_S = 60


@contextmanager
def running_head(environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a cluster with two CPUs, which runs until the block ends."""
    command = [sys.executable, "-m", "tests.lab.ray_head"]
    head = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **QUIET, **ALONE, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert head.stdin
    assert head.stdout
    try:
        yield head.stdout.readline().strip()
    finally:
        head.stdin.close()
        head.wait(WITHIN_S)
        head.stdout.close()


def main() -> None:
    import ray

    ray.init("local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    print(ray.get_runtime_context().gcs_address, flush=True)  # noqa: T201
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
