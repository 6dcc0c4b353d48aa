"""What it costs to score with the one file: its size, and the time of an application in Node and in a page.

Prints the figures of examples/README.md as JSON. Needs what `npm ci` installs for both examples, node and Chromium.

    python -m loadtest.portable
"""

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtest.browser import NoBrowserError, chromium, running_browser
from loadtest.server import ROOT, running_server
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


def main() -> None:
    try:
        _installed()
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "riskline.onnx")
            write = [sys.executable, "-m", "model.portable", "--out", str(model)]
            subprocess.run(write, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own command
            figures = {"sizes": _sizes(model.read_bytes()), "node": _in_node(model), "page": _in_a_page(model)}
    except (NoBrowserError, FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"portable: {error}")
    print(json.dumps(figures, indent=1))  # noqa: T201


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
