from collections.abc import Mapping

import numpy as np
import pytest

from model.artifact import GRAPH, Artifact
from model.data import Labelled
from model.effects import APPLICANTS, effects
from preprocessing.encode import MODEL_FIELDS
from preprocessing.fields import Category


def test_an_effect_is_the_mean_over_applicants_with_one_field_changed(
    labelled: Labelled, artifact: Artifact, files: Mapping[str, bytes]
) -> None:
    found = effects(files[GRAPH], labelled.matrix)
    assert [effect.field for effect in found] == list(MODEL_FIELDS)
    for column, effect in enumerate(found):
        changed = labelled.matrix[:APPLICANTS].copy()
        changed[:, column] = effect.values[-1]
        assert effect.probability[-1] == pytest.approx(float(artifact.probability(changed).mean()), abs=1e-6)
        assert (effect.missing is None) is not bool(np.isnan(labelled.matrix[:, column]).any())


def test_demanded_directions_show_in_the_effects(labelled: Labelled, files: Mapping[str, bytes]) -> None:
    for effect in effects(files[GRAPH], labelled.matrix):
        risk = effect.field.kind.risk
        assert not risk or (risk * np.diff(effect.probability) >= -1e-6).all()


def test_a_field_that_nobody_filled_in_has_no_curve(labelled: Labelled, files: Mapping[str, bytes]) -> None:
    empty = np.full_like(labelled.matrix[:50], np.nan)
    for effect in effects(files[GRAPH], empty):
        assert effect.missing_share == 1
        assert isinstance(effect.field.kind, Category) or not effect.values
