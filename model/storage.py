"""Where an artefact's files are kept: a folder, a `model.tar.gz` (SageMaker's form) or the BentoML model store.

Always the same bytes under the same names. What they mean is `artifact.py`'s to know.
"""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from model.errors import ArtifactError

STORE_NAME = "riskline"
MANIFEST = "manifest.json"  # the file that makes a folder a model
LARGEST_FILE = 256 * 2**20


def read(reference: str) -> dict[str, bytes]:
    """The files of a folder, a `.tar.gz` or a tag of the BentoML model store; ArtifactError where there are none."""
    path = Path(reference)
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return _read_archive(path)
    if "/" in reference or reference.endswith(".gz"):
        raise ArtifactError(f"there is no model at {reference}; set RISKLINE_MODEL to a folder, an archive or a tag")
    return read_folder(_store_path(reference))


def saved(reference: str) -> float:
    """When what `read` reads came to where it is, in seconds since 1970."""
    path = Path(reference)
    if not path.exists():
        path = _store_path(reference)
    return (path / MANIFEST if path.is_dir() else path).stat().st_mtime


def save(files: Mapping[str, bytes], out: Path | None) -> str:
    """Saves to `out`, a folder or `.tar.gz`, or to the BentoML model store; says where."""
    if out is None:
        return f"{save_to_store(files)} in the BentoML model store"
    if out.name.endswith(".gz"):
        write_archive(files, out)
    else:
        write_folder(files, out)
    return str(out)


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes aside, then renames. An older model in `folder` is replaced; a folder of anything else is left alone."""
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder} is there already and is no model; name another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    replaced = aside.with_name(f"{aside.name}-replaced")
    try:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        aside.chmod(0o755)
        if folder.exists():
            folder.rename(replaced)
        aside.rename(folder)
    finally:
        for left in (aside, replaced):
            shutil.rmtree(left, ignore_errors=True)


def write_archive(files: Mapping[str, bytes], archive: Path) -> None:
    """`model.tar.gz` with the same bytes for the same files: no times, no owners, sorted names. Where it is, it is
    whole, after a power failure too."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            tar.addfile(member, io.BytesIO(files[name]))
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_name(f".{archive.name}.{os.getpid()}-{threading.get_native_id()}")
    with aside.open("wb") as file:
        file.write(packed.getvalue())
        file.flush()
        os.fsync(file.fileno())
    aside.rename(archive)


def save_to_store(files: Mapping[str, bytes]) -> str:
    """Saves to the BentoML model store as `riskline:<version>` and gives the tag; what is there already stays."""
    import bentoml  # a second to import, and only the store needs it
    from bentoml.exceptions import NotFound

    tag = f"{STORE_NAME}:{sha256(files[MANIFEST])[:12]}"
    try:
        bentoml.models.get(tag)
        bentoml.models.delete(tag)  # saved anew below, so that `latest` means the last one trained
    except NotFound:
        pass
    with bentoml.models.create(tag, module="model.artifact", signatures={}) as stored:
        for name, content in files.items():
            Path(stored.path_of(name)).write_bytes(content)
    return tag


def in_store(files: Mapping[str, bytes]) -> str:
    """The tag of these files in the BentoML model store, where they are saved if they are not there yet."""
    import bentoml
    from bentoml.exceptions import NotFound

    tag = f"{STORE_NAME}:{sha256(files[MANIFEST])[:12]}"
    try:
        bentoml.models.get(tag)
    except NotFound:
        save_to_store(files)
    return tag


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _read_archive(archive: Path) -> dict[str, bytes]:
    """Reads the archive's files into memory: nothing is unpacked, so no path in it can lead anywhere."""
    files = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isfile():
                    if member.size > LARGEST_FILE:
                        raise ArtifactError(f"{archive}: {Path(member.name).name} is larger than a model can be")
                    content = tar.extractfile(member)
                    files[Path(member.name).name] = content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"{archive} is damaged ({error}); copy the model again") from None
    return files


def _store_path(tag: str) -> Path:
    import bentoml
    from bentoml.exceptions import BentoMLException

    try:
        return Path(bentoml.models.get(tag).path)
    except (BentoMLException, ValueError):
        raise ArtifactError(f"the model store has no {tag}; train a model with `make train`") from None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
