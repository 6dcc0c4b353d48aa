"""The exact models that decided, beside the decisions: whoever keeps the folder can score again what is in it.

A decision's facts name its artefact by the sha256 of the manifest, which names every other file by its own.
"""

from pathlib import Path

from decisions.errors import StoreError
from decisions.journal import sync_folder
from decisions.places import ARTIFACTS
from model.artifact import Artifact, verify
from model.errors import ArtifactError
from model.storage import MANIFEST, read, sha256, write_archive


def keep(folder: Path, artifact: Artifact) -> Path:
    """Copies the artefact into the decisions' `folder` unless it is there; any number of workers may do so at once.

    StoreError where it cannot be written.
    """
    path = _path(folder, sha256(artifact.files[MANIFEST]))
    if not path.exists():
        try:
            write_archive(artifact.files, path)
            sync_folder(path.parent)
            sync_folder(folder)
        except OSError as error:
            raise StoreError(f"the model cannot be kept beside its decisions ({error})") from None
    return path


def load(folder: Path, sha: str) -> Artifact:
    """The verified artefact whose manifest has this sha256; ArtifactError where it is not there or not that one."""
    path = _path(folder, sha)
    if not is_kept(folder, sha):
        raise ArtifactError(f"the artefact {sha} is not in {path.parent}")
    files = read(str(path))
    if MANIFEST in files and sha256(files[MANIFEST]) != sha:
        raise ArtifactError(f"{path} is another artefact than its name says")
    return verify(files, str(path))


def is_kept(folder: Path, sha: str) -> bool:
    """Whether there is one under this sha256."""
    return _path(folder, sha).is_file()


def _path(folder: Path, sha: str) -> Path:
    return folder / ARTIFACTS / f"{sha}.tar.gz"
