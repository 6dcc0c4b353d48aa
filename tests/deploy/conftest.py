"""What the tests of deploy/ share: its folder, programs that judge it, and a server that it would deploy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtest.server import ROOT, Server, running_server
from tests.lab.debian import LabError, program
from tests.lab.lacking import cannot_run

DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="session")
def needed() -> Callable[[str, str], Path]:
    """The program of that name, out of Debian's package where the machine has none; skips where neither can be."""

    def find(name: str, package: str) -> Path:
        try:
            return program(name, package)
        except LabError as error:
            cannot_run(error)

    return find


@pytest.fixture(scope="session")
def server(model_folder: Path) -> Iterator[Server]:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as running:
        yield running
