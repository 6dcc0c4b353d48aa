"""What it costs to score with the one file: its size, and the time of an application in Node and in a page.

Prints the figures of examples/README.md as JSON. Needs what `npm ci` installs for both examples, node and Chromium.

    python -m loadtest.portable
    python -m loadtest.portable --sigmoid      # instead: its sigmoid against ONNX Runtime's, on every margin (5 min)
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from loadtest.browser import NoBrowserError, chromium, running_browser
from loadtest.server import ROOT, running_server
from model.artifact import open_artifact
from model.errors import ArtifactError
from model.graph import MARGIN, PROBABILITY, Graph
from model.lookup import append
from model.portable import append_sigmoid, portable
from preprocessing.encode import FIELDS

EXAMPLES = ROOT / "examples"
ORT_WEB = "node_modules/onnxruntime-web/dist"
LOADED = (
    f"{ORT_WEB}/ort.wasm.min.mjs",
    f"{ORT_WEB}/ort-wasm-simd-threaded.mjs",
    f"{ORT_WEB}/ort-wasm-simd-threaded.wasm",
)
EXAMPLE = json.dumps({field.name: field.kind.example for field in FIELDS})
WITHIN_S = 300
# Blocks, since a browser's clock is made coarse: 100 microseconds in Chromium. The first are a warm-up.
TIMED = """async (model, text) => {
  const [blocks, warm, each, rows] = [120, 20, 50, 1000];
  const took = [];
  for (let block = 0; block < blocks; block++) {
    const started = performance.now();
    for (let time = 0; time < each; time++) await model.answers([text]);
    took.push((performance.now() - started) * 1000 / each);
  }
  const sorted = took.slice(warm).sort((a, b) => a - b);
  const batch = Array(rows).fill(text);
  await model.answers(batch);
  const started = performance.now();
  await model.answers(batch);
  return {
    "microseconds an application, fastest of 100 blocks": Math.round(sorted[0]),
    "microseconds an application, median of 100 blocks": Math.round(sorted[sorted.length / 2]),
    "microseconds an application, worst of 100 blocks": Math.round(sorted.at(-1)),
    "microseconds an application in a batch of 1,000": Math.round((performance.now() - started) * 1000 / rows),
  };
}"""


THEIRS = "theirs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.portable", description="Measure the file that travels.")
    parser.add_argument("--sigmoid", action="store_true", help="compare its sigmoid with ONNX Runtime's instead")
    if parser.parse_args().sigmoid:
        print(json.dumps(_every_margin(), indent=1))  # noqa: T201
        return
    try:
        written = portable(open_artifact("riskline:latest"))
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "riskline.onnx")
            model.write_bytes(written)
            _installed()
            figures = {"sizes": _sizes(written), "node": _in_node(model), "page": _in_a_page(model)}
    except (ArtifactError, NoBrowserError, FileNotFoundError) as error:
        sys.exit(f"portable: {error}")
    print(json.dumps(figures, indent=1))  # noqa: T201


def sigmoids() -> bytes:
    """A graph: `margin` (rows, 1) float32 → `probability` as the file computes it, and `theirs` by ONNX's Sigmoid."""
    column: list[str | int | None] = ["rows", 1]
    names = (PROBABILITY, THEIRS)
    graph = helper.make_graph(
        [],
        "sigmoids",
        [helper.make_tensor_value_info(MARGIN, TensorProto.FLOAT, column)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, column) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    append_sigmoid(model)
    append(model, "Sigmoid", [MARGIN], THEIRS)
    written: bytes = model.SerializeToString()
    return written


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


def _sizes(written: bytes) -> dict[str, int]:
    sizes = {"riskline.onnx": len(written), "riskline.onnx, gzip": len(gzip.compress(written))}
    for name in LOADED:
        content = (EXAMPLES / "browser" / name).read_bytes()
        sizes |= {Path(name).name: len(content), f"{Path(name).name}, gzip": len(gzip.compress(content))}
    return sizes


def _installed() -> None:
    for example in ("node", "browser"):
        if not (EXAMPLES / example / "node_modules").is_dir():
            raise FileNotFoundError(f"first: npm ci --prefix examples/{example}")


def _in_node(model: Path) -> dict[str, Any]:
    script = f"""
        import {{ readFileSync }} from "node:fs";
        import ort from "onnxruntime-node";
        import {{ PortableModel }} from "../onnx/application.mjs";
        const started = performance.now();
        const model = await PortableModel.open(ort, readFileSync({json.dumps(str(model))}), {{ intraOpNumThreads: 1 }});
        const opened = Math.round(performance.now() - started);
        const figures = await ({TIMED})(model, {json.dumps(EXAMPLE)});
        console.log(JSON.stringify({{ "milliseconds to open the file": opened, ...figures }}));
    """
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("node is missing: apt-get install nodejs")
    command = [node, "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=EXAMPLES / "node", capture_output=True, text=True, timeout=WITHIN_S)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise FileNotFoundError(
            f"the example for Node does not run; npm ci --prefix examples/node: {done.stderr[-500:]}"
        )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _in_a_page(model: Path) -> dict[str, Any]:
    command = [sys.executable, str(EXAMPLES / "browser/serve.py"), str(model), "--port"]
    with (
        running_server({}, command=command, ready_path="/browser/") as server,
        running_browser(chromium()) as browser,
    ):
        page = browser.new_page()
        page.goto(f"{server.url}/browser/")
        page.get_by_role("button", name="Score").wait_for()
        ready: float = page.evaluate("performance.now()")
        figures: dict[str, Any] = page.evaluate(
            f"""async text => {{
                const ort = await import("./{LOADED[0]}");
                const {{ PortableModel }} = await import("../onnx/application.mjs");
                const bytes = await (await fetch("/riskline.onnx")).arrayBuffer();
                return ({TIMED})(await PortableModel.open(ort, new Uint8Array(bytes)), text);
            }}""",
            EXAMPLE,
        )
        return {"milliseconds until the page can score": round(ready), **figures}


if __name__ == "__main__":
    main()
