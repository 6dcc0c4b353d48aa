"""The README is executed: its commands answer what it says they answer, its tables say what the code says."""

import dataclasses
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import prometheus_client
import pytest

from loadtest.server import Server, running_server
from model.compare import Bars
from serving import VERSION, drift_metrics, hosting, metrics
from serving.errors import STATUS
from serving.gathered import Counter, Histogram, Level
from serving.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# what differs from answer to answer, or from model to model
VOLATILE = re.compile(r'"(decision_id|model_version|policy_version)":"[^"]+"')


def blocks(text: str) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)


def rows(header: str) -> list[list[str]]:
    """The cells of the table that starts with `header`, without code marks."""
    [_, after] = README.split(header + "\n", 1)
    lines = after.split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip().strip("`") for cell in line.strip().strip("|").split("|")] for line in lines]


CURLS = [
    (command, answer)
    for (language, command), (other, answer) in zip(blocks(README), blocks(README)[1:], strict=False)
    if language == "sh" and other == "json" and command.startswith("curl")
]


@pytest.mark.slow
def test_every_curl_answers_what_the_readme_shows(model_folder: Path) -> None:
    assert len(CURLS) == 5
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        for command, shown in CURLS:
            answer = answered(command, server)
            assert VOLATILE.sub("", answer) == VOLATILE.sub("", shown.strip())
            assert json.loads(answer).keys() == json.loads(shown).keys()


def answered(command: str, server: Server) -> str:
    here = command.replace("http://localhost:3000", server.url)
    return subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True, timeout=60).stdout


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        named = re.findall(r"`make ([a-z-]+)", document) + re.findall(r"^make ([a-z-]+)", document, re.MULTILINE)
        assert named
        assert set(named) <= targets


def test_every_program_in_the_documents_exists() -> None:
    for document in (README, *(path.read_text() for path in (ROOT / "docs").rglob("*.md"))):
        for program in re.findall(r"python -m ((?:model|decisions|loadtest)\.\w+)", document):
            assert find_spec(program), program


def test_make_help_lists_every_target_with_a_sentence() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in shown.splitlines()] == targets
    assert all(len(line.split()) > 3 for line in shown.splitlines())


def test_the_settings_table_is_the_codes() -> None:
    expected = [
        [PREFIX + name.upper(), str(info.default), info.description] for name, info in Settings.model_fields.items()
    ]
    assert rows("| setting | default | why one would change it |") == expected


def test_the_table_of_sagemakers_variables_is_the_codes() -> None:
    expected = [
        [hosting.PREFIX + name.upper(), info.description] for name, info in hosting.Hosting.model_fields.items()
    ]
    assert rows("| variable | what it does |") == expected


def test_the_metrics_table_is_the_codes() -> None:
    gathered = [value.metric for value in vars(metrics).values() if isinstance(value, (Counter, Histogram, Level))]
    declared = [*vars(metrics).values(), *vars(drift_metrics).values()]
    gauges = [value for value in declared if isinstance(value, prometheus_client.Gauge)]
    families = [family for metric in [*gathered, *gauges] for family in metric.describe()]
    expected = [
        [family.name + ("_total" if family.type == "counter" else ""), family.documentation] for family in families
    ]
    assert rows("| metric | what it counts |") == expected


def test_the_bars_table_is_the_codes() -> None:
    expected = [[f"--{bar.name.replace('_', '-')}", str(bar.default)] for bar in dataclasses.fields(Bars)]
    assert [cells[:2] for cells in rows("| bar | default | the new model is below it if |")] == expected


def test_the_errors_table_is_the_codes() -> None:
    shown = {
        (int(status), error.strip("` "))
        for statuses, errors, _ in rows("| status | error | when |")
        for status, error in paired(statuses.split(", "), errors.split(", "))
    }
    assert shown == {(status, error) for error, status in STATUS.items()}


def paired(statuses: list[str], errors: list[str]) -> list[tuple[str, str]]:
    return [(statuses[min(number, len(statuses) - 1)], error) for number, error in enumerate(errors)]


def test_the_layout_table_names_what_is_there() -> None:
    for path, _ in rows("| path | what lives there |"):
        assert (ROOT / path).exists(), path


def test_the_version_is_the_same_everywhere() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
    assert set(re.findall(r"/riskline:([\d.]+)", README)) == {VERSION}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *map(str, Path(ROOT / "docs").rglob("*.md"))])
def test_files_named_in_the_documents_exist(document: str) -> None:
    for name in re.findall(
        r"`((?:model|preprocessing|serving|tests|docs|requirements|loadtest|deploy)/[\w./-]*)`",
        (ROOT / document).read_text(),
    ):
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), name
