"""A real server whose decisions go on to DynamoDB: what it says of itself while that is away, and afterwards."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server import running_server
from tests.decisions.conftest import TABLE, dynalite, items, nobody, proxy
from tests.decisions.decided import EXAMPLE
from tests.lab.dynamodb import Dynalite, Proxy, dropped
from tests.lab.waiting import until

__all__ = ["dynalite", "nobody", "proxy"]  # pytest finds them here

pytestmark = pytest.mark.slow


def metric(url: str, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    [value] = [sample.value for family in families for sample in family.samples if sample.name == name]
    return value


def test_the_service_goes_on_without_dynamodb_until_the_spool_is_full(
    model_folder: Path, tmp_path: Path, dynalite: Dynalite, proxy: Proxy
) -> None:
    environment = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "2",
        "RISKLINE_DECISIONS": str(tmp_path / "decisions"),
        "RISKLINE_STORE": f"dynamodb:{TABLE}",
        "RISKLINE_MAX_JOURNAL_MB": "0.03",
    }
    with running_server(environment) as server:
        given: list[str] = []

        def ask() -> int:
            answer = httpx.post(f"{server.url}/predict", json=EXAMPLE)
            if answer.status_code == 200:
                given.append(answer.json()["decision_id"])
            else:
                assert (answer.status_code, answer.json()["error"]) == (503, "not_recorded")
            return answer.status_code

        def ready() -> int:
            return httpx.get(f"{server.url}/readyz").status_code

        assert ask() == 200
        until(lambda: len(items(dynalite)) == 1)
        proxy.behave = dropped
        assert ask() == 200, "who asks is answered while DynamoDB is away"
        until(lambda: ask() == 503)
        until(lambda: ready() == 503)
        assert httpx.get(f"{server.url}/livez").status_code == 200
        # a host that replaced this one would throw away what only its disk has
        assert httpx.get(f"{server.url}/ping").status_code == 200
        until(lambda: metric(server.url, "riskline_store_backlog_bytes") > 30_000)
        until(lambda: metric(server.url, "riskline_store_lag_seconds") > 0.5)
        proxy.behave = lambda operation, sent: None  # noqa: ARG005
        until(lambda: items(dynalite).keys() == set(given))
        until(lambda: all(ready() == 200 for _ in range(4)))
        until(lambda: metric(server.url, "riskline_store_backlog_bytes") == 0)
        assert metric(server.url, "riskline_store_conflicts") == 0
        until(lambda: ask() == 200)  # each worker looks for itself whether there is room
    assert items(dynalite).keys() == set(given), "what was made last is copied before the end"


@pytest.mark.usefixtures("proxy")
def test_a_table_that_is_missing_ends_start_up_in_one_line(model_folder: Path) -> None:
    environment = {"RISKLINE_MODEL": str(model_folder), "RISKLINE_STORE": "dynamodb:missing"}
    with pytest.raises(Exception, match=r"riskline: DynamoDB has no table missing in"), running_server(environment):
        pass
