"""What `bentoml build` packs: enough to serve from anywhere, in an environment with the serving requirements alone."""

import sys
import venv
from pathlib import Path

import httpx
import pytest
import yaml

from loadtest.server import HOST, running_server
from model.artifact import Artifact, verify
from model.data import Labelled
from model.storage import write_archive
from model.train import Options, train
from tests.bento import ROOT, run
from tests.generated import EXAMPLE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bento(bento_home: Path) -> Path:
    version = (bento_home / "bentos/riskline/latest").read_text().strip()
    return bento_home / "bentos/riskline" / version


@pytest.fixture(scope="module")
def serving_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has what the Bento asks for and nothing else."""
    folder = tmp_path_factory.mktemp("serving")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    install = ["-m", "pip", "install", "-qq", "--require-hashes", "-r", "requirements/serving.txt"]
    run([str(python), *install], {})
    return python


def test_only_what_serving_needs_gets_in(bento: Path) -> None:
    packed = {str(path.relative_to(bento / "src")) for path in (bento / "src").rglob("*") if path.is_file()}
    assert packed == {
        "README.md", "bentofile.yaml", "service.py",
        "model/__init__.py", "model/artifact.py", "model/changes.py", "model/charts.py", "model/errors.py",
        "model/graph.py", "model/intervals.py", "model/page.py", "model/places.py", "model/policy.py",
        "model/promote.py", "model/promotion.py", "model/psi.py", "model/reference.py", "model/score.py",
        "model/storage.py",
        "requirements/licences.py", "requirements/locked.py", "requirements/sbom.py", "requirements/serving.txt",
        *(
            str(path.relative_to(ROOT))
            for path in (ROOT / "preprocessing").rglob("*.py")
            if path.name != "features.py"  # its work is inside the model's graph
        ),
        *(
            str(path.relative_to(ROOT))
            for path in (ROOT / "decisions").glob("*.py")
            if path.name != "labelled.py"  # for training
        ),
        *(
            str(path.relative_to(ROOT))
            for path in (ROOT / "serving").glob("*.py")
            if path.name not in ("aws_lambda.py", "remote.py")  # of the Lambda in front
        ),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "console").iterdir()),
    }  # fmt: skip


def test_its_requirements_are_the_locked_ones_with_their_hashes(bento: Path) -> None:
    ours = (ROOT / "requirements/serving.txt").read_text()
    packed = (bento / "env/python/requirements.txt").read_text()
    pinned = {line.split()[0].rstrip(";") for line in packed.splitlines() if "==" in line}
    assert pinned == {line.split()[0] for line in ours.splitlines() if "==" in line}
    assert packed.count("--hash=sha256:") == ours.count("--hash=sha256:")
    assert not {"xgboost-cpu", "scikit-learn", "pandas", "scipy", "onnx"} & {
        line.split("==")[0] for line in packed.splitlines()
    }


def test_it_contains_the_model_that_was_newest(bento: Path, artifact: Artifact) -> None:
    described = yaml.safe_load((bento / "bento.yaml").read_text())
    assert [model["tag"] for model in described["models"]] == [f"riskline:{artifact.version}"]


def test_it_serves_from_another_folder_with_the_serving_requirements_alone(
    bento_home: Path, tmp_path: Path, serving_python: Path, artifact: Artifact
) -> None:
    command = [str(serving_python), "-m", "bentoml", "serve", "riskline:latest", "--host", HOST, "--port"]
    environment = {"BENTOML_HOME": str(bento_home), "RISKLINE_WORKERS": "2"}
    with running_server(environment, cwd=tmp_path, command=command) as server:
        answer = httpx.post(f"{server.url}/predict", json=EXAMPLE)
        assert answer.status_code == 200
        assert answer.json()["model_version"] == artifact.model_version


def test_it_scores_files_with_the_serving_requirements_alone(
    bento_home: Path, bento: Path, tmp_path: Path, serving_python: Path
) -> None:
    header, row = ",".join(EXAMPLE), ",".join(map(str, EXAMPLE.values()))
    (tmp_path / "in.csv").write_text(f"{header}\n{row}\n")
    arguments = ["-m", "model.score", str(tmp_path / "in.csv"), str(tmp_path / "out.parquet")]
    said = run([str(serving_python), *arguments], {"BENTOML_HOME": str(bento_home)}, cwd=bento / "src")
    assert said.startswith("1 row, 0 refused")
    assert (tmp_path / "out.parquet").is_file()


def test_a_configured_archive_goes_before_the_packed_model(
    bento_home: Path, tmp_path: Path, labelled: Labelled
) -> None:
    other = train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None)
    write_archive(other, tmp_path / "model.tar.gz")
    command = [sys.executable, "-m", "bentoml", "serve", "riskline:latest", "--host", HOST, "--port"]
    environment = {
        "BENTOML_HOME": str(bento_home),
        "RISKLINE_MODEL": str(tmp_path / "model.tar.gz"),
        "RISKLINE_WORKERS": "1",
    }
    with running_server(environment, cwd=tmp_path, command=command) as server:
        answer = httpx.post(f"{server.url}/predict", json=EXAMPLE)
        assert answer.json()["model_version"] == verify(other, "the other model").model_version
