"""Serves the page, what it is made of and one model to this machine's own browser. Needs Python, and none of ours.

python examples/browser/serve.py build/riskline.onnx      # http://127.0.0.1:8000/browser/
"""

import argparse
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent
MODEL = "/riskline.onnx"
# a page that may load nothing from anywhere else, and run what it has loaded: modules and WebAssembly
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:; base-uri 'none'; form-action 'none'"


class Handler(SimpleHTTPRequestHandler):
    """The folder `examples/` and the model beside it."""

    # not what the machine calls them: a browser runs no module of another type
    extensions_map = {  # noqa: RUF012 - the standard library declares it so
        "": "application/octet-stream",
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".wasm": "application/wasm",
    }

    def __init__(self, *arguments: Any, model: Path) -> None:
        self.model = model
        super().__init__(*arguments, directory=str(EXAMPLES))

    def translate_path(self, path: str) -> str:
        return str(self.model) if path.partition("?")[0] == MODEL else super().translate_path(path)

    def list_directory(self, path: Any) -> None:  # noqa: ARG002
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


def server(model: Path, port: int) -> ThreadingHTTPServer:
    """On the loopback address; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, model=model))


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the page that scores an application with MODEL.")
    parser.add_argument("model", type=Path, help="what `make onnx` has written")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        sys.exit(f"riskline: there is no file {arguments.model}; write one with: make onnx")
    try:
        serving = server(arguments.model.resolve(), arguments.port)
    except (OSError, OverflowError) as error:
        sys.exit(f"riskline: port {arguments.port} cannot be taken: {error}")
    print(f"http://127.0.0.1:{serving.server_port}/browser/", flush=True)  # noqa: T201
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        serving.server_close()


if __name__ == "__main__":
    main()
