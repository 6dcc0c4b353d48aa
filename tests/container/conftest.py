"""The engine, the image built from what a fresh clone has, and models to mount."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.artifact import Artifact, verify
from model.data import Labelled
from model.storage import write_folder
from model.train import Options, train
from tests.lab.debian import LabError
from tests.lab.engine import Engine, running_engine

ROOT = Path(__file__).parent.parent.parent
IMAGE = "riskline:test"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        with running_engine() as engine:
            yield engine
    except LabError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is committed, without what has been built in it."""
    folder = tmp_path_factory.mktemp("clone") / "riskline"
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


@pytest.fixture(scope="session")
def image(engine: Engine, clone: Path) -> str:
    engine.build(clone, IMAGE)
    return IMAGE


@pytest.fixture(scope="session")
def other(labelled: Labelled, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    """A folder as SageMaker unpacks it, with another model than the image's."""
    files = train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None)
    folder = tmp_path_factory.mktemp("other") / "model"
    write_folder(files, folder)
    return folder, verify(files, "the other model")
