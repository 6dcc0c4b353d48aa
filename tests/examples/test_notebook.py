"""The notebook: it runs from its first cell to its last, and shows in the repository what it shows when it runs."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from examples.execute import METADATA, NOTEBOOK, executed

NUMBER = re.compile(r"\d+\.\d+")
LAST_DIGIT = 1.01  # units of it by which a number may differ: another processor may round it the other way
COMMITTED: Any = nbformat.read(NOTEBOOK, as_version=4)


def shown(cell: Any) -> list[tuple[str, str]]:
    """What a cell shows, each with its kind: a stream's name or a media type."""
    found = []
    for output in cell.get("outputs", []):
        kinds = {output.name: output.text} if output.output_type == "stream" else output.data
        found += sorted(kinds.items())
    return found


def test_it_is_kept_without_traces_of_a_machine_or_a_day() -> None:
    assert COMMITTED.metadata == METADATA
    code = [cell for cell in COMMITTED.cells if cell.cell_type == "code"]
    assert all(cell.metadata == {} for cell in COMMITTED.cells)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    texts = [text for cell in code for _, text in shown(cell)]
    assert len(texts) > len(code)
    for text in texts:
        assert not re.search(r"/(?:home|root|tmp|Users|work)/|20\d\d-\d\d-\d\d|[0-9a-f]{8}-[0-9a-f]{4}-", text)


def test_its_links_lead_somewhere() -> None:
    links = [link for cell in COMMITTED.cells for link in re.findall(r"\]\(([^)#]+)", cell.source)]
    assert links
    assert all((NOTEBOOK.parent / link).is_file() for link in links)


@pytest.mark.slow
def test_it_runs_and_shows_what_is_committed() -> None:
    fresh = executed()
    for cell, kept in zip(fresh.cells, COMMITTED.cells, strict=True):
        now, before = shown(cell), shown(kept)
        assert [kind for kind, _ in now] == [kind for kind, _ in before], f"cell {cell.id}: run `make notebook`"
        assert "stderr" not in dict(now)
        for (_, text), (_, expected) in zip(now, before, strict=True):
            assert NUMBER.sub("#", text) == NUMBER.sub("#", expected), f"cell {cell.id}: run `make notebook`"
            for number, wanted in zip(NUMBER.findall(text), NUMBER.findall(expected), strict=True):
                unit = 10.0 ** -len(wanted.partition(".")[2])
                assert float(number) == pytest.approx(float(wanted), abs=LAST_DIGIT * unit), f"cell {cell.id}"


@pytest.mark.slow
def test_a_cell_that_fails_is_an_error_that_shows_it(tmp_path: Path) -> None:
    failing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 2 + 2 == 5, 'wrong sum'")])
    nbformat.write(failing, tmp_path / "failing.ipynb")
    with pytest.raises(CellExecutionError, match="wrong sum"):
        executed(tmp_path / "failing.ipynb")
