"""docs/your-own-table.md is executed: in a copy of the project its commands say, write and answer what it shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.adopt import copy_of_project
from loadtest.server import running_server
from tests.test_readme import VOLATILE, answered

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "your-own-table.md").read_text()
SHOWN = re.findall(r"^```\w*\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_project(tmp_path_factory.mktemp("own") / "project")


@pytest.fixture(scope="module")
def environment(project: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RISKLINE_")}
    home = {"BENTOML_HOME": str(project.parent / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    return inherited | home | {"PATH": f"{BIN}{os.pathsep}{inherited['PATH']}"}


def shell(command: str, project: Path, environment: dict[str, str]) -> str:
    """What a command says, be it refused or not. Make's environment is the one that runs the tests."""
    command = re.sub(r"^make ", f"make --no-print-directory -s -o .venv/training BIN='{BIN}' ", command)
    return subprocess.run(
        ["bash", "-c", f"{command.strip()} 2>&1"],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300,
    ).stdout  # fmt: skip


@pytest.mark.slow
def test_the_document_is_true(project: Path, environment: dict[str, str]) -> None:
    steps: Iterator[str] = iter(SHOWN)
    assert shell(next(steps), project, environment) == next(steps)
    assert (project / "applications.csv").read_text().startswith(next(steps))

    before = (project / "preprocessing" / "schema.py").read_text()
    said = shell(next(steps), project, environment)
    assert said.startswith(next(steps))
    assert (project / "preprocessing" / "schema.py").read_text() == before
    said = shell(next(steps), project, environment)
    assert next(steps) in said
    assert said.endswith(next(steps))
    assert (project / "build" / "report.html").is_file()
    changed = subprocess.run(
        ["git", "diff", "--no-index", "--name-only", ROOT / "preprocessing", project / "preprocessing"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert {Path(name).name for name in changed.splitlines() if name.endswith(".py")} == {"schema.py", "features.py"}

    schema = (project / "preprocessing" / "schema.py").read_text()
    as_written, decided = next(steps), next(steps)
    assert as_written in schema
    (project / "preprocessing" / "schema.py").write_text(schema.replace(as_written, decided))
    assert "Saved riskline:" in shell(next(steps), project, environment)

    assert next(steps) == "make serve\n"
    curl, answer = next(steps), next(steps)
    with running_server(environment | {"RISKLINE_WORKERS": "1"}, cwd=project) as server:
        assert VOLATILE.sub("", answered(curl, server)) == VOLATILE.sub("", answer.strip())
