"""The client's wheel in an environment of its own: without the service, without the repository."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench_environments import PreparationError, python_of
from riskline_client import Client
from riskline_client.version import VERSION
from serving import VERSION as SERVICE_VERSION
from tests.bento import ROOT
from tests.generated import EXAMPLE
from tests.lab.lacking import cannot_run
from tests.riskline_client.conftest import Guarded

HERE = Path(__file__).parent / "alone"


def test_client_and_service_have_one_version() -> None:
    assert VERSION == SERVICE_VERSION


@pytest.mark.slow
def test_the_wheel_needs_httpx_alone(guarded: Guarded, tmp_path: Path) -> None:
    try:
        python = python_of(HERE, ROOT / "build")
    except PreparationError as error:
        cannot_run(error)
    built = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run([python, *built], cwd=ROOT / "riskline_client", check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.iterdir()
    assert wheel.name == f"riskline_client-{VERSION}-py3-none-any.whl"
    installed = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), "--no-deps"]
    subprocess.run([*installed, "--reinstall", str(wheel)], check=True, timeout=120)
    checked = subprocess.run([sys.executable, "-m", "uv", "pip", "check", "--python", str(python)], timeout=60)
    assert checked.returncode == 0

    command = [str(python), str(HERE / "ask.py"), guarded.url, guarded.key]
    done = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(EXAMPLE), capture_output=True, text=True, timeout=60, check=True
    )
    seen = json.loads(done.stdout)
    with Client(guarded.url, guarded.key) as riskline:
        assert seen["probabilities"] == [riskline.predict(EXAMPLE).probability] * 2
    assert seen["columns"] == 'columns need pyarrow: pip install "riskline-client[arrow]"'
    assert seen["version"] == VERSION
    assert seen["requires"] == ["httpx>=0.27", "pyarrow>=18; extra == 'arrow'"]
    sources = {path.name for path in (ROOT / "riskline_client").glob("*.py")}
    assert set(seen["files"]) == sources | {"py.typed", "LICENSE"}
    assert seen["loaded"] == []
    assert not seen["where"].startswith(str(ROOT / "riskline_client"))
