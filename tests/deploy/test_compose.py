"""deploy/compose.yaml as Docker Compose understands it; tests/container/test_compose.py runs it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.server import HOST, ROOT
from serving.container import DRAIN_S, MOUNTED_MODEL
from serving.settings import read_settings
from tests.deploy.conftest import DEPLOY
from tests.lab.compose import compose

FILE = DEPLOY / "compose.yaml"
VARIABLES = ("IMAGE", "PORT", "CPUS", "MEMORY", "PROMETHEUS_VERSION", "GRAFANA_VERSION")
ENDS_WITHIN_S = 5  # what the workers cut off at the end of draining need to end


def understood(file: Path, **given: str) -> dict[str, Any]:
    """The services, with the variables' defaults where none are `given`."""
    environment = {**dict.fromkeys(VARIABLES, ""), **given}
    found = compose("-f", str(file), "config", "--format", "json", environment=environment)
    services: dict[str, Any] = json.loads(found)["services"]
    return services


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return understood(FILE)


def test_every_container_is_read_only_and_without_rights(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert 0 < service["pids_limit"] <= 512, name
        assert "privileged" not in service, name
        assert all(mount["read_only"] for mount in service.get("volumes", []) if mount["type"] == "bind"), name


def test_every_port_is_another_one_and_for_this_machine_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service["ports"]]
    assert len(ports) == len(services) == len({port["published"] for port in ports})
    assert {port["host_ip"] for port in ports} == {HOST}


def test_the_image_is_ours_and_what_others_make_is_pinned(services: dict[str, Any]) -> None:
    assert services["riskline"]["image"] == "riskline"  # as `make container` names it
    assert Path(services["riskline"]["build"]["context"]) == ROOT
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(rf"\w+/{name}:v?\d+\.\d+\.\d+", services[name]["image"])


def test_every_variable_is_heard() -> None:
    given = {name: str(number) for number, name in enumerate(VARIABLES, 1)}
    assert set(re.findall(r"\$\{(\w+)", FILE.read_text())) == set(given)
    services = understood(FILE, **given)
    ours = services["riskline"]
    images = [services[name]["image"].split(":")[1] for name in ("prometheus", "grafana")]
    heard = [ours["image"], ours["ports"][0]["published"], ours["cpus"], ours["mem_limit"], *images]
    assert [str(value) for value in heard] == list(given.values())


def test_each_waits_until_the_one_that_it_asks_is_healthy(services: dict[str, Any]) -> None:
    assert {name: set(service.get("depends_on", {})) for name, service in services.items()} == {
        "riskline": set(), "prometheus": {"riskline"}, "grafana": {"prometheus"},
    }  # fmt: skip
    for service in services.values():
        assert all(on["condition"] == "service_healthy" for on in service.get("depends_on", {}).values())
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    assert all("healthcheck" in services[name] for name in ("prometheus", "grafana"))


def test_every_file_that_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", []) if mount["type"] == "bind"]
    assert len(mounts) == 3
    assert all(any(Path(mount["source"]).iterdir()) for mount in mounts)
    [dashboards] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/riskline.yaml").read_text())["providers"]
    places = {mount["target"]: Path(mount["source"]) for mount in mounts}
    assert places[dashboards["options"]["path"]] == DEPLOY / "grafana/dashboards"
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (places[str(home.parent)] / home.name).is_file()


def test_prometheus_finds_the_service_and_grafana_finds_prometheus(services: dict[str, Any]) -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    [exposed] = re.findall(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert job["static_configs"] == [{"targets": [f"riskline:{exposed}"]}]
    assert services["riskline"]["ports"][0]["target"] == int(exposed)
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0]['target']}"


def test_nobody_can_log_in_to_grafana(services: dict[str, Any]) -> None:
    environment = services["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert not [name for service in services.values() for name in service.get("environment", {}) if "PASSWORD" in name]


def test_the_service_takes_its_settings_and_has_time_to_drain(services: dict[str, Any]) -> None:
    read_settings(services["riskline"]["environment"])
    assert int(services["riskline"]["stop_grace_period"].removesuffix("s")) >= DRAIN_S + ENDS_WITHIN_S


def test_the_model_can_come_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILE.read_text().replace("# - /srv", "- /srv"))
    _, mount = understood(tmp_path / "compose.yaml")["riskline"]["volumes"]
    assert mount["target"] == str(MOUNTED_MODEL)
    assert mount["read_only"] is True
