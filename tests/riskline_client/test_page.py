"""docs/client.md is executed: each of its programs prints what it says, one after the other in one module."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from riskline_client import RisklineError, errors
from tests.generated import EXAMPLE
from tests.riskline_client.conftest import Guarded
from tests.test_readme import README, ROOT, blocks

PAGE = (ROOT / "docs/client.md").read_text()
SOMEWHERE = "https://riskline.example.com"


@pytest.mark.slow
def test_every_program_prints_what_the_page_shows(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{**EXAMPLE, "loan_id": 0}, {**EXAMPLE, "loan_id": 1}, {**EXAMPLE, "age": 7, "loan_id": 2}]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), "applications.parquet")
    names: dict[str, Any] = {"KEY": guarded.key}
    shown = blocks(PAGE)
    for (language, text), (following, expected) in zip(shown, [*shown[1:], ("", "")], strict=True):
        if language == "python":
            printed = (apart if "bentoml" in text else run)(text.replace(SOMEWHERE, guarded.url), names)
            assert printed == (expected if following == "text" else "")
    assert pyarrow.parquet.read_table("all.parquet").num_rows == 3
    names["riskline"].close()


@pytest.mark.slow
def test_the_readmes_program_runs(guarded: Guarded) -> None:
    [program] = [text for language, text in blocks(README) if language == "python"]
    assert 'Client("http://localhost:3000")' in program
    names: dict[str, Any] = {}
    run(program.replace('"http://localhost:3000"', f"{guarded.url!r}, {guarded.key!r}"), names)
    assert names["decision"].tier


def run(program: str, names: dict[str, Any]) -> str:
    """What it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "docs/client.md", "exec"), names)  # noqa: S102 - our own page
    return printed.getvalue()


def apart(program: str, names: dict[str, Any]) -> str:
    """The same in a process of its own, where nobody minds BentoML's warnings."""
    known = "".join(f"{name} = {names[name]!r}\n" for name in ("KEY", "application"))
    done = subprocess.run(
        [sys.executable, "-c", known + program], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_table_of_errors_has_every_class() -> None:
    [table] = re.findall(r"\| error \| when \|\n\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    named = {name for line in table.splitlines() for name in re.findall(r"`([A-Z]\w+)`", line.split("|")[1])}
    classes = {
        name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, RisklineError)
    }
    assert named == classes - {"RisklineError", "ErrorAnswer"}
