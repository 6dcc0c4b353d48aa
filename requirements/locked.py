"""What a locked file says: names, versions and the hashes of the files that may be installed."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pin:
    """`hashes` are the sha256 of every wheel and source archive of this version, sorted."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(file: Path) -> list[Pin]:
    """The pins that apply to the Python and the machine that this runs on, sorted by name.

    ValueError where a line is no pin with a hash.
    """
    found = []
    for requirement, entry in _entries(file):
        hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})(?![0-9a-f])", entry)))
        version = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if not version or not hashes or requirement.url:
            raise ValueError(f"{file.name}: {requirement.name} is not pinned by version and hash")
        if requirement.marker is None or requirement.marker.evaluate():
            found.append(Pin(requirement.name, version[1], hashes))
    return sorted(found, key=lambda pin: pin.name)


def entries(file: Path, names: Collection[str]) -> str:
    """What the file says of the distributions of these names, as a locked file; ValueError where it lacks one."""
    wanted = {canonicalize_name(name) for name in names}
    found = [(canonicalize_name(requirement.name), entry) for requirement, entry in _entries(file)]
    if missing := wanted - {name for name, _ in found}:
        raise ValueError(f"{file.name}: {', '.join(sorted(missing))} is not locked")
    return "\n".join([*(entry for name, entry in found if name in wanted), ""])


def _entries(file: Path) -> Iterator[tuple[Requirement, str]]:
    for entry in re.split(r"\n(?=\S)", file.read_text().strip()):
        yield Requirement(re.split(r"\s+\\\n|\s+--hash", entry)[0]), entry
