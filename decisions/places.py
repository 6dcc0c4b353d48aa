"""Where decisions are kept: one folder for all workers of a machine, and for the commands beside them.

decisions.sqlite            the embedded store
*.journal                   what each worker has written and the store may not have yet
archive.lock, mirror.lock   held by whoever copies decisions to the archive, and to another store
*.damaged                   a journal with a line that does not follow on the one before, as it was found
usage/                      how much of its limits each API key has used
artifacts/                  the exact models that decided, each under the sha256 of its manifest
archive/                    Parquet for analytics, unless it is told to be elsewhere
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decisions.errors import StoreError

VARIABLE = "RISKLINE_DECISIONS"
ARCHIVE_VARIABLE = "RISKLINE_ARCHIVE"
DEFAULT = "~/riskline/decisions"
STORE = "decisions.sqlite"
ARCHIVE_LOCK, MIRROR_LOCK = "archive.lock", "mirror.lock"
ARTIFACTS = "artifacts"
USAGE = "usage"


def folder(given: str | None = None) -> Path:
    """The folder that a command is `given`, else the one in the environment, else the default."""
    return Path(given or os.environ.get(VARIABLE) or DEFAULT).expanduser()


def existing(given: str | None = None) -> Path:
    """The same for a command that reads; StoreError where nothing was ever recorded there."""
    place = folder(given)
    if not (place / STORE).is_file():
        raise StoreError(f"there are no decisions in {place}; name their folder with --decisions or {VARIABLE}")
    return place


def archive_of(decisions: Path, given: str | None = None) -> str:
    """The archive, a path or URL, that a command is `given`, else the one in the environment, else beside the store."""
    return given or os.environ.get(ARCHIVE_VARIABLE) or str(decisions / "archive")


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[bool]:
    """Nobody else holds the lock in this file meanwhile; False where somebody does, and `wait` is not wanted."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(file)
