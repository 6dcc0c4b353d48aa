"""SageMaker's contract, held by the image: read-only, without rights, the model mounted."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import pytest

pytest.register_assert_rewrite("tests.sagemaker.contract")

from loadtest.container import running_container  # noqa: E402
from serving.container import BUILT_IN_MODEL  # noqa: E402
from tests.container.conftest import ROOM  # noqa: E402
from tests.lab.engine import Engine  # noqa: E402
from tests.sagemaker.contract import *  # noqa: E402, F403
from tests.sagemaker.contract import Endpoint, Started  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.container]


@pytest.fixture(scope="session")
def model_path() -> str:
    return str(BUILT_IN_MODEL)


@pytest.fixture(scope="session")
def started(engine: Engine, image: str) -> Started:
    def start(environment: Mapping[str, str]) -> AbstractContextManager[Endpoint]:
        chosen = {"RISKLINE_MODEL": str(BUILT_IN_MODEL), **environment}
        return running_container(engine.docker, image, options=ROOM, env=chosen, ready_path="/ping")

    return start
