"""The sigmoid of the file that travels, against ONNX Runtime's: on every margin that there is, and what each costs.

Prints the figures of docs/decisions/0025-portable.md as JSON. Takes six minutes of one core.

    python -m loadtest.sigmoids
"""

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from model.artifact import GRAPH, open_artifact
from model.errors import ArtifactError
from model.graph import MARGIN, PROBABILITY, Graph
from model.lookup import append
from model.portable_graph import append_sigmoid
from model.storage import STORE_NAME
from preprocessing.encode import FIELDS, encode
from preprocessing.schema import Application

THEIRS, WIDE = "theirs", "wide"


def main() -> None:
    try:
        costs = _costs()
    except ArtifactError as error:
        sys.exit(f"sigmoids: {error.message}")
    print(json.dumps({**costs, **_every_margin()}, indent=1))  # noqa: T201


def sigmoids() -> bytes:
    """A graph: `margin` (rows, 1) float32 → `probability` as the file computes it, `theirs` by ONNX's Sigmoid, and
    `wide` by the same in float64."""
    column: list[str | int | None] = ["rows", 1]
    names = (PROBABILITY, THEIRS, WIDE)
    graph = helper.make_graph(
        [],
        "sigmoids",
        [helper.make_tensor_value_info(MARGIN, TensorProto.FLOAT, column)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, column) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    append_sigmoid(model)
    append(model, "Sigmoid", [MARGIN], THEIRS)
    append_wide_sigmoid(model, WIDE)
    written: bytes = model.SerializeToString()
    return written


def append_wide_sigmoid(model: onnx.ModelProto, output: str) -> None:
    append(model, "Cast", [MARGIN], "margin_wide", to=TensorProto.DOUBLE)
    append(model, "Sigmoid", ["margin_wide"], f"{output}_wide")
    append(model, "Cast", [f"{output}_wide"], output, to=TensorProto.FLOAT)


def _costs() -> dict[str, float]:
    """Microseconds that `model.onnx` takes for an application with each of them: the median of 200 blocks, in turn."""
    artifact = open_artifact(f"{STORE_NAME}:latest")
    graphs: dict[str, Graph] = {}
    for name in ("Sigmoid", "Sigmoid in float64", "written out"):
        model = onnx.load_from_string(artifact.files[GRAPH])
        nodes = [node for node in model.graph.node if PROBABILITY not in node.output]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        if name == "Sigmoid":
            append(model, name, [MARGIN], PROBABILITY)
        elif name == "written out":
            append_sigmoid(model)
        else:
            append_wide_sigmoid(model, PROBABILITY)
        graphs[name] = Graph(model.SerializeToString())
    matrix = encode([Application(**{field.name: field.kind.example for field in FIELDS})]).matrix
    took: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(200):
        for name, graph in graphs.items():
            started = time.perf_counter()
            for _ in range(100):
                graph.run(matrix)
            took[name].append((time.perf_counter() - started) * 1e4)
    return {f"microseconds of model.onnx, {name}": round(statistics.median(each), 1) for name, each in took.items()}


def _every_margin() -> dict[str, Any]:
    """Every float32 within the bounds of the approximation; outside, both are what they are at the bound."""
    graph, block, sign = Graph(sigmoids()), 1 << 18, np.uint32(1 << 31)
    last = int(np.float32(18).view(np.uint32))
    compared, different = 0, []
    for start in range(0, last + 1, block):
        positive: npt.NDArray[np.uint32] = np.arange(start, min(start + block, last + 1), dtype=np.uint32)
        margins = np.concatenate([positive, positive | sign]).view(np.float32)
        ours, theirs = graph.feed({MARGIN: margins[:, None]}, [PROBABILITY, THEIRS])
        steps = np.abs(ours[:, 0].view(np.int32).astype(np.int64) - theirs[:, 0].view(np.int32))
        compared += len(margins)
        different += [(float(margins[at]), int(steps[at])) for at in np.flatnonzero(steps)]
    return {
        "margins compared": compared,
        "of them different": len(different),
        "the smallest of these": min((abs(margin) for margin, _ in different), default=None),
        "units in the last place, at most": max((steps for _, steps in different), default=0),
    }


if __name__ == "__main__":
    main()
