"""The lab's engine after a run of the tests that could not end in order."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.conftest import ROOT
from tests.lab.debian import LAB, LabError, unpacked
from tests.lab.engine import PACKAGES, NoEngineError, _missing
from tests.lab.lacking import cannot_run

pytestmark = [pytest.mark.slow, pytest.mark.container]

START = """
import sys
from tests.lab.engine import PACKAGES, _daemon, unpacked
with _daemon(unpacked("engine", *PACKAGES)) as engine:
    print("up", flush=True)
    sys.stdin.read()
"""


def started(cache: Path) -> "subprocess.Popen[str]":
    """A program that has an engine in a lab of its own, until its stdin ends."""
    command = [sys.executable, "-c", START]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    program = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "up\n"
    return program


def left_of(state: Path) -> list[str]:
    """Mounts and processes that still know the engine's folder."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{state}/" in line]
    running = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            running.append(arguments.read_bytes().decode(errors="replace"))
        except OSError:  # it has just ended
            continue
    return mounts + [arguments for arguments in running if f"{state}/" in arguments]


@pytest.fixture
def cache() -> Iterator[Path]:
    """A folder with a short name: the path of a socket may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="lab-", dir="/tmp") as folder:
        yield Path(folder)


def test_it_starts_again_after_its_user_was_killed_and_leaves_nothing(cache: Path) -> None:
    try:
        if missing := _missing():
            raise NoEngineError(missing)
        engine = unpacked("engine", *PACKAGES)
    except LabError as error:
        cannot_run(error)
    lab = cache / LAB.name
    lab.mkdir()
    (lab / "engine").symlink_to(engine)
    state = lab / "run"

    program = started(cache)
    program.send_signal(signal.SIGKILL)
    program.communicate()
    (state / "mounted").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(state / "mounted")], check=True)
    assert len(left_of(state)) > 1  # the mount, and an engine that nobody ends

    program = started(cache)
    program.communicate(timeout=120)
    assert program.returncode == 0
    assert left_of(state) == []
