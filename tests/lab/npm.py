"""What npm installs for tests: below LAB, as a package-lock.json of ours says, and once."""

import os
import shutil
from pathlib import Path

from loadtest.alone import alone
from tests.lab.debian import LAB, LabError, run

INSTALL = ("npm", "ci")
QUIETLY = ("--loglevel=error", "--no-audit", "--no-fund")


def installed(name: str, locked: Path) -> Path:
    """The folder `name` below LAB with the `node_modules` of `locked`; LabError where it cannot be had here."""
    folder, lock = LAB / name, (locked / "package-lock.json").read_bytes()
    done = folder / "installed.json"  # written last
    with alone(name):
        if not done.is_file() or done.read_bytes() != lock:
            _have_npm()
            shutil.copytree(locked, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
            run(*INSTALL, *QUIETLY, "--prefix", str(folder))
            done.write_bytes(lock)
    return folder


def _have_npm() -> None:
    if shutil.which("npm"):
        return
    if os.environ.get("CI") != "true" or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError("npm is missing, with which a part of the tests is installed; install it yourself")
    run("apt-get", "-qq", "update")
    run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "npm")
