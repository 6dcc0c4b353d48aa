"""The page scores by itself, bit for bit as the service, and asks nobody but the server that it came from."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from loadtest.server import HOST, Server, running_server
from loadtest.sigmoids import THEIRS, WIDE, sigmoids
from model.artifact import Artifact
from model.graph import MARGIN, Graph
from tests.console.conftest import browser
from tests.examples.conftest import MODEL
from tests.examples.oracle import BITS, answer, expected_bits, texts
from tests.generated import EXAMPLE, NUMBER, OPTIONAL, anything, valid_applications
from tests.lab.browser import NARROW, Watched, watched_page

__all__ = ["browser"]  # pytest finds it here

pytestmark = pytest.mark.slow

PAGE = "/browser/"
MOST_APART = 2.5e-7  # of Sigmoid in WebAssembly and on a server: four float32 steps just below 1
OPEN = f"""async given => {{
  const ort = await import("{PAGE}node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
  const {{ PortableModel }} = await import("/onnx/application.mjs");
  const bytes = await (await fetch("/riskline.onnx")).arrayBuffer();
  const model = await PortableModel.open(ort, new Uint8Array(bytes));
"""


@pytest.fixture(scope="module")
def server(browser_example: Path) -> Iterator[Server]:
    command = [sys.executable, str(browser_example / "serve.py"), str(browser_example / "../.." / MODEL), "--port"]
    with running_server({}, command=command, ready_path=PAGE) as server:
        yield server


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    """The page with its model loaded; a request to anywhere else fails the test."""
    with watched_page(browser, server.url) as watched:
        watched.page.goto(server.url + PAGE)
        expect(watched.page.get_by_role("button", name="Score")).to_be_visible()
        yield watched


def evaluated(watched: Watched, expression: str, given: object) -> Any:
    return watched.page.evaluate(f"{OPEN} return {expression}; }}", given)


def test_its_bits_are_the_artefacts(watched: Watched, artifact: Artifact) -> None:
    expected = expected_bits(artifact)
    expected.check(evaluated(watched, f"({BITS})(model, given)", expected.applications))


def test_it_answers_word_for_word_as_the_service(watched: Watched, artifact: Artifact) -> None:
    applications = texts(valid_applications, 100) + texts(anything, 100)
    expected = [answer(artifact, text) for text in applications]
    assert evaluated(watched, "model.answers(given)", applications) == expected
    assert 20 < sum("error" in each for each in expected) < 100


def test_sigmoid_itself_would_have_other_bits_here(watched: Watched) -> None:
    margins = np.linspace(-8, 8, 20_001, dtype=np.float32)
    expected, wide_here = (
        output[:, 0] for output in Graph(sigmoids()).feed({MARGIN: margins[:, None]}, [THEIRS, WIDE])
    )
    watched.page.route("**/sigmoids.onnx", lambda route: route.fulfill(body=sigmoids()))
    got = watched.page.evaluate(
        f"""async margins => {{
            const ort = await import("{PAGE}node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
            const bytes = await (await fetch("/sigmoids.onnx")).arrayBuffer();
            const session = await ort.InferenceSession.create(new Uint8Array(bytes));
            const tensor = new ort.Tensor("float32", Float32Array.from(margins), [margins.length, 1]);
            const outputs = await session.run({{ {MARGIN}: tensor }});
            return session.outputNames.map(name => [...outputs[name].data]);
        }}""",
        margins.tolist(),
    )
    ours, theirs, wide = np.array(got, dtype=np.float32)
    assert np.array_equal(ours, expected)
    assert np.array_equal(wide, wide_here)
    differences = np.abs(theirs - expected)
    assert 0 < differences.max() <= MOST_APART
    assert (differences > 0).mean() > 0.01


def test_a_person_fills_the_form_and_reads_the_answer(watched: Watched, artifact: Artifact) -> None:
    page = watched.page
    shown = page.get_by_role("region", name="Answer")
    page.get_by_role("button", name="Score").click()
    expected = answer(artifact, json.dumps(EXAMPLE))
    expect(shown.get_by_role("heading")).to_have_text(f"{expected['tier']} risk")
    expect(shown).to_contain_text(f"{expected['probability']:.4%}, {expected['points']} points")
    for reason in expected["reasons"]:
        expect(shown).to_contain_text(f"{reason['text']} ({reason['contribution']})")
    changed = {name: value for name, value in EXAMPLE.items() if name != OPTIONAL.name}
    page.locator(f"#field-{OPTIONAL.name}").select_option("")
    page.get_by_role("button", name="Score").click()
    [warning] = answer(artifact, json.dumps(changed))["warnings"]
    expect(shown).to_contain_text(warning["message"])
    assert json.loads(page.get_by_label("The same as JSON").input_value()) == changed
    assert watched.violations() == []


def test_what_is_wrong_is_said_in_the_services_words(watched: Watched, artifact: Artifact) -> None:
    page = watched.page
    wrong = json.dumps({**EXAMPLE, NUMBER.name: "9", "shoe_size": 44})
    page.get_by_label("The same as JSON").fill(wrong)
    page.get_by_role("button", name="Score").click()
    refused = answer(artifact, wrong)
    shown = page.get_by_role("region", name="Answer")
    expect(shown.get_by_role("heading")).to_have_text(refused["message"])
    expect(shown.get_by_role("listitem")).to_have_text([problem["message"] for problem in refused["detail"]])
    page.get_by_label("The same as JSON").fill("{")
    page.get_by_role("button", name="Score").click()
    expect(shown.get_by_role("heading")).to_have_text("the application is not valid JSON")


def test_it_fits_a_small_screen_and_a_dark_one(browser: Browser, server: Server) -> None:
    with watched_page(browser, server.url, width=NARROW, scheme="dark") as watched:
        watched.page.goto(server.url + PAGE)
        watched.page.get_by_role("button", name="Score").click()
        expect(watched.page.get_by_role("region", name="Answer").get_by_role("heading")).to_be_visible()
        assert watched.violations() == []
        assert watched.page.evaluate("document.documentElement.scrollWidth") == NARROW


def test_a_page_whose_model_does_not_come_says_so(browser: Browser, server: Server) -> None:
    with watched_page(browser, server.url) as watched:
        watched.expected.add(404)
        watched.page.route("**/riskline.onnx", lambda route: route.fulfill(status=404))
        watched.page.goto(server.url + PAGE)
        expect(watched.page.get_by_role("status")).to_have_text(
            "There is no model to ask: the model did not come: status 404"
        )
        expect(watched.page.get_by_role("button", name="Score")).to_be_hidden()


def test_the_server_gives_each_file_its_type_and_nothing_else(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        for path, kind in (
            (PAGE, "text/html; charset=utf-8"),
            (f"{PAGE}page.mjs", "text/javascript; charset=utf-8"),
            (f"{PAGE}node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm", "application/wasm"),
            ("/riskline.onnx", "application/octet-stream"),
        ):
            answered = client.head(path)
            assert (answered.status_code, answered.headers["content-type"]) == (200, kind)
            assert "default-src 'self'" in answered.headers["content-security-policy"]
        for path in ("/", "/onnx/", "/../build/riskline.onnx", "/%2e%2e/build/riskline.onnx", "/nothing"):
            assert client.get(path).status_code == 404


def test_the_server_says_in_a_line_what_it_cannot_do(travelled: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = str(other.getsockname()[1])
        for arguments, said in (
            (["nowhere.onnx"], "there is no file nowhere.onnx"),
            ([MODEL, "--port", taken], f"port {taken} cannot be taken"),
            ([MODEL, "--port", "70000"], "port 70000 cannot be taken"),
        ):
            command = [sys.executable, "examples/browser/serve.py", *arguments]
            done = subprocess.run(command, cwd=travelled, capture_output=True, text=True, timeout=60)
            assert done.returncode == 1
            assert done.stderr.startswith(f"riskline: {said}")
            assert done.stderr.count("\n") == 1
