import json
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decode import decode_application
from preprocessing.encode import COLUMN, FIELDS, MODEL_FIELDS, encode, encode_columns, invalid_rows
from preprocessing.fields import Number
from preprocessing.schema import Application
from tests.generated import CATEGORY, EXAMPLE, NUMBER, OPTIONAL, doubtful_applications, valid_applications


def as_columns(applications: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """The same applications as columns: NaN and None for missing."""
    columns: dict[str, npt.NDArray[Any]] = {}
    for field in FIELDS:
        values = [application.get(field.name) for application in applications]
        if isinstance(field.kind, Number):
            columns[field.name] = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        else:
            columns[field.name] = np.array(values, dtype=object)
    return columns


def test_a_number_is_itself_a_word_its_index_and_a_missing_value_nan() -> None:
    application = {**EXAMPLE, CATEGORY.name: list(CATEGORY.kind.values)[1], OPTIONAL.name: None}  # type: ignore[union-attr]
    if OPTIONAL.name == CATEGORY.name:
        application[CATEGORY.name] = None
    [row] = encode([Application.model_validate(application)])
    assert row.dtype == np.float32
    assert row[COLUMN[NUMBER.name]] == EXAMPLE[NUMBER.name]
    assert np.isnan(row[COLUMN[OPTIONAL.name]])


def test_no_applications_make_an_empty_matrix_of_the_right_width() -> None:
    assert encode([]).shape == (0, len(MODEL_FIELDS))


@given(st.lists(valid_applications, min_size=1, max_size=5))
def test_records_and_columns_fill_the_same_matrix(applications: list[dict[str, Any]]) -> None:
    records = encode([Application.model_validate(application) for application in applications])
    np.testing.assert_array_equal(records, encode_columns(as_columns(applications)))


@given(st.lists(doubtful_applications, min_size=1, max_size=5))
def test_the_columns_rules_refuse_exactly_what_the_records_rules_refuse(applications: list[dict[str, Any]]) -> None:
    # a missing number and a null are one thing in a column: leave both out of the record
    records = [{name: value for name, value in a.items() if value is not None} for a in applications]
    refused = [not isinstance(decode_application(json.dumps(record).encode())[0], Application) for record in records]
    assert invalid_rows(as_columns(applications)).tolist() == refused


@given(valid_applications, st.sampled_from([field for field in FIELDS if field.kind.protected]))
def test_a_protected_field_never_reaches_the_matrix(application: dict[str, Any], protected: Any) -> None:
    without = {name: value for name, value in application.items() if name != protected.name}
    one, other = (encode([Application.model_validate(a)]) for a in (application, without))
    np.testing.assert_array_equal(one, other)
