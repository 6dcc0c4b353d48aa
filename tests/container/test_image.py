"""What is in the image, and what is not."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from loadtest.container import DockerError, running_container
from model.artifact import Artifact
from model.storage import MANIFEST, read_folder, write_archive
from serving import VERSION
from tests.container.conftest import ROOT
from tests.lab.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.container]

MOST_MIB_OF_ITS_OWN = 450
LABELS = ("accept-bind-to-port", "multi-models")


def within(engine: Engine, image: str, script: str, *options: str) -> str:
    return engine.docker("run", "--rm", "--network=none", *options, "--entrypoint=sh", image, "-c", script)


def test_it_says_what_it_is(engine: Engine, image: str) -> None:
    [described] = json.loads(engine.docker("inspect", image))
    labels = described["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert all(labels[f"com.amazonaws.sagemaker.capabilities.{name}"] == "true" for name in LABELS)
    # BentoML's last step names its user, 1000 as well; for runAsNonRoot Kubernetes has to be given the number
    assert described["Config"]["User"] == ("bentoml" if image.endswith("bento") else "1000:1000")
    assert within(engine, image, "id -u; id -g").split() == ["1000", "1000"]
    assert described["Config"]["Cmd"] == ["serve"]
    bentomls_own = {"3000/tcp", "3001/tcp"} if image.endswith("bento") else set()  # nothing listens there
    assert set(described["Config"]["ExposedPorts"]) == {"8080/tcp"} | bentomls_own
    assert described["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-m", "serving.container", "health"]


def test_it_stays_small(engine: Engine, image: str) -> None:
    sizes = {name: int(engine.docker("inspect", "-f", "{{.Size}}", name)) for name in (image, engine.base)}
    assert (sizes[image] - sizes[engine.base]) / 2**20 < MOST_MIB_OF_ITS_OWN


def test_nothing_that_builds_or_trains_gets_in(engine: Engine, image: str) -> None:
    tools = (
        "for tool in cc gcc g++ make git uv; do command -v $tool; done; find / -xdev -path '*/.cache/*' -type f; true"
    )
    assert within(engine, image, tools, "--user=0") == ""
    packages = within(engine, image, "ls /opt/riskline/environment/lib/python3*/site-packages").split()
    assert "onnxruntime" in packages
    assert {"pip", "xgboost", "sklearn", "scipy", "pandas", "onnx", "ndonnx"}.isdisjoint(packages)


def test_the_application_in_it_is_what_a_bento_packs(engine: Engine, image: str) -> None:
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    packed = [ROOT / entry.strip("/") for entry in bento["include"]]
    expected = {str(path.relative_to(ROOT)) for entry in packed for path in (entry, *entry.rglob("*"))}
    expected -= {entry.strip("/") for entry in bento["exclude"]}
    # what requirements/ has is for making the image
    kinds = re.compile(r"(?!requirements/).*\.(py|js|css|html)")
    listed = within(engine, image, "cd /opt/riskline/application && find . -type f").splitlines()
    found = {path.removeprefix("./") for path in listed}
    assert {path for path in found if kinds.fullmatch(path)} == {path for path in expected if kinds.fullmatch(path)}


def test_its_bill_of_materials_is_what_is_installed_in_it(engine: Engine, image: str) -> None:
    bill = json.loads(within(engine, image, "cat /opt/riskline/sbom.json"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    *libraries, model = bill["components"]
    listing = "import importlib.metadata as m; print(*(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"
    installed = within(engine, image, f'python -I -c "{listing}"').splitlines()
    ours = {re.sub(r"[-_.]+", "-", line).lower() for line in installed}
    named = {re.sub(r"[-_.]+", "-", f"{library['name']} {library['version']}").lower() for library in libraries}
    assert ours == named
    sums = within(engine, image, "cd /opt/riskline/model && sha256sum *").splitlines()
    files = {name: digest for digest, name in map(str.split, sums)}
    listed = {file["name"]: file["hashes"][0]["content"] for file in model["components"]}
    assert listed == {name: files[name] for name in listed}
    # of the model's store BentoML brings two files more
    assert files.keys() - listed.keys() <= {MANIFEST, "model.yaml", "latest"}


@pytest.mark.parametrize("image", ["dockerfile"], indirect=True)  # BentoML compiles its environment with times in it
def test_built_again_it_is_the_same_file_by_file(engine: Engine, clone: Path, image: str) -> None:
    """Environment and application, without the cache; that training gives the same bytes is test_train.py's."""
    again = "riskline:test-again"
    engine.docker(
        "build", "--no-cache", "--network=host", "--target=application", f"--build-arg=BASE={engine.base}",
        "-t", again, str(clone),
    )  # fmt: skip
    tree = (
        "cd /opt/riskline; for folder in environment application; do find $folder -printf '%y %m %U %G %l %p\n';"
        " find $folder -type f -exec sha256sum {} +; done | sort"
    )
    first, second = (within(engine, name, tree, "--user=0").splitlines() for name in (image, again))
    engine.docker("rmi", again)
    assert len(first) > 1000
    assert sorted(set(first) ^ set(second)) == []


def test_everybody_may_read_it_and_nobody_but_root_write_it(engine: Engine, image: str) -> None:
    script = "find /opt/riskline ! -type l \\( -perm /022 -o ! -perm -004 -o ! -user 0 \\)"
    assert within(engine, image, script, "--user=0") == ""


def test_a_given_model_takes_the_place_of_the_trained_one(
    engine: Engine, clone: Path, other: tuple[Path, Artifact]
) -> None:
    folder, artifact = other
    for name in ("given.tar.gz", "given"):
        if name.endswith(".gz"):
            write_archive(read_folder(folder), clone / name)
        else:
            shutil.copytree(folder, clone / name)
        engine.build(clone, "riskline:test-given", MODEL=name)
        with running_container(engine.docker, "riskline:test-given") as container:
            manifest = json.loads(container.execute("cat", f"/opt/riskline/model/{MANIFEST}"))
        assert manifest["files"] == artifact.manifest.files
    engine.docker("rmi", "riskline:test-given")


def test_what_is_no_model_does_not_become_an_image(engine: Engine, clone: Path) -> None:
    (clone / "foreign").mkdir()
    (clone / "foreign/model.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(DockerError, match=r"is not a Riskline model: it has no manifest\.json"):
        engine.build(clone, "riskline:test-foreign", MODEL="foreign")
