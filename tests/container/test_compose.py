"""The service of deploy/compose.yaml, running. Prometheus and Grafana come from a registry that tests do not need."""

from collections.abc import Iterator

import httpx
import pytest

from loadtest.server import HOST, free_port
from tests.container.conftest import ROOT
from tests.generated import EXAMPLE
from tests.lab.compose import compose
from tests.lab.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.container]

PROJECT = ("--project-name=riskline-test", "-f", str(ROOT / "deploy/compose.yaml"))


@pytest.fixture
def url(engine: Engine, image: str) -> Iterator[str]:
    """Where it answers, as soon as Compose finds it healthy."""
    port = str(free_port())
    environment = {**engine.docker.environment, "IMAGE": image, "PORT": port}
    try:
        compose(*PROJECT, "up", "--detach", "--wait", "riskline", environment=environment)
        yield f"http://{HOST}:{port}"
    finally:
        compose(*PROJECT, "down", "--volumes", environment=environment)


def test_it_becomes_healthy_and_scores_on_the_port_that_compose_publishes(url: str) -> None:
    assert httpx.post(f"{url}/predict", json=EXAMPLE).json()["tier"] in ("low", "medium", "high")
    assert "riskline_model_info" in httpx.get(f"{url}/metrics").text
