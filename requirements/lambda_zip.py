"""Packs the Lambda in front of an endpoint: what `serving.aws_lambda` loads of the project, and of libraries.

    python -m requirements.lambda_zip --python 3.13 --machine x86_64 --out build/riskline-lambda.zip

What is packed follows from what an import loads, so it is listed nowhere. Libraries have the versions and the hashes of
serving.txt, for Lambda's processor and Python, whichever this runs on. The same sources make the same archive.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from requirements.locked import entries

ROOT = Path(__file__).parent.parent
SERVING = ROOT / "requirements" / "serving.txt"
ROOMS = ("serving", "decisions", "model", "preprocessing")
MACHINES = ("x86_64", "aarch64")
PYTHONS = ("3.12", "3.13", "3.14")  # Lambda's runtimes with a C library that numpy's wheels take
_PLATFORM = "manylinux_2_28"
_LOADED = """
import json, sys
before = set(sys.modules)
import serving.aws_lambda
print(json.dumps({name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}))
"""
_NOT_NEEDED = {"__pycache__", "tests"}  # folders of libraries


class Loaded(NamedTuple):
    """Files of the project, from its folder on, and the distributions that the others are from."""

    files: tuple[Path, ...]
    distributions: tuple[str, ...]


def loaded() -> Loaded:
    """What the handler loads, said by an interpreter that loads nothing else."""
    answer = subprocess.run([sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    files: dict[str, str | None] = json.loads(answer.stdout)
    libraries = packages_distributions()
    tops = {name: name.partition(".")[0] for name in files}
    ours = [Path(file).relative_to(ROOT) for name, file in files.items() if file and tops[name] in ROOMS]
    needed = {distribution for top in tops.values() for distribution in libraries.get(top, ())}
    return Loaded(tuple(sorted(ours)), tuple(sorted(needed)))


def install(distributions: Sequence[str], python: str, machine: str, folder: Path) -> None:
    """Their locked wheels, for that Python and processor, into a folder."""
    lock = folder.with_suffix(".txt")
    lock.write_text(entries(SERVING, distributions))
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-build"]
    where = ["--python-version", python, "--python-platform", f"{machine}-{_PLATFORM}", "--target", str(folder)]
    # elsewhere, so that what pyproject.toml asks of the whole lock is not asked of this part of it
    subprocess.run([*uv, *where, "--requirement", str(lock)], cwd=folder.parent, check=True)  # noqa: S603 - our own


def pack(archive: Path, files: Sequence[Path], libraries: Path | None) -> None:
    """The project's files and what is installed in `libraries`, in an order and with times that never change."""
    sources = [(file.as_posix(), ROOT / file) for file in files]
    if libraries is not None:
        sources += _installed(libraries)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
        for name, source in sorted(sources):
            entry = ZipInfo(name)  # of 1980
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o755 << 16  # whoever Lambda runs as may read it
            packed.writestr(entry, source.read_bytes())


def _installed(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and _NOT_NEEDED.isdisjoint(name.parts) and name.parts[0] != "bin" and name.name[0] != ".":
            yield name.as_posix(), path


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Pack the Lambda in front of an endpoint.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "riskline-lambda.zip")
    parser.add_argument("--python", choices=PYTHONS, default="3.13", help="the Lambda runtime's version")
    parser.add_argument("--machine", choices=MACHINES, default=MACHINES[0], help="aarch64 is Lambda's arm64")
    parser.add_argument("--without-libraries", action="store_true", help="the project's files alone")
    chosen = parser.parse_args(arguments)
    needed = loaded()
    with tempfile.TemporaryDirectory() as folder:
        libraries = None
        if not chosen.without_libraries:
            libraries = Path(folder) / "libraries"
            install(needed.distributions, chosen.python, chosen.machine, libraries)
        pack(chosen.out, needed.files, libraries)
    sys.stdout.write(f"{chosen.out}: {len(needed.files)} files, {chosen.out.stat().st_size / 2**20:.1f} MiB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
