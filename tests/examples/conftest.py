"""What the examples' tests share: a copy of `examples/` with what npm installs for it, and a file that travels."""

import shutil
from pathlib import Path

import pytest

from loadtest.server import ROOT
from model.artifact import Artifact
from model.portable import portable
from tests.lab.debian import LabError
from tests.lab.lacking import cannot_run
from tests.lab.npm import installed

MODEL = "build/riskline.onnx"


@pytest.fixture(scope="session")
def travelled(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file alone, at its place, and the examples without what they need from npm."""
    root = tmp_path_factory.mktemp("travelled")
    (root / MODEL).parent.mkdir()
    (root / MODEL).write_bytes(portable(artifact))
    shutil.copytree(ROOT / "examples", root / "examples", ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    return root


@pytest.fixture(scope="session")
def node_example(travelled: Path) -> Path:
    return _with_packages(travelled / "examples/node")


@pytest.fixture(scope="session")
def browser_example(travelled: Path) -> Path:
    return _with_packages(travelled / "examples/browser")


def _with_packages(example: Path) -> Path:
    try:
        packages = installed(f"example-{example.name}", ROOT / "examples" / example.name)
    except LabError as error:
        cannot_run(error)
    (example / "node_modules").symlink_to(packages / "node_modules")
    return example
