"""examples/README.md is executed: its commands, in its order, answer what it says they answer."""

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from loadtest.server import ROOT, free_port
from tests.lab.npm import INSTALL
from tests.lab.waiting import until
from tests.test_readme import VOLATILE, blocks

PAGE = (ROOT / "examples/README.md").read_text()
BLOCKS = blocks(PAGE)
COMMANDS = [text for language, text in BLOCKS if language == "sh"]
ANSWERS = [
    (text, answer) for (language, text), (other, answer) in pairwise(BLOCKS) if (language, other) == ("sh", "json")
]


def test_its_commands_are_these() -> None:
    [write, for_node, _, _, for_browser, serve] = COMMANDS
    assert write == "make onnx\n"
    assert "$(BIN)/python -m model.portable" in (ROOT / "Makefile").read_text()
    for install, example in ((for_node, "node"), (for_browser, "browser")):
        assert install.split() == [*INSTALL, "--prefix", f"examples/{example}"]  # as the fixtures do it, elsewhere
    assert serve == "python3 examples/browser/serve.py build/riskline.onnx\n"


@pytest.mark.slow
@pytest.mark.usefixtures("node_example")
def test_every_application_is_answered_as_the_page_shows(travelled: Path) -> None:
    assert len(ANSWERS) == 2
    for command, shown in ANSWERS:
        done = subprocess.run(["bash", "-c", command], cwd=travelled, capture_output=True, text=True, timeout=60)
        assert VOLATILE.sub("", done.stdout.strip()) == VOLATILE.sub("", shown.strip())
        assert done.returncode == ('"error"' in shown)


@pytest.mark.slow
def test_the_page_is_where_it_says(travelled: Path) -> None:
    [address] = re.findall(r"<(http://127\.0\.0\.1:8000/\S+)>", PAGE)
    port = str(free_port())
    command = [sys.executable, *COMMANDS[-1].split()[1:], "--port", port]
    with subprocess.Popen(command, cwd=travelled, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            assert said == address.replace("8000", port)
            until(lambda: httpx.get(said).status_code == 200)
        finally:
            process.terminate()


@pytest.mark.parametrize("example", ["node", "browser"])
def test_what_npm_installs_is_locked_with_hashes_and_no_address(example: str) -> None:
    folder = ROOT / "examples" / example
    lock = json.loads((folder / "package-lock.json").read_text())
    asked, *locked = lock["packages"].values()  # the first is the example itself
    assert asked["dependencies"] == json.loads((folder / "package.json").read_text())["dependencies"]
    assert locked
    assert all(package["integrity"].startswith("sha512-") and "resolved" not in package for package in locked)
    assert "ignore-scripts=true" in (folder / ".npmrc").read_text().splitlines()


def test_each_link_leads_to_a_file() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "examples" / target).is_file(), target
