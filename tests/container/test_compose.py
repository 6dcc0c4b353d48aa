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
def environment(engine: Engine, image: str) -> Iterator[dict[str, str]]:
    """For a service on a port of its own; whatever Compose makes of it is gone at the end."""
    chosen = {**engine.docker.environment, "IMAGE": image, "PORT": str(free_port())}
    try:
        yield chosen
    finally:
        compose(*PROJECT, "down", "--volumes", environment=chosen)


def test_it_becomes_healthy_scores_on_its_port_and_keeps_decisions(environment: dict[str, str]) -> None:
    url = f"http://{HOST}:{environment['PORT']}"

    def answer() -> str:
        """As soon as Compose finds it healthy."""
        compose(*PROJECT, "up", "--detach", "--wait", "riskline", environment=environment)
        return httpx.post(f"{url}/predict?explain=true", json=EXAMPLE, headers={"Idempotency-Key": "key"}).text

    first = answer()
    assert "riskline_model_info" in httpx.get(f"{url}/metrics").text
    compose(*PROJECT, "down", environment=environment)
    assert '"decision_id":"key"' in first
    assert answer() == first
    # asked for without reasons, and yet the first decision
    assert httpx.post(f"{url}/predict", json=EXAMPLE, headers={"Idempotency-Key": "key"}).text == first
