"""Where decisions are kept: one folder for all workers of a machine, and for the commands beside them.

decisions.sqlite            the embedded store
*.journal                   what each worker has written and the store may not have yet
archive/                    Parquet for analytics, unless it is told to be elsewhere
"""

import os
from pathlib import Path

VARIABLE = "RISKLINE_DECISIONS"
ARCHIVE_VARIABLE = "RISKLINE_ARCHIVE"
DEFAULT = "~/riskline/decisions"
STORE = "decisions.sqlite"


def folder(given: str | None = None) -> Path:
    """The folder that a command is `given`, else the one in the environment, else the default."""
    return Path(given or os.environ.get(VARIABLE) or DEFAULT).expanduser()


def archive_of(decisions: Path, given: str | None = None) -> str:
    """The archive, a path or URL, that a command is `given`, else the one in the environment, else beside the store."""
    return given or os.environ.get(ARCHIVE_VARIABLE) or str(decisions / "archive")
