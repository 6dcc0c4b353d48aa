from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.encode import COLUMN, FIELDS, MODEL_FIELDS, encode
from preprocessing.errors import InvalidApplication, Problem
from preprocessing.schema import Application
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL, valid_applications

REFUSED = InvalidApplication([Problem("", "object", "an application must be a JSON object")])


def test_a_number_is_itself_a_word_its_index_and_a_missing_value_nan() -> None:
    word = list(CATEGORY.kind.values)[1]  # type: ignore[union-attr]
    numbered = Application.model_validate({**EXAMPLE, CATEGORY.name: word})
    missing = Application.model_validate({**EXAMPLE, OPTIONAL.name: None})
    matrix = encode([numbered, missing]).matrix
    assert matrix.dtype == np.float32
    assert matrix[0, COLUMN[NUMBER.name]] == EXAMPLE[NUMBER.name]
    assert matrix[0, COLUMN[CATEGORY.name]] == 1
    assert np.isnan(matrix[1, COLUMN[OPTIONAL.name]])


def test_no_applications_make_an_empty_matrix_of_the_right_width() -> None:
    assert encode([]).matrix.shape == (0, len(MODEL_FIELDS))


def test_a_refused_row_keeps_its_place() -> None:
    good = Application.model_validate(EXAMPLE)
    batch = encode([good, REFUSED, good])
    assert dict(batch.refused) == {1: REFUSED}
    assert np.isnan(batch.matrix).all(axis=1).tolist() == [False, True, False]


@given(valid_applications, st.sampled_from([field for field in FIELDS if field.kind.protected]))
def test_a_protected_field_never_reaches_the_matrix(application: dict[str, Any], protected: Any) -> None:
    without = {name: value for name, value in application.items() if name != protected.name}
    one, other = (encode([Application.model_validate(a)]).matrix for a in (application, without))
    np.testing.assert_array_equal(one, other)
