"""The example for Node answers as the service does: the same bits, words and refusals, from the file alone."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest

from loadtest.server import running_server
from model.artifact import GRAPH, Artifact
from model.policy import DIGITS
from preprocessing.encode import MODEL_FIELDS
from tests.examples.conftest import MODEL
from tests.examples.oracle import BITS, answer, expected_bits, texts
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL, anything, valid_applications

pytestmark = pytest.mark.slow

WITHIN_S = 120
OPEN = f"""
import {{ readFileSync }} from "node:fs";
import ort from "onnxruntime-node";
import {{ PortableModel, points }} from "../onnx/application.mjs";
const input = JSON.parse(readFileSync(0, "utf8"));
const model = await PortableModel.open(ort, readFileSync("../../{MODEL}"), {{ intraOpNumThreads: 1 }});
"""


def node(example: Path, *arguments: str, given: str = "", status: int = 0) -> str:
    """What the program in the example's folder wrote to stdout, to stderr if it fails with `status`."""
    done = subprocess.run(
        ["node", *arguments], cwd=example, input=given, capture_output=True, text=True, timeout=WITHIN_S
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status > 1 else done.stdout


def evaluated(example: Path, expression: str, given: object = None) -> Any:
    """A JavaScript expression about `model` and `input`."""
    script = f"{OPEN}\nconsole.log(JSON.stringify({expression}));"
    return json.loads(node(example, "--input-type=module", "--eval", script, given=json.dumps(given)))


def lines(example: Path, applications: list[str]) -> list[dict[str, Any]]:
    written = node(example, "score.mjs", "--lines", f"../../{MODEL}", given="\n".join(applications) + "\n")
    return [json.loads(line) for line in written.removesuffix("\n").split("\n")]  # a name may hold other line ends


def test_its_bits_are_the_artefacts(node_example: Path, artifact: Artifact) -> None:
    expected = expected_bits(artifact)
    expected.check(evaluated(node_example, f"await ({BITS})(model, input)", expected.applications))


def test_it_answers_word_for_word_as_a_running_service(node_example: Path, model_folder: Path) -> None:
    applications = texts(valid_applications, 250) + texts(anything, 250)
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        body = '{"applications":[' + ",".join(applications) + "]}"
        response = httpx.post(f"{server.url}/predict_batch?explain=true", content=body, timeout=60).raise_for_status()
    expected = response.json()["results"]
    for each in expected:
        each.pop("decision_id", None)
    assert lines(node_example, applications) == expected
    assert {*expected[0]} == {*json.loads(node(node_example, "score.mjs", f"../../{MODEL}", given=applications[0]))}
    assert sum("error" in each for each in expected) > 50
    assert {each["tier"] for each in expected if "tier" in each} == {"low", "medium", "high"}
    assert {w["code"] for each in expected for w in each.get("warnings", ())} == {"missing", "outside_training_range"}


REST = json.dumps({name: value for name, value in EXAMPLE.items() if name not in (NUMBER.name, CATEGORY.name)})[1:-1]
DOUBTFUL = [
    *(f'{{{REST}, "{NUMBER.name}": {value}}}' for value in (
        '"9"', "true", "[9]", "{}", "null", "9.5", "-1", "1e9", "1e999", "9" * 400,
        "9.000000001", "9.00000000098", "8.999999999", "8.9999999991", "9e-10", "1.1e-9", "1e-300",
    )),
    *(f'{{{REST}, "{NUMBER.name}": 9, "{CATEGORY.name}": {value}}}' for value in (
        '"of gold"', "7", '""', '["rent"]', "false", '"constructor"',
    )),
    *(f'{{{REST}, "{NUMBER.name}": 9, {pair}}}' for pair in (
        '"shoe_size": 44', '"": 1', '"b": 1, "1": 1', '"__proto__": null', '"toString": 1',
        f'"{"x" * 10_000}": 1', f'"{"🙂" * 70}": 1',
        f'"{NUMBER.name}": 9', f'"{NUMBER.name}" : 8', f'"\\u00{ord(NUMBER.name[0]):x}{NUMBER.name[1:]}": 9',
        f'"{OPTIONAL.name}": null, "{OPTIONAL.name}": null',
    )),
    "{" + ",".join(f'"unknown_{number}": {number}' for number in range(60)) + "}",
    "[]", "[1]", "null", "7", '"text"', "{}",
]  # fmt: skip


def test_it_judges_what_is_doubtful_in_the_services_own_words(node_example: Path, artifact: Artifact) -> None:
    for text, got in zip(DOUBTFUL, lines(node_example, DOUBTFUL), strict=True):
        assert got == answer(artifact, text), text[:200]


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a": 12345}}', "\ufeff{}", '{"secret": NaN}'])
def test_what_is_no_json_is_refused_and_never_repeated(node_example: Path, text: str) -> None:
    refused = json.loads(node(node_example, "score.mjs", f"../../{MODEL}", given=text, status=1))
    expected = {"error": "malformed_body", "message": "the application is not valid JSON", "detail": []}
    assert refused == expected


def test_its_points_are_the_policys_for_every_answer_that_there_is(node_example: Path, artifact: Artifact) -> None:
    every = [number / 10**DIGITS for number in range(10**DIGITS + 1)]
    sums = """(() => {
      const all = Array.from({ length: 1e6 + 1 }, (_, number) =>
        points(number / 1e6, model.policy.points_scale, model.answer.digits));
      const changes = all.flatMap((value, number) => (value === all[number - 1] ? [] : [[number, value]]));
      return changes;
    })()"""
    points = np.array(artifact.policy.points(every))
    changes = [0, *(np.flatnonzero(np.diff(points)) + 1).tolist()]
    assert evaluated(node_example, sums) == [[number, int(points[number])] for number in changes]


def test_it_reads_the_files_metadata_and_inputs_as_onnx_does(node_example: Path, travelled: Path) -> None:
    model = onnx.load(travelled / MODEL)
    read = evaluated(
        node_example,
        f'(await import("../onnx/metadata.mjs")).metadataOf(readFileSync("../../{MODEL}"))',
    )
    assert read == {entry.key: entry.value for entry in model.metadata_props}
    assert evaluated(node_example, "model.session.inputNames") == [field.name for field in MODEL_FIELDS]


def test_what_is_no_such_file_is_said_in_a_line(node_example: Path, artifact: Artifact, tmp_path: Path) -> None:
    whole = (node_example / "../.." / MODEL).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:-1000])
    (tmp_path / "text.onnx").write_text("no model\n")
    (tmp_path / "other.onnx").write_bytes(artifact.files[GRAPH])
    for arguments, said in (
        (["score.mjs"], "which model?"),
        (["score.mjs", "nowhere.onnx"], "no such file"),
        (["score.mjs", str(tmp_path / "cut.onnx")], "ends in the middle of"),
        (["score.mjs", str(tmp_path / "text.onnx")], "is no .onnx"),
        (["score.mjs", str(tmp_path / "other.onnx")], "no model that travels"),
        (["score.mjs", f"../../{MODEL}", "nowhere.json"], "no such file"),
        (["score.mjs", "--batch", f"../../{MODEL}"], "--batch"),
    ):
        told = node(node_example, *arguments, status=2)
        assert said in told
        assert told.count("\n") == 1
        assert told.startswith("riskline: ")
