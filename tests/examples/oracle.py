"""What the examples must say: applications as they travel, and the bits and answers of the project's own code."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import Artifact
from model.generated import generated_rows
from model.portable_graph import inputs_of
from preprocessing.decode import decode_application
from preprocessing.encode import MODEL_FIELDS, encode
from preprocessing.fields import Category
from serving.answers import json_rows
from serving.scorer import Scorer

ROWS = 400
BEYOND_FLOAT32 = 1e39  # for infinity, which JSON cannot say
UNSEEN = "of gold"
# in JavaScript: the bits of what the graph puts out, for all rows at once and for each alone
BITS = """async (model, applications) => {
  const bits = values => [...new Uint32Array(values.slice().buffer)];
  const plain = outputs => [bits(outputs.probability), [...outputs.tier], bits(outputs.contributions)];
  const alone = [];
  for (const application of applications) alone.push(plain(await model.outputs([application])));
  return { together: plain(await model.outputs(applications)), alone };
}"""


@dataclass(frozen=True)
class Expected:
    """`applications` as JSON objects, and what the artefact's own graphs make of them, float32 as their bits."""

    applications: list[dict[str, Any]]
    probability: list[int]
    tier: list[str]
    contributions: list[list[int]]

    def check(self, got: dict[str, Any]) -> None:
        """AssertionError unless these are the same bits and tiers, whatever the batch."""
        assert got["together"] == [self.probability, self.tier, [bits for row in self.contributions for bits in row]]
        rows = zip(self.probability, self.tier, self.contributions, strict=True)
        assert got["alone"] == [[[probability], [tier], contributions] for probability, tier, contributions in rows]


def expected_bits(artifact: Artifact) -> Expected:
    """Of rows that no service would let in: missing values everywhere, infinities, words that nobody knows."""
    matrix = generated_rows({}, ROWS, np.random.default_rng(11))
    columns = [field.kind for field in MODEL_FIELDS]
    applications = []
    for row in matrix.tolist():
        application: dict[str, Any] = {}
        for field, kind, code in zip(MODEL_FIELDS, columns, row, strict=True):
            if code != code:
                continue
            words = {value: word for word, value in kind.codes.items()} if isinstance(kind, Category) else {}
            number = float(np.clip(code, -BEYOND_FLOAT32, BEYOND_FLOAT32))
            application[field.name] = words.get(code, UNSEEN) if words else number
        applications.append(application)
    inputs_of(matrix)  # makes unknown codes missing
    probability, contributions = artifact.probability(matrix), artifact.contributions(matrix)
    tiers = [artifact.policy.tier(p) for p in artifact.score(matrix)]
    return Expected(
        applications, probability.view(np.uint32).tolist(), list(tiers), contributions.view(np.uint32).tolist()
    )


def texts(strategy: st.SearchStrategy[Any], count: int) -> list[str]:
    """JSON of `count` examples. JSON has no infinity, but may have numbers that are too large."""
    written: list[str] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def write(example: Any) -> None:
        written.append(json.dumps(example).replace("Infinity", "1e999"))

    write()
    return written


def answer(artifact: Artifact, text: str) -> dict[str, Any]:
    """What the service answers to one application that is JSON, without the decision's id."""
    batch = encode(decode_application(text.encode()))
    [row] = json_rows(Scorer(artifact).score(batch, [] if batch.refused else [0]))
    answered: dict[str, Any] = json.loads(row)
    answered.pop("decision_id", None)
    return answered
