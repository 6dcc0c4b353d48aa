"""BentoML's commands, as somebody types them in the project's folder."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(command: list[str], environment: Mapping[str, str], cwd: Path = ROOT) -> str:
    """What the command writes to stdout; it has to succeed."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bentoml(home: Path, *arguments: str, **environment: str) -> str:
    """`bentoml` with `home` as its home."""
    own = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"}
    return run([sys.executable, "-m", "bentoml", *arguments], {**own, **environment})


def build_bento(home: Path, model_folder: Path) -> None:
    """Saves the model to the store in `home` and packs it with the service."""
    save = (
        "from pathlib import Path; from model.storage import read_folder, save_to_store\n"
        f"save_to_store(read_folder(Path({str(model_folder)!r})))"
    )
    run([sys.executable, "-c", save], {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"})
    bentoml(home, "build")
