"""The artefact: a folder of data that is the model, provable and without code in it.

    model.onnx          the whole pipeline: application → probability
    bulk.onnx           the same for large batches, to the last bit (only where the trees are shallow enough to gain)
    contributions.onnx  application → what each field contributed to the log-odds
    features.onnx       application → features alone
    policy.json         probability → tier and points, and the words for reasons
    reference.json      what reasons and applicants are compared with, and what other thresholds would have done
    golden.json         generated applications with the answers expected of them
    report.html         what the training run found out about the model, for people
    manifest.json       schema, training facts, metrics, and the sha256 of the files above

It travels as the folder, as `model.tar.gz` (SageMaker's form) or in the BentoML model store, always the same bytes.
Loading verifies hashes, schema and golden rows, and refuses to go on where one does not fit.

    python -m model.artifact riskline:latest            # verify and show one
    python -m model.artifact DIR --pack model.tar.gz    # pack one
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from model.errors import ArtifactError, PolicyError
from model.graph import CONTRIBUTIONS, FEATURES, PROBABILITY, Graph, side_by_side
from model.policy import Policy, Tier, answered
from model.reference import Contributions, Reference
from model.storage import MANIFEST, STORE_NAME, read, sha256, write_archive
from preprocessing.encode import FIELDS, MODEL_FIELDS, Matrix, encode
from preprocessing.schema import Application

FORMAT = 3
GRAPH, BULK, CONTRIBUTIONS_GRAPH, FEATURES_GRAPH = "model.onnx", "bulk.onnx", "contributions.onnx", "features.onnx"
POLICY, REFERENCE, GOLDEN, REPORT = "policy.json", "reference.json", "golden.json", "report.html"
NEEDED = (GRAPH, CONTRIBUTIONS_GRAPH, FEATURES_GRAPH, POLICY, REFERENCE, GOLDEN, REPORT)
BULK_FROM = 64  # rows; fewer are scored faster by model.onnx
BULK_BLOCK, CONTRIBUTIONS_BLOCK = 1024, 512  # rows whose intermediate results stay in a core's second-level cache
# The golden answers are rounded to 6 digits, and processors may round the last bit of a float32 sum differently
GOLDEN_TOLERANCE = 2e-6
_POLICY_NOTICE = (
    b"<p><strong>The policy was changed after this report was written:</strong> tiers, thresholds and the sha256 of "
    b"policy.json below are those of the policy before.</p>"
)
RETRAIN = "train again with `make train`"


class Golden(BaseModel):
    """A generated application and the answer that this artefact must give to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    application: dict[str, Any]
    probability: float
    tier: Tier
    contributions: Contributions


log = logging.getLogger("riskline")


class Manifest(BaseModel):
    """What `manifest.json` says of the artefact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[3]
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
    reference: Reference
    golden: list[Golden]
    graph: Graph
    bulk: Graph | None
    contributions_graph: Graph
    features_graph: Graph

    @cached_property
    def model_version(self) -> str:
        return sha256(self.files[GRAPH])[:12]

    @cached_property
    def policy_version(self) -> str:
        return sha256(self.files[POLICY])[:12]

    @cached_property
    def version(self) -> str:
        """Of the whole: model, policy, golden rows and what the manifest says of them."""
        return sha256(self.files[MANIFEST])[:12]

    @cached_property
    def ranges(self) -> npt.NDArray[np.float32]:
        """(2, fields) float32: the lowest and highest code that training saw in each column of the matrix."""
        return np.array([self.manifest.ranges[field.name] for field in MODEL_FIELDS], dtype=np.float32).T

    def score(self, matrix: Matrix, threads: Executor | None = None, parts: int = 1) -> list[float]:
        """A probability for each row, as it is answered; `threads` score `parts` of a large matrix side by side."""
        return answered(side_by_side(self.probability, matrix, threads, parts))

    def probability(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """(rows,): the calibrated probability that the application goes bad; the same in a batch of any size."""
        if self.bulk is None or len(matrix) < BULK_FROM:
            return self.graph.run(matrix)[0].reshape(-1)
        return self.bulk.first(matrix, BULK_BLOCK).reshape(-1)

    def contributions(self, matrix: Matrix, threads: Executor | None = None, parts: int = 1) -> npt.NDArray[np.float32]:
        """(rows, fields): what each field contributed to the log-odds; the sum and `reference.bias` are the margin."""
        return side_by_side(
            lambda part: self.contributions_graph.first(part, CONTRIBUTIONS_BLOCK), matrix, threads, parts
        )


def build(
    graphs: Mapping[str, bytes],
    policy: Policy,
    reference: Reference,
    golden: list[Golden],
    facts: Mapping[str, Any],
    report: Callable[[Mapping[str, str]], bytes],
) -> dict[str, bytes]:
    """The artefact's files. `facts` are the manifest's `ranges`, `training`, `metrics` and `libraries`; `report` makes
    the page from the sha256 of the other files."""
    files = {
        **graphs,
        POLICY: _json(policy.to_json()),
        REFERENCE: _json(reference.model_dump(mode="json")),
        GOLDEN: _json([row.model_dump(mode="json") for row in golden]),
    }
    files[REPORT] = report({name: sha256(content) for name, content in files.items()})
    manifest = Manifest(
        format=FORMAT,
        fields=[field.fingerprint() for field in FIELDS],
        files={name: sha256(content) for name, content in files.items()},
        **facts,
    )
    return {**files, MANIFEST: _json(manifest.model_dump(mode="json"))}


def with_policy(artifact: Artifact, policy: Policy) -> dict[str, bytes]:
    """The files of the same model under another policy: nothing is trained, only the tiers of golden rows follow."""
    golden = [row.model_copy(update={"tier": policy.tier(row.probability)}) for row in artifact.golden]
    names = (GRAPH, BULK, CONTRIBUTIONS_GRAPH, FEATURES_GRAPH)
    graphs = {name: artifact.files[name] for name in names if name in artifact.files}
    facts = artifact.manifest.model_dump(mode="json", include={"ranges", "training", "metrics", "libraries"})
    report = artifact.files[REPORT].replace(_POLICY_NOTICE, b"", 1).replace(b"<body>", b"<body>" + _POLICY_NOTICE, 1)
    return build(graphs, policy, artifact.reference, golden, facts, lambda _: report)


def open_artifact(reference: str) -> Artifact:
    """Loads and verifies a folder, a `.tar.gz` or a tag of the BentoML model store; ArtifactError if it doesn't fit."""
    return verify(read(reference), reference)


def verify(files: Mapping[str, bytes], origin: str) -> Artifact:
    """Files → Artifact, or ArtifactError in one line that names `origin` and says what to do."""
    if MANIFEST not in files:
        raise ArtifactError(f"{origin} is not a Riskline model: it has no {MANIFEST}; {RETRAIN}")
    try:
        manifest = Manifest.model_validate_json(files[MANIFEST])
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "JSON"
        raise ArtifactError(f"{origin}: {MANIFEST} is damaged or of another format ({where}); {RETRAIN}") from None
    for name in (*NEEDED, *(name for name in manifest.files if name not in NEEDED)):
        if name not in files or name not in manifest.files:
            raise ArtifactError(f"{origin}: {name} is missing; copy the model again or {RETRAIN}")
        if sha256(files[name]) != manifest.files[name]:
            raise ArtifactError(f"{origin}: {name} is not what the manifest says (sha256); copy the model again")
    _check_schema(manifest, origin)
    try:
        artifact = Artifact(
            files,
            manifest,
            Policy.from_json(files[POLICY]),
            Reference.model_validate_json(files[REFERENCE]),
            [Golden.model_validate(row) for row in json.loads(files[GOLDEN])],
            Graph(files[GRAPH], [PROBABILITY]),
            Graph(files[BULK], [PROBABILITY]) if BULK in manifest.files else None,
            Graph(files[CONTRIBUTIONS_GRAPH], [CONTRIBUTIONS]),
            Graph(files[FEATURES_GRAPH], [FEATURES]),
        )
        _ = artifact.ranges
    except PolicyError as error:
        raise ArtifactError(f"{origin}: {error.message}") from None
    except Exception as error:  # ONNX Runtime has no common error; whatever it is, this model does not load
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{origin} does not load ({type(error).__name__}: {reason}); {RETRAIN}") from None
    _check_golden(artifact, origin)
    return _with_equal_bulk(artifact)


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
    matrix = encode(applications).matrix
    try:
        artifact.features_graph.run(matrix)
        answers = list(zip(artifact.score(matrix), artifact.contributions(matrix).tolist(), strict=True))
    except Exception as error:  # another graph under the right name
        raise ArtifactError(f"{origin} does not score its golden rows ({type(error).__name__}); {RETRAIN}") from None
    for row, (probability, contributions) in zip(artifact.golden, answers, strict=True):
        differences = [probability - row.probability, *np.subtract(contributions, row.contributions).tolist()]
        if not max(map(abs, differences)) <= GOLDEN_TOLERANCE or artifact.policy.tier(probability) != row.tier:
            raise ArtifactError(f"{origin} does not score its golden rows as it did when trained; {RETRAIN}")


def _with_equal_bulk(artifact: Artifact) -> Artifact:
    """Without the graph for large batches where this machine adds up in another order: slower, and still the same."""
    if artifact.bulk is None:
        return artifact
    golden = encode([Application.model_validate(row.application) for row in artifact.golden]).matrix
    many = np.resize(golden, (2 * BULK_FROM + 1, golden.shape[1]))
    if np.array_equal(artifact.bulk.run(many)[0], artifact.graph.run(many)[0]):
        return artifact
    log.warning(
        "large batches are scored without bulk.onnx: on this machine it differs from model.onnx in the last bit"
    )
    return replace(artifact, bulk=None)


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
