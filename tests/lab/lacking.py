"""What becomes of a test where the machine lacks something: it is skipped and says why, but in CI it fails."""

import os
from typing import NoReturn

import pytest


def cannot_run(why: Exception) -> NoReturn:
    """`why` is raised in CI, which lacks nothing."""
    if os.environ.get("CI") == "true":
        raise why
    pytest.skip(str(why))
