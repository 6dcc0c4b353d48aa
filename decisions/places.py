"""Where decisions are kept: one folder for all workers of a machine, and for the commands beside them.

decisions.sqlite            the embedded store
*.journal                   what each worker has written and the store may not have yet
"""

import os
from pathlib import Path

VARIABLE = "RISKLINE_DECISIONS"
DEFAULT = "~/riskline/decisions"
STORE = "decisions.sqlite"


def folder(given: str | None = None) -> Path:
    """The folder that a command is `given`, else the one in the environment, else the default."""
    return Path(given or os.environ.get(VARIABLE) or DEFAULT).expanduser()
