"""The engine, the image by both ways to it, models to mount, and containers for those who only ask."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.container import Container, running_container
from model.artifact import Artifact, verify
from model.data import Labelled
from model.storage import write_folder
from model.train import Options, train
from serving.container import MOUNTED_MODEL
from tests.bento import bentoml, run
from tests.lab.debian import LabError
from tests.lab.engine import Engine, running_engine
from tests.lab.lacking import cannot_run

ROOT = Path(__file__).parent.parent.parent
ROOM = ("--memory=2g", "--cpus=2")  # for several models, and for large bodies


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        with running_engine() as engine:
            yield engine
    except LabError as error:
        cannot_run(error)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is committed, without what has been built in it."""
    folder = tmp_path_factory.mktemp("clone") / "riskline"
    left_out = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


@pytest.fixture(scope="session", params=["dockerfile", "bento"])
def image(request: pytest.FixtureRequest, engine: Engine) -> str:
    """Built by `make container`, from what a fresh clone has, or by `bentoml build` and `bentoml containerize`."""
    tag = f"riskline:test-{request.param}"
    if request.param == "dockerfile":
        options = f"BUILD_OPTIONS=--network=host --build-arg=BASE={engine.base}"
        clone = request.getfixturevalue("clone")
        run(["make", "container", f"IMAGE={tag}", options], engine.docker.environment, cwd=clone)
    else:
        home = request.getfixturevalue("bento_home")
        named = ["riskline:latest", "--image-tag", tag, "--opt", "network=host"]
        bentoml(home, "containerize", *named, **engine.docker.environment)
    return tag


@pytest.fixture(scope="session")
def other(labelled: Labelled, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    """A folder as SageMaker unpacks it, with another model than the image's."""
    files = train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None)
    folder = tmp_path_factory.mktemp("other") / "model"
    write_folder(files, folder)
    return folder, verify(files, "the other model")


@pytest.fixture(scope="session")
def served(engine: Engine, image: str) -> Iterator[Container]:
    """The image as it comes, on one core, with the model that is in it."""
    with running_container(engine.docker, image) as container:
        yield container


@pytest.fixture(scope="session")
def endpoint(engine: Engine, image: str, other: tuple[Path, Artifact]) -> Iterator[Container]:
    """The image as SageMaker starts it, with room, the other model mounted."""
    mounts = {other[0]: str(MOUNTED_MODEL)}
    with running_container(engine.docker, image, options=ROOM, mounts=mounts, ready_path="/ping") as container:
        yield container
