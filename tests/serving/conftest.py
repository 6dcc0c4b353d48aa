from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.server import Server, running_server


@pytest.fixture(scope="session")
def server(model_folder: Path) -> Iterator[Server]:
    """A real server with two workers; port and place of the store are its own."""
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as running:
        yield running
