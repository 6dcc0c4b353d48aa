"""The notebook, run from its first cell to its last in a kernel of its own; what it shows is kept in it.

make notebook       # or: python -m examples.execute
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from traitlets.config import Config

NOTEBOOK = Path(__file__).parent / "riskline.ipynb"
WITHIN_S = 300  # one cell, on a busy machine
# What editors add about themselves, and the kernel about its Python, differs from machine to machine
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path = NOTEBOOK) -> Any:
    """The notebook with what a fresh kernel shows, as nbformat reads it; CellExecutionError where a cell fails,
    CellTimeoutError where it takes too long. The kernel's folder is the notebook's."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="riskline-kernel-") as folder:
        client = NotebookClient(
            notebook,
            timeout=WITHIN_S,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,  # else it is chance how printed lines come together
            # sockets in the folder: the kernel opens no port
            config=Config(ConnectionFileMixin={"transport": "ipc", "connection_file": f"{folder}/kernel.json"}),
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute(env={**os.environ, "IPYTHONDIR": folder})  # nobody's own start-up files
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def main() -> None:
    try:
        nbformat.write(executed(), NOTEBOOK)
    except (CellExecutionError, CellTimeoutError) as error:
        sys.exit(f"riskline: a cell of {NOTEBOOK.name} fails, so the file stays as it is\n{error}")
    print(f"Every cell of {NOTEBOOK.name} ran, and the file shows what they showed")  # noqa: T201


if __name__ == "__main__":
    main()
