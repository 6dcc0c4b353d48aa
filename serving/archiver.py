"""The archive kept up to date beside the service: the command of decisions/archive.py, again and again.

In a process of its own: Arrow's memory goes back when it ends, and no request waits for the interpreter.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path

from decisions.places import VARIABLE, folder
from serving.settings import Settings

log = logging.getLogger("riskline")

ROOT = Path(__file__).parent.parent


async def keep_archived(settings: Settings) -> None:
    """Runs until it is cancelled. What cannot be archived is tried again the next time; nothing is lost meanwhile."""
    # the archive's address is there already, and may hold what nobody should see in a list of processes
    environment = {**os.environ, VARIABLE: str(folder(settings.decisions))}
    while True:
        await asyncio.sleep(settings.archive_every_min * 60)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "decisions.archive",
                cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:  # no memory, or no more processes or files
            log.warning("decisions were not archived: %s", error)
            continue
        try:
            _, said = await process.communicate()
        except asyncio.CancelledError:
            process.terminate()  # the next one goes on where it stopped
            raise
        if process.returncode:
            log.warning("decisions were not archived: %s", said.decode(errors="replace").strip())
