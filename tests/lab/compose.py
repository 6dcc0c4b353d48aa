"""The real Docker Compose, which a package of the development environment brings."""

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PROGRAM = Path(sysconfig.get_path("scripts"), "docker-compose")
COMMAND_WITHIN_S = 300.0


def compose(*arguments: str, environment: Mapping[str, str]) -> str:
    """What it wrote to stdout, with `environment` on top of this process's; what it complains of becomes the error."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
