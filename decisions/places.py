"""Where decisions are kept: one folder for all workers of a machine, and for the commands beside them.

decisions.sqlite            the embedded store
*.journal                   what each worker has written and the store may not have yet
mirror.lock                 held by whoever copies decisions to another store
*.damaged                   a journal with a line that does not follow on the one before, as it was found
artifacts/                  the exact models that decided, each under the sha256 of its manifest
archive/                    Parquet for analytics, unless it is told to be elsewhere
"""

import os
from pathlib import Path

from decisions.errors import StoreError

VARIABLE = "RISKLINE_DECISIONS"
ARCHIVE_VARIABLE = "RISKLINE_ARCHIVE"
DEFAULT = "~/riskline/decisions"
STORE = "decisions.sqlite"
MIRROR_LOCK = "mirror.lock"
ARTIFACTS = "artifacts"


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
