"""The graph of the file that travels: raw applications → probability, tier and contributions.

    each field, a word or a number ─ codes ─ [model.onnx's own nodes] ─ margin ─ sigmoid ─ probability ─ tier
                                           └ [contributions.onnx's own nodes] ─ contributions

See docs/decisions/0025-portable.md.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper

from model.artifact import CONTRIBUTIONS_GRAPH, GRAPH, Artifact
from model.errors import ArtifactError, ParityError
from model.generated import generated_rows
from model.graph import CONTRIBUTIONS, INPUT, MARGIN, PROBABILITY, Graph
from model.lookup import append
from model.policy import TIERS, answered
from preprocessing.encode import MODEL_FIELDS, Matrix
from preprocessing.fields import Category

TIER = "tier"
INSIDE = "riskline/"  # before the name of whatever is neither an input nor an output
OUTPUTS = {PROBABILITY: TensorProto.FLOAT, TIER: TensorProto.STRING, CONTRIBUTIONS: TensorProto.FLOAT}
CHECKED_ROWS = 20_000
_FLOAT32_ONE = int(np.float32(1).view(np.uint32))

# ONNX Runtime's float32 Sigmoid: 0.5 + x·P(x²)/Q(x²), x kept within ±18, after Eigen. Columns: P, Q; highest power
# first. P is one degree shorter. Source: onnxruntime/core/mlas/lib/logistic.cpp (MIT).
_COEFFICIENTS = np.array(
    [
        [0, 6.10247389755681e-13],
        [4.37031012579801e-11, 5.76102136993427e-09],
        [1.15627324459942e-07, 6.29106785017040e-06],
        [6.08574864600143e-05, 1.70198817374094e-03],
        [8.51377133304701e-03, 1.16817656904453e-01],
        [2.48287947061529e-01, 9.93151921023180e-01],
    ],
    dtype=np.float32,
).astype(np.float64)

Inputs = Mapping[str, npt.NDArray[Any]]


def portable_graph(artifact: Artifact) -> onnx.ModelProto:
    """Inputs: each field that the model is given, (rows, 1): a number as float32 (NaN: missing), a word as a string
    (what the schema does not know, "" too: missing). Outputs, by row: `probability` (rows, 1) float32, `tier` (rows, 1)
    string, `contributions` (rows, fields) float32.

    ArtifactError where a field has the name of an output.
    """
    for field in MODEL_FIELDS:
        if field.name in OUTPUTS:
            raise ArtifactError(f"the field {field.name!r} cannot travel: an output of the file has its name")
    model = onnx.load_from_string(artifact.files[GRAPH])
    contributions = compose.add_prefix(
        onnx.load_from_string(artifact.files[CONTRIBUTIONS_GRAPH]),
        f"{CONTRIBUTIONS}/",
        rename_inputs=False,
        rename_outputs=False,
    )
    nodes = [node for node in model.graph.node if PROBABILITY not in node.output]
    for part in (model.graph.node, model.graph.output, model.metadata_props):
        del part[:]
    model.graph.node.extend([*nodes, *contributions.graph.node])
    model.graph.initializer.extend(contributions.graph.initializer)
    append_sigmoid(model)
    append_tier(model, artifact)
    widths = {CONTRIBUTIONS: len(MODEL_FIELDS)}
    model.graph.output.extend(
        helper.make_tensor_value_info(name, kind, ["rows", widths.get(name, 1)]) for name, kind in OUTPUTS.items()
    )
    model = compose.add_prefix(model, INSIDE, rename_outputs=False)  # a field may be called `margin`, too
    _put_encoding_before(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def check(written: bytes, artifact: Artifact) -> None:
    """ParityError unless the file gives the artefact's bits and tiers for `CHECKED_ROWS` generated rows."""
    matrix = generated_rows({}, CHECKED_ROWS, np.random.default_rng(0))
    inputs = inputs_of(matrix)
    probability, tier, contributions = Graph(written).feed(inputs, list(OUTPUTS))
    expected = artifact.probability(matrix)
    if not np.array_equal(probability[:, 0], expected):
        row = int(np.argmax(probability[:, 0] != expected))
        raise ParityError(
            f"the portable file differs from {GRAPH} in the last bits (generated row {row}): ONNX Runtime computes the "
            f"sigmoid in another way on this machine; write the file on an x86-64 machine with FMA"
        )
    tiers = [TIERS[index] for index in artifact.policy.tiers(answered(expected))]
    if tier[:, 0].tolist() != tiers or not np.array_equal(contributions, artifact.contributions(matrix)):
        raise ParityError("the portable file's tiers or contributions differ from the artefact's: this is a bug")


def inputs_of(matrix: Matrix) -> Inputs:
    """The file's inputs for rows of the matrix; a code that stands for no word becomes NaN in the matrix as well."""
    inputs: dict[str, npt.NDArray[Any]] = {}
    for column, field in enumerate(MODEL_FIELDS):
        if isinstance(field.kind, Category):
            codes = field.kind.codes
            words = {code: word for word, code in codes.items() if word is not None}
            said = [words.get(code, "") for code in matrix[:, column].tolist()]
            matrix[:, column] = [codes[word or None] for word in said]
            inputs[field.name] = np.array(said, dtype=object).reshape(-1, 1)
        else:
            inputs[field.name] = matrix[:, [column]]
    return inputs


def _put_encoding_before(model: onnx.ModelProto) -> None:
    """An input for each field in place of the matrix, whose columns they become as in `preprocessing/encode.py`."""
    inputs, nodes, columns = [], [], []
    for field in MODEL_FIELDS:
        kind, column = TensorProto.FLOAT, field.name
        if isinstance(field.kind, Category):
            kind, column = TensorProto.STRING, f"{INSIDE}code_of_{field.name}"
            codes = {word: code for word, code in field.kind.codes.items() if word is not None}
            encoder = helper.make_node(
                "LabelEncoder",
                [field.name],
                [column],
                domain="ai.onnx.ml",
                keys_strings=list(codes),
                values_floats=list(codes.values()),
                default_float=float("nan"),
            )
            nodes.append(encoder)
        columns.append(column)
        inputs.append(helper.make_tensor_value_info(field.name, kind, ["rows", 1]))
    nodes.append(helper.make_node("Concat", columns, [INSIDE + INPUT], axis=1))
    nodes.extend(model.graph.node)
    for part, content in ((model.graph.input, inputs), (model.graph.node, nodes)):
        del part[:]
        part.extend(content)


def append_sigmoid(model: onnx.ModelProto) -> None:
    """`margin` → `probability`, step by step in operations that IEEE 754 defines to the last bit.

    Sigmoid itself is rounded as each processor's fastest instructions do it: a product and a sum in one step (FMA) on
    servers, in two in WebAssembly, which is up to 1.8e-7 apart. Here a step is done in float64, where the product of
    two float32 is exact, and rounded to float32.
    """
    append(model, "Clip", [MARGIN, _float32(-18), _float32(18)], "x")
    append(model, "Mul", ["x", "x"], "square_float32")
    append(model, "Cast", ["square_float32"], "square", to=TensorProto.DOUBLE)
    sums: str | npt.NDArray[np.float64] = _COEFFICIENTS[:1]
    for step, coefficients in enumerate(_COEFFICIENTS[1:]):
        append(model, "Mul", [sums, "square"], f"product_{step}")
        append(model, "Add", [f"product_{step}", coefficients], f"sum_{step}")
        append(model, "Cast", [f"sum_{step}"], f"polynomials_{step}", to=TensorProto.FLOAT)
        sums = f"polynomials_{step}_wide"
        append(model, "Cast", [f"polynomials_{step}"], sums, to=TensorProto.DOUBLE)
    last = f"polynomials_{len(_COEFFICIENTS) - 2}"
    model.graph.node.append(helper.make_node("Split", [last], ["P", "Q"], axis=1, num_outputs=2))
    append(model, "Mul", ["P", "x"], "numerator")
    append(model, "Div", ["numerator", "Q"], "quotient")
    append(model, "Add", ["quotient", _float32(0.5)], "unclipped")
    append(model, "Clip", ["unclipped", _float32(0), _float32(1)], PROBABILITY)


def append_tier(model: onnx.ModelProto, artifact: Artifact) -> None:
    """`probability` → `tier`. An answer's digits are rounded before the policy looks at them, so that what is compared
    here is the smallest float32 whose answer reaches the threshold."""
    thresholds = (artifact.policy.low_below, artifact.policy.high_from)
    reaching = [bisect_left(range(_FLOAT32_ONE + 1), threshold, key=_answer_of_bits) for threshold in thresholds]
    append(model, "GreaterOrEqual", [PROBABILITY, np.array([reaching], np.uint32).view(np.float32)], "reached")
    append(model, "Cast", ["reached"], "reached_int64", to=TensorProto.INT64)
    append(model, "ReduceSum", ["reached_int64", np.array([1])], "tier_index", keepdims=1)
    append(model, "Gather", [np.array(TIERS, dtype=object), "tier_index"], TIER, axis=0)


def _float32(value: float) -> npt.NDArray[np.float32]:
    return np.array(value, dtype=np.float32)


def _answer_of_bits(bits: int) -> float:
    return answered(np.array([bits], np.uint32).view(np.float32))[0]
