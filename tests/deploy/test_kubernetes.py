"""deploy/kubernetes: whether Kubernetes understands it, and whether it fits the image and the service."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from loadtest.server import ROOT, Server
from serving import VERSION
from serving.container import DRAIN_S, MOUNTED_MODEL
from serving.settings import SettingsError, read_settings
from tests.deploy.conftest import DEPLOY

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES = {
    resource["kind"]: resource
    for resource in (yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"])
}
DEPLOYMENT = RESOURCES["Deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
ANNOTATIONS = DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

OLDEST, NEWEST = "1.30", "1.37"  # of Kubernetes; preStop can sleep since the first
ENDS_WITHIN_S = 5  # what the workers cut off at the end of draining need to end
IDLE_MIB = 170  # the first worker with its supervisor, as the README says; each other takes less


def validate(path: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--kubernetes-version", version, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", KUSTOMIZATION["resources"])
def test_kubernetes_knows_every_key(name: str, version: str) -> None:
    done = validate(FOLDER / name, version)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_that_kubernetes_does_not_know_is_found(tmp_path: Path) -> None:
    text = (FOLDER / "deployment.yaml").read_text()
    (tmp_path / "deployment.yaml").write_text(text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))
    assert validate(tmp_path / "deployment.yaml", NEWEST).returncode != 0


@pytest.mark.slow
def test_kubectl_renders_every_resource_with_the_image_that_the_kustomization_names(
    needed: Callable[[str, str], Path],
) -> None:
    kubectl = needed("kubectl", "kubernetes-client")
    rendered = subprocess.run(
        [kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    found = {resource["kind"]: resource for resource in yaml.safe_load_all(rendered)}
    assert found.keys() == RESOURCES.keys()
    [image] = KUSTOMIZATION["images"]
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container == {**CONTAINER, "image": f"{image['newName']}:{image['newTag']}"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder"), [("mounted-model.yaml", str(MOUNTED_MODEL)), ("keys.yaml", "/etc/riskline")]
)
def test_models_and_keys_can_come_from_volumes(
    needed: Callable[[str, str], Path], name: str, folder: str, tmp_path: Path
) -> None:
    kubectl = needed("kubectl", "kubernetes-client")
    # the lines that an operator uncomments name a patch, which we apply as kubectl does
    uncommented = re.sub(r"^# (patches:|  - path)", r"\1", (FOLDER / "kustomization.yaml").read_text(), flags=re.M)
    assert {"path": name} in yaml.safe_load(uncommented)["patches"]
    command = [str(kubectl), "patch", "--local", "-o", "yaml", "-f", str(FOLDER / "deployment.yaml")]
    command += ["--patch", (FOLDER / name).read_text()]
    patched = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    pod = yaml.safe_load(patched)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {folder, "/tmp"}
    assert mounts[folder]["readOnly"]
    assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in pod["volumes"]}
    read_settings({entry["name"]: entry["value"] for entry in container["env"]})
    (tmp_path / "patched.yaml").write_text(patched)
    done = validate(tmp_path / "patched.yaml", NEWEST)
    assert done.returncode == 0, done.stdout + done.stderr


def selectors(value: Any) -> Iterator[dict[str, str]]:
    """Every selector of pods below `value`, but those of who may send requests."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in ("selector", "podSelector", "labelSelector"):
                yield below.get("matchLabels", below)
            elif key not in ("ingress", "egress"):
                yield from selectors(below)
    elif isinstance(value, list):
        for below in value:
            yield from selectors(below)


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_every_selector_selects_the_pods(kind: str) -> None:
    found = list(selectors(RESOURCES[kind]["spec"]))
    assert found
    assert all(selector and selector.items() <= LABELS.items() for selector in found)


def test_the_autoscaler_scales_the_deployment_and_nothing_else_does() -> None:
    target = RESOURCES["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target == {
        "apiVersion": DEPLOYMENT["apiVersion"], "kind": "Deployment", "name": DEPLOYMENT["metadata"]["name"],
    }  # fmt: skip
    assert "replicas" not in DEPLOYMENT["spec"]


def test_every_port_is_the_images() -> None:
    [exposed] = re.findall(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    [port] = CONTAINER["ports"]
    assert port["containerPort"] == int(exposed)
    assert ANNOTATIONS["prometheus.io/port"] == exposed
    [served] = RESOURCES["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert all(CONTAINER[probe]["httpGet"]["port"] == port["name"] for probe in PROBES)
    [let_in] = RESOURCES["NetworkPolicy"]["spec"]["ingress"]
    assert let_in["ports"] == [{"port": port["name"]}]


@pytest.mark.slow
def test_the_service_answers_what_kubernetes_and_prometheus_ask(server: Server) -> None:
    asked = [CONTAINER[probe]["httpGet"]["path"] for probe in PROBES] + [ANNOTATIONS["prometheus.io/path"]]
    assert [httpx.get(server.url + path).status_code for path in asked] == [200] * 4


def test_sigkill_comes_after_all_is_drained() -> None:
    sleep_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] >= sleep_s + DRAIN_S + ENDS_WITHIN_S


def test_the_pod_has_no_rights_and_can_write_to_tmp_alone() -> None:
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert CONTAINER["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    [volume], [mount] = POD["volumes"], CONTAINER["volumeMounts"]
    assert mount == {"name": volume["name"], "mountPath": "/tmp"}
    assert volume["emptyDir"]["sizeLimit"].endswith("Gi")


def test_nothing_gets_out_and_in_only_what_the_policy_names() -> None:
    policy = RESOURCES["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    [let_in] = policy["ingress"]
    namespace, prometheus = let_in["from"]
    assert namespace == {"podSelector": {}}
    assert prometheus["namespaceSelector"]["matchLabels"]
    assert prometheus["podSelector"]["matchLabels"]


def test_there_is_memory_for_a_worker_on_each_core() -> None:
    granted = CONTAINER["resources"]["limits"]
    assert CONTAINER["resources"]["requests"] == granted
    cores, gib = int(granted["cpu"]), int(granted["memory"].removesuffix("Gi"))
    assert cores * IDLE_MIB < gib * 1024 / 2


def test_the_service_takes_the_settings_and_would_not_take_kubernetes_own_variables() -> None:
    read_settings({variable["name"]: variable["value"] for variable in CONTAINER["env"]})
    [port] = RESOURCES["Service"]["spec"]["ports"]
    linked = f"{RESOURCES['Service']['metadata']['name'].upper()}_SERVICE_PORT"
    with pytest.raises(SettingsError):
        read_settings({linked: str(port["port"])})
    assert POD["enableServiceLinks"] is False


def test_the_image_is_this_version() -> None:
    [image] = KUSTOMIZATION["images"]
    assert image["name"] == CONTAINER["image"]
    assert image["newTag"] == VERSION
