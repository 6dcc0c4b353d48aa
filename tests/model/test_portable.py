"""The file that travels says what the artefact says, to the last bit, and holds all that is needed to ask it."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from loadtest.sigmoids import THEIRS, sigmoids
from model import portable, portable_graph
from model.artifact import POLICY, Artifact, verify, with_policy
from model.errors import ArtifactError, ParityError
from model.generated import generated_rows
from model.graph import FEATURES, INPUT, MARGIN, PROBABILITY, Graph
from model.policy import TIERS, answered
from preprocessing.encode import FIELDS, MODEL_FIELDS, encode
from preprocessing.fields import Category
from preprocessing.schema import Application
from tests.generated import EXAMPLE

# Above, a probability is less than 3e-8 from one: 20 of the 2,199,912,450 margins within ±18 are a bit off there.
SURE = 17.4


@pytest.fixture(scope="module")
def written(artifact: Artifact) -> bytes:
    return portable.portable(artifact)


def test_it_gives_the_bits_of_the_artefact_whatever_the_batch(artifact: Artifact, written: bytes) -> None:
    matrix = generated_rows({}, 500, np.random.default_rng(7))
    inputs = portable_graph.inputs_of(matrix)
    graph = Graph(written)
    probability, tier, contributions = graph.feed(inputs, list(portable_graph.OUTPUTS))
    assert np.array_equal(probability[:, 0], artifact.probability(matrix))
    assert np.array_equal(contributions, artifact.contributions(matrix))
    assert tier[:, 0].tolist() == [artifact.policy.tier(p) for p in answered(probability[:, 0])]
    assert len(set(tier[:, 0])) == len(TIERS)
    alone = [graph.feed({name: c[[row]] for name, c in inputs.items()}, [PROBABILITY])[0][0, 0] for row in range(50)]
    assert alone == probability[:50, 0].tolist()


def test_its_inputs_are_the_fields_that_the_model_is_given(written: bytes) -> None:
    inputs = onnx.load_from_string(written).graph.input
    assert [field.name for field in inputs] == [field.name for field in MODEL_FIELDS]
    for declared, field in zip(inputs, MODEL_FIELDS, strict=True):
        word = isinstance(field.kind, Category)
        assert declared.type.tensor_type.elem_type == (TensorProto.STRING if word else TensorProto.FLOAT)


def test_a_field_may_be_called_as_something_inside_is(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [MARGIN, "x", "Q", INPUT, FEATURES, f"code_of_{MODEL_FIELDS[-1].name}"]
    renamed = [dataclasses.replace(field, name=name) for field, name in zip(MODEL_FIELDS, names, strict=False)]
    monkeypatch.setattr(portable_graph, "MODEL_FIELDS", (*renamed, *MODEL_FIELDS[len(names) :]))
    portable.portable(artifact)  # which checks its bits


def test_a_field_may_not_be_called_as_an_output_is(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = dataclasses.replace(MODEL_FIELDS[0], name=portable_graph.TIER)
    monkeypatch.setattr(portable_graph, "MODEL_FIELDS", (renamed, *MODEL_FIELDS[1:]))
    with pytest.raises(ArtifactError, match="'tier'"):
        portable.portable(artifact)


def test_a_word_that_the_schema_does_not_know_counts_as_missing(artifact: Artifact, written: bytes) -> None:
    matrix = encode([Application.model_validate(EXAMPLE)]).matrix
    for column, field in enumerate(MODEL_FIELDS):
        if not isinstance(field.kind, Category):
            continue
        missing = matrix.copy()
        missing[:, column] = np.nan
        for word in ("", "of gold", next(iter(field.kind.values)).upper()):
            inputs = {**portable_graph.inputs_of(matrix.copy()), field.name: np.array([[word]], dtype=object)}
            assert Graph(written).feed(inputs, [PROBABILITY])[0][0] == artifact.probability(missing)


def test_its_sigmoid_is_onnx_runtimes_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, int(np.float32(SURE).view(np.uint32)), 300_000, dtype=np.uint32)  # each exponent alike
    margins = np.concatenate([bits.view(np.float32), random.uniform(-SURE, SURE, 300_000).astype(np.float32)])
    margins = np.concatenate([margins, -margins, np.array([-0.0, 18, -18, 1e30, -1e30], np.float32)])
    ours, theirs = Graph(sigmoids()).feed({MARGIN: margins[:, None]}, [PROBABILITY, THEIRS])
    assert np.array_equal(ours, theirs)


def test_its_tiers_change_where_an_answers_digits_reach_a_threshold(artifact: Artifact) -> None:
    column: list[str | int | None] = ["rows", 1]
    given = helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, column)
    graph = helper.make_graph(
        [], "tiers", [given], [helper.make_tensor_value_info(portable_graph.TIER, TensorProto.STRING, column)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    portable_graph.append_tier(model, artifact)
    thresholds = np.array([artifact.policy.low_below, artifact.policy.high_from], np.float32).view(np.int32)
    near = (thresholds[:, None] + np.arange(-500, 500)).astype(np.int32).view(np.float32).reshape(-1, 1)
    probabilities = np.concatenate([near, np.array([[0], [1]], np.float32)])
    [tiers] = Graph(model.SerializeToString()).feed({PROBABILITY: probabilities}, [portable_graph.TIER])
    assert tiers[:, 0].tolist() == [artifact.policy.tier(p) for p in answered(probabilities[:, 0])]
    assert set(tiers[:, 0]) == set(TIERS)


def test_it_says_the_rules_the_policy_and_the_versions(artifact: Artifact, written: bytes) -> None:
    said = {entry.key: entry.value for entry in onnx.load_from_string(written).metadata_props}
    assert said.keys() == {"riskline.application", "riskline.policy", "riskline.answer"}
    schema = json.loads(said["riskline.application"])
    assert {name: field.pop("x-rule") for name, field in schema["properties"].items()} == {
        field.name: field.kind.rule for field in FIELDS
    }
    assert schema == Application.model_json_schema()
    assert said["riskline.policy"].encode() == artifact.files[POLICY]
    answer = json.loads(said["riskline.answer"])
    assert answer["model_version"] == artifact.model_version
    assert hashlib.sha256(said["riskline.policy"].encode()).hexdigest().startswith(answer["policy_version"])
    for field, low, high in zip(MODEL_FIELDS, *artifact.ranges, strict=True):
        warnings = answer["warnings"][field.name]
        assert warnings["range"] == [low, high]
        assert warnings["missing"] == f"{field.kind.label} is missing; scored without it"
        assert warnings["outside_training_range"].startswith(f"{field.kind.label} is outside")


def test_the_same_artefact_gives_the_same_file(artifact: Artifact, written: bytes) -> None:
    assert portable.portable(artifact) == written


def test_another_policy_gives_a_file_with_its_tiers(artifact: Artifact, written: bytes) -> None:
    strict = artifact.policy.model_copy(update={"low_below": 0.01, "high_from": 0.02})
    other = verify(with_policy(artifact, strict), "the same under another policy")
    with pytest.raises(ParityError, match="tiers"):
        portable_graph.check(written, other)
    portable_graph.check(portable.portable(other), other)


def test_a_file_whose_sigmoid_rounds_otherwise_is_not_written(artifact: Artifact, written: bytes) -> None:
    model = onnx.load_from_string(written)
    [half] = [
        constant for constant in model.graph.initializer if constant.name == f"{portable_graph.INSIDE}unclipped_1"
    ]
    half.raw_data = np.nextafter(np.float32(0.5), np.float32(1)).tobytes()
    with pytest.raises(ParityError, match="last bits"):
        portable_graph.check(model.SerializeToString(), artifact)


def test_the_program_writes_the_file(
    model_folder: Path, tmp_path: Path, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new/riskline.onnx"
    monkeypatch.setattr(sys, "argv", ["portable", "--model", str(model_folder), "--out", str(out)])
    portable.main()
    assert out.read_bytes() == written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"--model": "nowhere/at-all"}, "there is no model at"), ({"--out": "."}, "cannot be written")],
)
def test_the_program_says_in_a_line_what_it_cannot_do(
    model_folder: Path, arguments: Mapping[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"--model": str(model_folder), **arguments}
    monkeypatch.setattr(sys, "argv", ["portable", *(part for pair in given.items() for part in pair)])
    with pytest.raises(SystemExit, match=said) as ended:
        portable.main()
    assert "\n" not in str(ended.value)
