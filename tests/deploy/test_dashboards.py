"""Prometheus and Grafana as the compose file sets them up: whether they ask for what the service has."""

import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server import Server
from preprocessing.encode import MODEL_FIELDS
from tests.deploy.conftest import DEPLOY
from tests.deploy.prometheus import CONFIGURATION, running_prometheus
from tests.generated import EXAMPLE
from tests.lab.waiting import until

DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
PANELS = [
    (f"{path.stem}: {panel['title']}", panel) for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]
]
QUERIES = [(title, target["expr"]) for title, panel in PANELS for target in panel["targets"]]
ANSWERED_WITHIN_S = 60.0


def some_of_everything(url: str) -> None:
    """A scored application with its reasons, one with a value missing, a refused one, a batch."""
    assert httpx.post(f"{url}/predict?explain=true", json=EXAMPLE).status_code == 200
    optional = next(field.name for field in MODEL_FIELDS if not field.required)
    assert httpx.post(f"{url}/predict", json={**EXAMPLE, optional: None}).status_code == 200
    assert httpx.post(f"{url}/predict", json={**EXAMPLE, "made_up": 1}).status_code == 422
    assert httpx.post(f"{url}/predict_batch", json={"applications": [EXAMPLE, EXAMPLE]}).status_code == 200


def exported(url: str) -> set[str]:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.slow
def test_every_panel_asks_for_metrics_that_the_service_exports(server: Server) -> None:
    some_of_everything(server.url)
    until(lambda: "riskline_drift_psi" in exported(server.url))  # it is worked out every few seconds
    names = exported(server.url)
    for title, query in QUERIES:
        asked = set(re.findall(r"\b(?:riskline|bentoml)_\w+", query))
        assert asked, title
        assert asked <= names, title


def test_every_panel_uses_the_data_source_that_is_provisioned() -> None:
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert all(panel["datasource"] == {"type": source["type"], "uid": source["uid"]} for _, panel in PANELS)
    # by this Grafana chooses how long a time it takes a rate over
    assert source["jsonData"]["timeInterval"] == yaml.safe_load(CONFIGURATION.read_text())["global"]["scrape_interval"]


def test_no_two_panels_lie_on_each_other() -> None:
    for path in DASHBOARDS:
        places = [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]
        cells = [
            (x, y)
            for at in places
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
        assert len(cells) == len(set(cells)), path.name


@pytest.mark.slow
def test_promtool_finds_nothing_wrong_with_the_configuration(needed: Callable[[str, str], Path]) -> None:
    command = [str(needed("promtool", "prometheus")), "check", "config", str(CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def prometheus(
    needed: Callable[[str, str], Path], server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(needed("prometheus", "prometheus"), server.url, folder) as url:
        yield url


def answer(prometheus: str, query: str) -> list[float]:
    """The values that Prometheus has for a panel's query at this moment."""
    parameters = {"query": query.replace("$__rate_interval", "30s")}
    heard: dict[str, Any] = httpx.get(f"{prometheus}/api/v1/query", params=parameters).json()
    assert heard["status"] == "success", heard
    return [float(series["value"][1]) for series in heard["data"]["result"]]


@pytest.mark.slow
def test_every_panel_shows_something_once_the_service_is_used(prometheus: str, server: Server) -> None:
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    blank = QUERIES
    while blank:
        assert time.monotonic() < deadline, f"nothing to see: {blank}"
        some_of_everything(server.url)
        # a quantile of nothing is not a number
        blank = [(title, query) for title, query in blank if all(map(math.isnan, answer(prometheus, query)))]
    [shares] = [answer(prometheus, query) for title, query in QUERIES if title == "risk: Share of each tier"]
    assert sum(shares) == pytest.approx(1)


@pytest.mark.slow
def test_prometheus_finds_every_rule_and_calls_nobody(prometheus: str, server: Server) -> None:
    some_of_everything(server.url)

    def groups() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
        return found

    def rules() -> list[dict[str, Any]]:
        return [rule for group in groups() for rule in group["rules"]]

    until(lambda: all(rule["health"] == "ok" for rule in rules()))
    written = yaml.safe_load((CONFIGURATION.parent / "rules.yml").read_text())["groups"]
    assert {rule["name"] for rule in rules()} == {
        rule.get("alert") or rule["record"] for group in written for rule in group["rules"]
    }
    assert [rule["name"] for rule in rules() if rule.get("state") == "firing"] == []
