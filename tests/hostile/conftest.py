from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.server import Server, running_server


@pytest.fixture(scope="session", params=["fast", "bentoml"])
def lane(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[Server]:
    """A real server for each of the two ways that a request can take, one after the other."""
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "1",
        "RISKLINE_FAST_LANE": str(request.param == "fast").lower(),
        "RISKLINE_ACCESS_LOG": "true",
    }
    with running_server(environment) as server:
        yield server
