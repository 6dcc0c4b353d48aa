"""The artefact: a folder of data that is the model, provable and without code in it.

    model.onnx      the whole pipeline: application → probability
    policy.json     probability → tier
    golden.json     generated applications with the answers expected of them
    report.html     what the training run found out about the model, for people
    manifest.json   schema, training facts, metrics, and the sha256 of the files above

It travels as the folder, as `model.tar.gz` (SageMaker's form) or in the BentoML model store, always the same bytes.
Loading verifies hashes, schema and golden rows, and refuses to go on where one does not fit.

    python -m model.artifact riskline:latest            # verify and show one
    python -m model.artifact DIR --pack model.tar.gz    # pack one
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from model.errors import ArtifactError, PolicyError
from model.graph import Graph
from model.policy import Policy, Tier, answered
from preprocessing.encode import FIELDS, MODEL_FIELDS, Matrix, encode
from preprocessing.schema import Application

STORE_NAME = "riskline"
FORMAT = 1
GRAPH, POLICY, GOLDEN, MANIFEST = "model.onnx", "policy.json", "golden.json", "manifest.json"
REPORT = "report.html"
LARGEST_FILE = 256 * 2**20
# The golden answers are rounded to 6 digits, and processors may round the last bit of a float32 sum differently
GOLDEN_TOLERANCE = 2e-6
RETRAIN = "train again with `make train`"


class Golden(BaseModel):
    """A generated application and the answer that this artefact must give to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    application: dict[str, Any]
    probability: float
    tier: Tier


class Manifest(BaseModel):
    """What `manifest.json` says of the artefact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    fields: list[dict[str, Any]]
    ranges: dict[str, tuple[float, float]]
    training: dict[str, Any]
    metrics: dict[str, Any]
    libraries: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True)
class Artifact:
    """A verified artefact in memory. Versions are the first 12 digits of a sha256, so they cannot lie."""

    files: Mapping[str, bytes]
    manifest: Manifest
    policy: Policy
    golden: list[Golden]
    graph: Graph

    @cached_property
    def model_version(self) -> str:
        return _sha256(self.files[GRAPH])[:12]

    @cached_property
    def policy_version(self) -> str:
        return _sha256(self.files[POLICY])[:12]

    @cached_property
    def version(self) -> str:
        """Of the whole: model, policy, golden rows and what the manifest says of them."""
        return _sha256(self.files[MANIFEST])[:12]

    @cached_property
    def ranges(self) -> npt.NDArray[np.float32]:
        """(2, fields) float32: the lowest and highest code that training saw in each column of the matrix."""
        return np.array([self.manifest.ranges[field.name] for field in MODEL_FIELDS], dtype=np.float32).T

    def score(self, matrix: Matrix, threads: Executor | None = None, parts: int = 1) -> list[float]:
        """A probability for each row, as it is answered."""
        return answered(self.graph.probability(matrix, threads, parts))


def build(
    graph: bytes,
    policy: Policy,
    golden: list[Golden],
    facts: Mapping[str, Any],
    report: Callable[[Mapping[str, str]], bytes],
) -> dict[str, bytes]:
    """The artefact's files. `facts` are the manifest's `ranges`, `training`, `metrics` and `libraries`; `report` makes
    the page from the sha256 of the other files."""
    files = {
        GRAPH: graph,
        POLICY: _json(policy.to_json()),
        GOLDEN: _json([row.model_dump() for row in golden]),
    }
    files[REPORT] = report({name: _sha256(content) for name, content in files.items()})
    manifest = Manifest(
        format=FORMAT,
        fields=[field.fingerprint() for field in FIELDS],
        files={name: _sha256(content) for name, content in files.items()},
        **facts,
    )
    return {**files, MANIFEST: _json(manifest.model_dump(mode="json"))}


def open_artifact(reference: str) -> Artifact:
    """Loads and verifies a folder, a `.tar.gz` or a tag of the BentoML model store; ArtifactError if it doesn't fit."""
    path = Path(reference)
    if path.is_dir():
        files = read_folder(path)
    elif path.is_file():
        files = _read_archive(path)
    elif "/" in reference or reference.endswith(".gz"):
        raise ArtifactError(f"there is no model at {reference}; set RISKLINE_MODEL to a folder, an archive or a tag")
    else:
        files = read_folder(_store_path(reference))
    return verify(files, reference)


def verify(files: Mapping[str, bytes], origin: str) -> Artifact:
    """Files → Artifact, or ArtifactError in one line that names `origin` and says what to do."""
    if MANIFEST not in files:
        raise ArtifactError(f"{origin} is not a Riskline model: it has no {MANIFEST}; {RETRAIN}")
    try:
        manifest = Manifest.model_validate_json(files[MANIFEST])
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "JSON"
        raise ArtifactError(f"{origin}: {MANIFEST} is damaged or of another format ({where}); {RETRAIN}") from None
    for name in (GRAPH, POLICY, GOLDEN, REPORT):
        if name not in files or name not in manifest.files:
            raise ArtifactError(f"{origin}: {name} is missing; copy the model again or {RETRAIN}")
        if _sha256(files[name]) != manifest.files[name]:
            raise ArtifactError(f"{origin}: {name} is not what the manifest says (sha256); copy the model again")
    _check_schema(manifest, origin)
    try:
        policy = Policy.from_json(json.loads(files[POLICY]))
        golden = [Golden.model_validate(row) for row in json.loads(files[GOLDEN])]
        artifact = Artifact(files, manifest, policy, golden, Graph(files[GRAPH]))
        _ = artifact.ranges
    except PolicyError as error:
        raise ArtifactError(f"{origin}: {error.message}") from None
    except Exception as error:  # ONNX Runtime has no common error; whatever it is, this model does not load
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{origin} does not load ({type(error).__name__}: {reason}); {RETRAIN}") from None
    _check_golden(artifact, origin)
    return artifact


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
    """`model.tar.gz` with the same bytes for the same files: no times, no owners, sorted names."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            tar.addfile(member, io.BytesIO(files[name]))
    archive.parent.mkdir(parents=True, exist_ok=True)
    aside = archive.with_name(f".{archive.name}.{os.getpid()}")
    aside.write_bytes(packed.getvalue())
    aside.rename(archive)


def save_to_store(files: Mapping[str, bytes]) -> str:
    """Saves to the BentoML model store as `riskline:<version>` and gives the tag; what is there already stays."""
    import bentoml  # a second to import, and only the store needs it
    from bentoml.exceptions import NotFound

    tag = f"{STORE_NAME}:{_sha256(files[MANIFEST])[:12]}"
    try:
        bentoml.models.get(tag)
        bentoml.models.delete(tag)  # saved anew below, so that `latest` means the last one trained
    except NotFound:
        pass
    with bentoml.models.create(tag, module="model.artifact", signatures={}) as stored:
        for name, content in files.items():
            Path(stored.path_of(name)).write_bytes(content)
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


def _check_schema(manifest: Manifest, origin: str) -> None:
    ours = {field.name: field.fingerprint() for field in FIELDS}
    theirs = {str(field.get("name")): field for field in manifest.fields}
    if list(ours) == list(theirs) and all(ours[name] == theirs[name] for name in ours):
        return
    differing = [name for name in [*ours, *theirs] if ours.get(name) != theirs.get(name)]
    what = f"field {differing[0]!r} differs" if differing else "the order of the fields differs"
    raise ArtifactError(f"{origin} was trained for another schema ({what} from preprocessing/schema.py); {RETRAIN}")


def _check_golden(artifact: Artifact, origin: str) -> None:
    applications = [Application.model_validate(row.application) for row in artifact.golden]
    if not applications:
        raise ArtifactError(f"{origin} has no golden rows to prove itself with; {RETRAIN}")
    policy = artifact.policy
    for row, probability in zip(artifact.golden, artifact.score(encode(applications).matrix), strict=True):
        if not abs(probability - row.probability) <= GOLDEN_TOLERANCE or policy.tier(probability) != row.tier:
            raise ArtifactError(f"{origin} does not score its golden rows as it did when trained; {RETRAIN}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.artifact", description="Verify, show and pack a model.")
    parser.add_argument("model", nargs="?", default=f"{STORE_NAME}:latest", help="folder, archive or tag of the store")
    parser.add_argument("--pack", type=Path, metavar="FILE", help="also write it as a model.tar.gz")
    arguments = parser.parse_args()
    try:
        artifact = open_artifact(arguments.model)
    except ArtifactError as error:
        sys.exit(f"riskline: {error.message}")
    if arguments.pack:
        write_archive(artifact.files, arguments.pack)
    shown = {"version": artifact.version, "model": artifact.model_version, "policy": artifact.policy_version}
    print(json.dumps({**shown, "metrics": artifact.manifest.metrics}, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
