"""What GET /model/thresholds says, beside the artefact that it says it of."""

from dataclasses import replace

from model.artifact import Artifact
from serving.thresholds import Thresholds


def test_the_groups_are_those_of_the_artefact_safest_first(artifact: Artifact) -> None:
    told = Thresholds.of(artifact)
    assert (told.low, told.high) == (artifact.policy.low_below, artifact.policy.high_from)
    assert [group.model_dump() for group in told.outcomes] == [
        group.model_dump() for group in artifact.reference.outcomes
    ]
    probabilities = [group.up_to for group in told.outcomes]
    assert probabilities == sorted(set(probabilities))
    turned = artifact.reference.model_copy(update={"outcomes": artifact.reference.outcomes[::-1]})
    assert Thresholds.of(replace(artifact, reference=turned)) == told


def test_a_model_without_outcomes_has_its_thresholds_all_the_same(artifact: Artifact) -> None:
    bare = replace(artifact, reference=artifact.reference.model_copy(update={"outcomes": ()}))
    assert Thresholds.of(bare) == Thresholds.of(artifact).model_copy(update={"outcomes": ()})
