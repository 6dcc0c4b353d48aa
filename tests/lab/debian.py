"""Programs out of Debian's packages, for tests that need the real ones: unpacked aside, never installed.

What has been downloaded stays below LAB for the next time.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from loadtest.alone import alone

LAB = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "riskline-lab"
COMMAND_WITHIN_S = 600.0
ALONE = {"apt-get", "npm"}  # they end at once where another of them is at work


class LabError(RuntimeError):
    """Why what a test needs cannot be had here, in one line."""


def program(name: str, package: str) -> Path:
    """The machine's own program of that name, else the one in Debian's `package`."""
    if own := shutil.which(name):
        return Path(own)
    if sys.platform != "linux" or not shutil.which("apt-get"):
        raise LabError(f"{name} is missing, and this is no Debian to get it from; install it yourself")
    return unpacked(package, package) / "usr/bin" / name


def unpacked(folder: str, *packages: str) -> Path:
    """The folder below LAB with what is in Debian's packages, downloaded at the first time."""
    root = LAB / folder
    if root.is_dir():
        return root
    LAB.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=LAB, prefix=f"{folder}.") as name:
        downloaded, aside = Path(name, "packages"), Path(name, "root")
        downloaded.mkdir()
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages]
        if subprocess.run(download, cwd=downloaded, capture_output=True).returncode != 0:
            run("apt-get", "-qq", "update")  # the lists are older than the packages, or there are none yet
            run(*download, cwd=downloaded)
        for package in sorted(downloaded.iterdir()):
            run("dpkg", "-x", str(package), str(aside))
        try:
            aside.rename(root)
        except OSError:
            if not root.is_dir():  # else another run of the tests was faster
                raise
    return root


def run(*command: str, cwd: Path | None = None, within_s: float = COMMAND_WITHIN_S) -> str:
    """What the command wrote to stdout; LabError with the end of its output where it fails."""
    with alone(command[0]) if command[0] in ALONE else nullcontext():
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s
        )
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
    return done.stdout
