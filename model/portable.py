"""One `.onnx` file that scores a raw application wherever ONNX Runtime runs, and says all that is needed to ask it.

It is made from a verified artefact, and only written once it has given the artefact's own bits. The artefact's graphs
stay as they are, since every node more costs the service a microsecond. See docs/decisions/0025-portable.md.

    python -m model.portable                                         # the newest model → build/riskline.onnx
    python -m model.portable --model model.tar.gz --out elsewhere.onnx
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from onnx import helper

from model.artifact import POLICY, Artifact, open_artifact
from model.policy import DIGITS
from model.portable_graph import check, portable_graph
from model.storage import STORE_NAME
from preprocessing.encode import FIELDS, MODEL_FIELDS, Batch
from preprocessing.errors import RisklineError
from preprocessing.schema import Application
from serving.reasons import MOST_REASONS
from serving.scorer import Scorer


def portable(artifact: Artifact) -> bytes:
    """The file: the graph of `portable_graph`, with what else there is to know as `metadata`.

    ParityError where it does not give the bits of the artefact's own graphs.
    """
    model = portable_graph(artifact)
    helper.set_model_props(model, metadata(artifact))
    written: bytes = model.SerializeToString(deterministic=True)
    check(written, artifact)
    return written


def metadata(artifact: Artifact) -> dict[str, str]:
    """What a program must know to take an application and to word an answer as the service does, as JSON by name."""
    schema = Application.model_json_schema()
    for field in FIELDS:
        schema["properties"][field.name]["x-rule"] = field.kind.rule
    # one row in which everything is missing, and one in which everything is above what training saw
    low, high = artifact.ranges
    unusual = np.stack([np.full_like(high, np.nan), np.nextafter(high, np.float32(np.inf))])
    said = Scorer(artifact).score(Batch(unusual, {})).warnings
    warnings = {
        field.name: {"range": [float(low[column]), float(high[column])]}
        | {each.code: each.message for row in said.values() for each in row if each.field == field.name}
        for column, field in enumerate(MODEL_FIELDS)
    }
    return {
        "riskline.application": json.dumps(schema),
        "riskline.policy": artifact.files[POLICY].decode(),
        "riskline.answer": json.dumps(
            {
                "model_version": artifact.model_version,
                "policy_version": artifact.policy_version,
                "digits": DIGITS,
                "most_reasons": MOST_REASONS,
                "warnings": warnings,
            }
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m model.portable", description="Write a model as one .onnx file that takes raw applications."
    )
    parser.add_argument("--model", default=f"{STORE_NAME}:latest", help="folder, archive or tag of the store")
    parser.add_argument("--out", type=Path, default=Path("build/riskline.onnx"), help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        written = portable(open_artifact(arguments.model))
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_bytes(written)
    except OSError as error:
        sys.exit(f"riskline: {arguments.out} cannot be written: {error.strerror}")
    print(f"{arguments.out}: {len(written):,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
