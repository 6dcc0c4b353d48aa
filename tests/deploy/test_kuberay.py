"""deploy/kuberay: whether Kubernetes understands the pods, and whether they fit the image and the command.

Nothing here knows KubeRay's own keys: they were compared with its definitions of resources by hand.
"""

import re
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.server import ROOT
from model import score
from serving import VERSION
from serving.container import command
from serving.settings import read_settings
from tests.deploy.conftest import DEPLOY
from tests.deploy.test_kubernetes import NEWEST, OLDEST, validate

TEXT = (DEPLOY / "kuberay/job.yaml").read_text()
JOB = yaml.safe_load(TEXT)
CLUSTER = JOB["spec"]["rayClusterSpec"]
HEAD = CLUSTER["headGroupSpec"]
[WORKERS] = CLUSTER["workerGroupSpecs"]
RAYS_OWN_GIB, WORKER_GIB = 1, 0.5  # docs/beyond-one-machine.md has the second
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def container(group: Any) -> Any:
    [found] = group["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
@pytest.mark.parametrize("group", [HEAD, WORKERS], ids=["head", "workers"])
def test_kubernetes_knows_every_key_of_the_pods(group: Any, kubernetes: str, tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    done = validate(tmp_path / "pod.yaml", kubernetes)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_head_runs_what_the_image_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    program, _, no_failure = JOB["spec"]["entrypoint"].partition(" || ")
    python, dash_m, module, *arguments = shlex.split(program)
    assert (python, dash_m, module) == ("python", "-m", "serving.container")
    assert no_failure == "[ $? -eq 2 ]"
    assert "  2  finished" in score.CODES
    started = command(arguments, {})
    assert started[1:3] == ["-m", "model.score"]
    monkeypatch.setattr(sys, "argv", started[2:])
    parsed = score.arguments()
    assert (parsed.engine, parsed.address) == ("ray", None)  # RAY_ADDRESS is set for what a cluster runs


def test_the_image_is_this_version_with_the_ray_that_is_locked() -> None:
    assert CLUSTER["rayVersion"] == version("ray")
    assert f"ray=={version('ray')} " in (ROOT / "requirements/ray.txt").read_text()
    image = container(HEAD)["image"]
    assert image == container(WORKERS)["image"]
    assert image.endswith(f"/riskline:{VERSION}-ray")
    assert f"docker build --build-arg REQUIREMENTS=ray -t {image} .\n" in TEXT
    assert "COPY requirements/${REQUIREMENTS}.txt" in DOCKERFILE


def test_every_process_finds_the_application_and_tells_nobody_of_it() -> None:
    [folder] = re.findall(r"^WORKDIR (/opt/riskline/application)$", DOCKERFILE, re.M)[-1:]
    for group in (HEAD, WORKERS):
        variables = {variable["name"]: variable["value"] for variable in container(group)["env"]}
        assert variables == {"PYTHONPATH": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        read_settings(variables)
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_files_are_scored_by_the_workers_alone_which_have_a_core_for_each() -> None:
    assert HEAD["rayStartParams"] == {"num-cpus": "0"}
    granted = container(WORKERS)["resources"]
    assert granted["requests"] == granted["limits"]
    cores, gib = int(granted["limits"]["cpu"]), int(granted["limits"]["memory"].removesuffix("Gi"))
    assert RAYS_OWN_GIB + WORKER_GIB * cores <= gib
    assert WORKERS["minReplicas"] == WORKERS["replicas"] == WORKERS["maxReplicas"]


def test_the_pods_have_no_rights() -> None:
    for group in (HEAD, WORKERS):
        assert group["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
        assert container(group)["securityContext"] == {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
