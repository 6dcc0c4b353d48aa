"""What many tests share: one model trained on the bundled data, as files, folder and verified artefact."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from model.artifact import Artifact, verify
from model.data import Labelled, read_labelled
from model.storage import write_folder
from model.train import BUNDLED, Options, train
from preprocessing.schema import BAD, LABEL
from tests.bento import build_bento

# machines that run this are shared: how long an example takes says nothing
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def labelled() -> Labelled:
    return read_labelled(BUNDLED, LABEL, BAD)


@pytest.fixture(scope="session")
def files(labelled: Labelled) -> Mapping[str, bytes]:
    return train(labelled, Options(cv_seeds=0, report_seeds=1), step=lambda _: None)


@pytest.fixture(scope="session")
def artifact(files: Mapping[str, bytes]) -> Artifact:
    return verify(files, "the tests' model")


@pytest.fixture(scope="session")
def model_folder(files: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "artifact"
    write_folder(files, folder)
    return folder


@pytest.fixture(scope="session")
def bento_home(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A BentoML home with the tests' model and a Bento built from it."""
    home = tmp_path_factory.mktemp("bentoml")
    build_bento(home, model_folder)
    return home
