"""What other thresholds would have done: the answer of GET /model/thresholds, to be added up by whoever asks.

`python -m model.policy` shows the same groups of applicants with their sums and costs.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from model.artifact import Artifact


class OutcomeGroup(BaseModel):
    """Applicants of the test split whose probability lies between the group before and this one."""

    model_config = ConfigDict(frozen=True)

    up_to: Annotated[float, Field(description="The highest probability among them.")]
    good: int
    bad: int


class Thresholds(BaseModel):
    """The policy's two thresholds, and what became of the test split's applicants."""

    model_config = ConfigDict(frozen=True)

    low: Annotated[float, Field(description="A probability below it is low risk.")]
    high: Annotated[float, Field(description="A probability of it or more is high risk.")]
    outcomes: Annotated[tuple[OutcomeGroup, ...], Field(description="Safest first; empty where the model has none.")]

    @classmethod
    def of(cls, artifact: Artifact) -> "Thresholds":
        policy = artifact.policy
        groups = sorted(artifact.reference.outcomes, key=lambda group: group.up_to)
        outcomes = tuple(OutcomeGroup(up_to=group.up_to, good=group.good, bad=group.bad) for group in groups)
        return cls(low=policy.low_below, high=policy.high_from, outcomes=outcomes)
