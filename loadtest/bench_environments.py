"""What must be there before anything is measured: wrk, an environment for each contender, the models.

Everything is made under build/bench; an environment is made anew only when its requirements have changed.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest import bench_tables
from loadtest.alone import alone
from loadtest.bench_tables import Codes
from loadtest.server import ROOT

BUILD = ROOT / "build" / "bench"
FOLDERS = ROOT / "loadtest" / "contenders"
CHART = ROOT / "loadtest" / "chart"
INSTALL_WITHIN_S = 600
TRAIN_WITHIN_S = 300


class PreparationError(RuntimeError):
    """Something that a measurement needs could not be had; the message is one sentence for the results."""


@dataclass(frozen=True, slots=True)
class Models:
    """`artefact` is the folder that everybody serves who takes ONNX; the others are trained with its parameters."""

    artefact: Path
    parameters: Path  # XGBoost's, as JSON
    features: Path  # .npz: what the trees see, and the verdicts
    booster: Path
    pipeline: Path


def wrk() -> str:
    """The path of wrk, installed first where that is possible; PreparationError where it is not."""
    if not shutil.which("wrk"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise PreparationError("wrk is missing: install it (on Debian: sudo apt-get install wrk)")
        quietly = {"DEBIAN_FRONTEND": "noninteractive"}
        with alone("apt-get"):
            run(["apt-get", "update", "-qq"], INSTALL_WITHIN_S, quietly)
            run(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "wrk"], INSTALL_WITHIN_S, quietly)
    found = shutil.which("wrk")
    if found is None:
        raise PreparationError("wrk is missing although its package is installed")
    return found


def python_of(folder: Path, below: Path = BUILD) -> Path:
    """The interpreter of an environment, made in `below` if need be, that holds exactly `folder`/requirements.txt."""
    environment = below / folder.name
    requirements = folder / "requirements.txt"
    stamp = environment / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    with alone(folder.name):
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(environment, ignore_errors=True)
            uv = [sys.executable, "-m", "uv"]
            run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], INSTALL_WITHIN_S)
            into = ["--quiet", "--python", str(environment / "bin" / "python"), "--require-hashes"]
            run([*uv, "pip", "sync", *into, str(requirements)], INSTALL_WITHIN_S)
            stamp.write_text(wanted)
    return environment / "bin" / "python"


def locked_version(folder: Path, package: str) -> str | None:
    """The version in `folder`/requirements.txt; the first, where it differs between versions of Python."""
    for line in (folder / "requirements.txt").read_text().splitlines():
        if line.startswith(f"{package}=="):
            return line.split("==")[1].split()[0]
    return None


def train(values: Codes, bad: Sequence[bool]) -> Models:
    """Trains the artefact from the bundled applications, and leaves what `train_booster` and `train_pipeline` need."""
    names = ("model", "parameters.json", "features.npz", "booster.ubj", "pipeline.joblib")
    models = Models(*(BUILD / name for name in names))
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "model.train", "--cv-seeds", "0", "--out", str(models.artefact)]
    run(command, TRAIN_WITHIN_S, home())
    training = json.loads((models.artefact / "manifest.json").read_text())["training"]
    chosen = {"n_estimators": training["trees"], "random_state": training["seed"], **training["parameters"]}
    models.parameters.write_text(json.dumps(chosen))
    np.savez(models.features, features=bench_tables.features(values), bad=np.array(bad))
    return models


def train_booster(models: Models, python: Path) -> None:
    files = map(str, (models.features, models.parameters, models.booster))
    run([str(python), str(FOLDERS / "mlserver" / "train.py"), *files], TRAIN_WITHIN_S)


def train_pipeline(models: Models, python: Path, applications: Path) -> None:
    files = map(str, (applications, models.parameters, models.pipeline))
    run([str(python), str(FOLDERS / "fastapi_pandas" / "train.py"), *files], TRAIN_WITHIN_S)


def home() -> dict[str, str]:
    """What keeps BentoML from the user's own model store, and from reporting to its makers."""
    return {"BENTOML_HOME": str(BUILD / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}


def run(command: Sequence[str], within_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Runs a program in the project's folder and gives its stdout; PreparationError with its last words if it fails."""
    name = " ".join(Path(word).name for word in command[:4])
    with subprocess.Popen(  # noqa: S603 - every command here is our own
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that what it starts itself ends with it
    ) as process:
        try:
            output, errors = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise PreparationError(f"{name} did not end within {within_s:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise PreparationError(f"{name} ended with code {process.returncode}: {last_words(errors or output)}")
    return output


def last_words(output: str) -> str:
    """The last line with something in it, which is where a program says why it ended; no path of this machine."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (lines[-1] if lines else "no output").replace(f"{ROOT}/", "")[:300]
