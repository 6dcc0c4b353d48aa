"""Everything that the report is written from: one frozen value, so that the page knows no training library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.data import Labelled
from model.evaluate import auc, rank_correlation
from model.fairness import Audit, audit
from model.graph import Graph
from model.monotone import Chain, Proof, chains
from model.policy import DIGITS, Policy, answered
from model.scorecard import Comparison, compare

Rows = npt.NDArray[np.int64]
Probability = npt.NDArray[np.float64]


class Splits(NamedTuple):
    """Row indices; no row is in two of them."""

    fitting: Rows
    validation: Rows
    test: Rows


class SeedRun(NamedTuple):
    """A refit on the same splits with another seed, beside the champion on the test split."""

    seed: int
    trees: int
    auc: float
    rank_correlation: float
    other_tier: float  # share of applicants


@dataclass(frozen=True, slots=True)
class Study:
    """`probability` (rows,) float64 as it is answered; `facts` are the manifest's; `proofs` all hold."""

    data: Labelled
    splits: Splits
    probability: Probability
    policy: Policy
    onnx: bytes
    facts: Mapping[str, Any]
    proofs: Sequence[Proof]
    chains: Sequence[Chain]
    seeds: Sequence[SeedRun]
    comparison: Comparison
    audits: Sequence[Audit]

    @property
    def tested(self) -> tuple[npt.NDArray[np.bool_], Probability]:
        """Verdicts and probabilities of the test split."""
        return self.data.bad[self.splits.test], self.probability[self.splits.test]


def examine(
    data: Labelled,
    splits: Splits,
    policy: Policy,
    onnx: bytes,
    facts: Mapping[str, Any],
    proofs: Sequence[Proof],
    refits: Sequence[tuple[int, int, Probability]],
) -> Study:
    """Runs what the report needs besides training. `refits` are (seed, trees, probabilities of the test split)."""
    probability = np.array(answered(Graph(onnx).run(data.matrix)[0][:, 0]))
    bad, tested = data.bad[splits.test], probability[splits.test]
    high = tested >= policy.high_from
    seed = int(facts["training"]["seed"])
    return Study(
        data,
        splits,
        probability,
        policy,
        onnx,
        facts,
        proofs,
        chains(onnx, data.matrix[splits.test]),
        [_seed_run(*refit, champion=tested, bad=bad, policy=policy) for refit in refits],
        compare(data.matrix, data.bad, probability, splits.fitting, splits.test, seed),
        [audit(grouping.of(splits.test), bad, high, tested) for grouping in data.groups],
    )


def _seed_run(
    seed: int,
    trees: int,
    probability: Probability,
    champion: Probability,
    bad: npt.NDArray[np.bool_],
    policy: Policy,
) -> SeedRun:
    tiers, champions = (np.array(policy.tiers(np.round(p, DIGITS).tolist())) for p in (probability, champion))
    return SeedRun(
        seed, trees, auc(bad, probability), rank_correlation(probability, champion), float((tiers != champions).mean())
    )
