"""Runs a program and tells how long it took and its largest memory, as JSON on stdout.

python -m loadtest.bench_child COMMAND ...

A process of its own, because Linux counts a parent's memory into the peak of the program that it starts: this one has
next to none. What the program prints to stdout is passed on, and its exit code becomes ours.
"""

import json
import os
import sys
import time


def main() -> int:
    started = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(pid, 0)
    figures = {"wall_s": round(time.perf_counter() - started, 3), "peak_rss_mib": round(usage.ru_maxrss / 1024, 1)}
    print(json.dumps(figures))  # noqa: T201
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
