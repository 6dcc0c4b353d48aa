from collections.abc import Iterator
from pathlib import Path

import pytest

from decisions.log import Log
from loadtest.server import Server, running_server
from model.artifact import Artifact
from serving.api import Api
from serving.settings import Settings


@pytest.fixture(scope="session")
def server(model_folder: Path) -> Iterator[Server]:
    """A real server with two workers; port and place of the store are its own."""
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def recording(artifact: Artifact, log: Log) -> Iterator[Api]:
    """An Api that records in `log`."""
    made = Api(artifact, Settings(), log=log)
    yield made
    made.close()
