"""The alerts: what promtool says of them, whether the service exports what they look at, and what to do about each."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import yaml

from loadtest.server import ROOT
from serving import drift_metrics, metrics
from tests.deploy.conftest import DEPLOY

FOLDER = DEPLOY / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOK = ROOT / "docs/operate.md"
OTHERS = {"up"}  # Prometheus' own


def test_prometheus_loads_the_rules() -> None:
    assert yaml.safe_load((FOLDER / "prometheus.yml").read_text())["rule_files"] == ["rules.yml"]


@pytest.mark.slow
def test_every_alert_fires_and_is_silent_as_promtool_is_told(needed: Callable[[str, str], Path]) -> None:
    command = [str(needed("promtool", "prometheus")), "test", "rules", str(FOLDER / "rules.test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_told_when_to_fire_and_when_not_to() -> None:
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "rules.test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == ALERTS.keys()
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == ALERTS.keys()


def test_every_rule_looks_at_metrics_that_the_service_declares() -> None:
    declared = {rule["record"] for rule in RULES if "record" in rule}
    for value in [*vars(metrics).values(), *vars(drift_metrics).values()]:
        metric = value if isinstance(value, prometheus_client.Gauge) else getattr(value, "metric", None)
        for family in metric.describe() if metric is not None else ():
            kinds = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
            declared |= {family.name + ending for ending in kinds.get(family.type, ("",))}
    for rule in RULES:
        asked = set(re.findall(r"\briskline[\w:]+(?=[{\[ )\n]|$)", rule["expr"]))
        assert asked <= declared, rule
        assert asked or OTHERS & set(re.findall(r"\w+", rule["expr"])), rule


def test_every_alert_has_its_page_in_the_runbook_and_no_page_is_of_none() -> None:
    pages = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert pages == list(ALERTS)
    for name, alert in ALERTS.items():
        assert alert["annotations"]["runbook"] == f"docs/operate.md#{name.lower()}"
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in ("page", "ticket")


def test_every_page_says_what_it_means_and_what_to_do() -> None:
    for page in re.split(r"^### ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        assert "**Means.**" in page, page
        assert "**Do.**" in page, page
