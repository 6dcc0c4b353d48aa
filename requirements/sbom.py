"""The software bill of materials: what an environment and its model consist of, as CycloneDX 1.6 in JSON.

    python -m requirements.sbom --lock requirements/serving.txt --model DIR --out build/sbom.json

Each locked distribution is a component with its purl, its licence and the sha256 of every file that may be installed as
it; the model is one with the sha256 of its files and of its training data. It is written where the environment is
installed, and refuses to describe one that is not what is locked. The same inputs give the same bytes: there is no
serial number, and a time only where SOURCE_DATE_EPOCH gives one.
"""

import argparse
import importlib.metadata
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.artifact import Artifact, open_artifact
from model.errors import ArtifactError
from requirements.licences import LicenceError, licence
from requirements.locked import Pin, pins
from serving import VERSION

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
SPEC_VERSION = "1.6"
ROOT_REF, MODEL_REF = "riskline", "riskline-model"


class NotAsLockedError(Exception):
    """The environment is not what is locked; one line."""


def bom(locked: list[Pin], artifact: Artifact | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The document. `environment` may have SOURCE_DATE_EPOCH, in seconds since 1970."""
    components = [_distribution(pin) for pin in locked]
    if artifact:
        components.append(_model(artifact))
    metadata: dict[str, Any] = {
        "component": {
            "type": "application", "bom-ref": ROOT_REF, "name": "riskline", "version": VERSION,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
    }  # fmt: skip
    if epoch := environment.get("SOURCE_DATE_EPOCH"):
        metadata["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [{"ref": ROOT_REF, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _distribution(pin: Pin) -> dict[str, Any]:
    try:
        metadata = importlib.metadata.metadata(pin.name)
    except importlib.metadata.PackageNotFoundError:
        raise NotAsLockedError(f"{pin.name} is locked and not installed") from None
    if metadata["Version"] != pin.version:
        raise NotAsLockedError(f"{pin.name} is locked as {pin.version} and installed as {metadata['Version']}")
    purl = f"pkg:pypi/{pin.name}@{pin.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "hashes": [_sha256(digest) for digest in pin.hashes],
        "licenses": [{"expression": licence(metadata)}],
        "purl": purl,
    }


def _model(artifact: Artifact) -> dict[str, Any]:
    training = artifact.manifest.training
    facts = {"policy_version": artifact.policy_version, "training_data_sha256": training["data_sha256"]}
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL_REF,
        "name": MODEL_REF,
        "version": artifact.model_version,
        "components": [
            {"type": "file", "name": name, "hashes": [_sha256(digest)]}
            for name, digest in sorted(artifact.manifest.files.items())
        ],
        "properties": [{"name": f"riskline:{name}", "value": value} for name, value in sorted(facts.items())],
    }


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m requirements.sbom", description=__doc__.splitlines()[0])
    parser.add_argument("--lock", type=Path, required=True, help="the locked file that the environment comes from")
    parser.add_argument("--model", metavar="DIR", help="folder, archive or tag of the store; without it, no model")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    try:
        artifact = open_artifact(arguments.model) if arguments.model else None
        document = bom(pins(arguments.lock), artifact, os.environ)
    except (ArtifactError, LicenceError, NotAsLockedError, OSError, ValueError) as error:
        sys.exit(f"riskline: {error}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
