"""Second step of an application's way: validated applications → one float32 matrix.

One slot a field, in schema order, protected fields left out: a number is itself, a category is the index of its word, a
missing value is NaN. Nothing here is learned, so records and columns need no shared state to agree.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.fields import ApplicationModel, Category, Field, Number, fields_of
from preprocessing.schema import Application

Matrix = npt.NDArray[np.float32]

FIELDS: tuple[Field, ...] = fields_of(Application)
MODEL_FIELDS: tuple[Field, ...] = tuple(field for field in FIELDS if not field.kind.protected)
COLUMN: Mapping[str, int] = {field.name: index for index, field in enumerate(MODEL_FIELDS)}

_values_of = attrgetter(*COLUMN)
_NUMBER_CODES: dict[float | None, float] = {None: float("nan")}
# For each slot the words' codes; a number is looked up too, not found, and stands for itself.
_CODES: list[Mapping[Any, float]] = [
    field.kind.codes if isinstance(field.kind, Category) else _NUMBER_CODES for field in MODEL_FIELDS
]


def encode(applications: Sequence[ApplicationModel]) -> Matrix:
    """Valid applications → (rows, len(MODEL_FIELDS)) float32."""
    rows = [
        [codes.get(value, value) for codes, value in zip(_CODES, _values_of(application), strict=True)]
        for application in applications
    ]
    return np.array(rows, dtype=np.float32).reshape(len(rows), len(MODEL_FIELDS))


def encode_columns(columns: Mapping[str, npt.NDArray[Any]]) -> Matrix:
    """Valid columns → the matrix that `encode` makes of the same applications as records.

    A number's column is float64 with NaN for missing, a category's is an object array of words with None for missing.
    """
    matrix = np.empty((len(columns[MODEL_FIELDS[0].name]), len(MODEL_FIELDS)), dtype=np.float32)
    for index, field in enumerate(MODEL_FIELDS):
        column = columns[field.name]
        if isinstance(field.kind, Category):
            column = np.array([field.kind.codes[word] for word in column], dtype=np.float32)
        matrix[:, index] = column
    return matrix


def invalid_rows(columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """(rows,) bool: True where the record path would refuse the row. Columns as for `encode_columns`."""
    invalid = np.zeros(len(columns[FIELDS[0].name]), dtype=np.bool_)
    for field in FIELDS:
        column = columns[field.name]
        if isinstance(field.kind, Number):
            missing = np.isnan(column)
            invalid |= ~missing & ~_within_rules(column, field.kind)
        else:
            missing = np.array([word is None for word in column], dtype=np.bool_)
            invalid |= np.array([word not in field.kind.codes for word in column], dtype=np.bool_)
        if field.required:
            invalid |= missing
    return invalid


def _within_rules(column: npt.NDArray[np.float64], number: Number) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):  # infinities are judged, not warned about
        valid = np.isfinite(column) & (column >= number.low) & (column <= number.high)
        if number.whole:
            # pydantic's own tolerance for `multiple_of`, so that both paths judge alike
            rest, tolerance = np.abs(np.fmod(column, 1.0)), np.abs(column) / 1e9
            valid &= (rest <= tolerance) | (np.abs(rest - 1.0) <= tolerance)
    return valid
