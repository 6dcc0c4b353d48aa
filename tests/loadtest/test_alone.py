"""Processes take turns."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from loadtest.alone import alone
from loadtest.server import ROOT
from tests.lab.waiting import until

OTHER = """
import sys
from pathlib import Path
from loadtest.alone import alone
with alone(sys.argv[1]):
    Path(sys.argv[2]).touch()
"""


def waits(pid: int) -> bool:
    """Whether the kernel has the process among those that wait for a lock."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any(line.split()[1] == "->" and str(pid) in line.split() for line in lines)


def test_another_process_waits_until_the_block_is_left(tmp_path: Path) -> None:
    what, entered = f"test-{uuid4()}", tmp_path / "entered"
    with alone(what):
        other = subprocess.Popen([sys.executable, "-c", OTHER, what, str(entered)], cwd=ROOT)
        until(lambda: waits(other.pid))
        assert not entered.exists()
    assert other.wait(60) == 0
    assert entered.exists()
