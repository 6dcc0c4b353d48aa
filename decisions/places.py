"""Where decisions are kept: one folder for all workers of a machine, and for the commands beside them.

decisions.sqlite            the embedded store
*.journal                   what each worker has written and the store may not have yet
mirror.lock                 held by whoever copies decisions to another store
"""

import os
from pathlib import Path

VARIABLE = "RISKLINE_DECISIONS"
DEFAULT = "~/riskline/decisions"
STORE = "decisions.sqlite"
MIRROR_LOCK = "mirror.lock"


def folder(given: str | None = None) -> Path:
    """The folder that a command is `given`, else the one in the environment, else the default."""
    return Path(given or os.environ.get(VARIABLE) or DEFAULT).expanduser()
