"""Second step of an application's way: validated applications → one float32 matrix.

One slot a field, in schema order, protected fields left out: a number is itself, a category is the index of its word, a
missing value is NaN. Nothing here is learned, so records and columns need no shared state to agree. A refused row keeps
its place as a row of NaN, so that an index means the same row from the caller's body to the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category, Field, fields_of
from preprocessing.schema import Application

Matrix = npt.NDArray[np.float32]
Row = Application | InvalidApplication

FIELDS: tuple[Field, ...] = fields_of(Application)
MODEL_FIELDS: tuple[Field, ...] = tuple(field for field in FIELDS if not field.kind.protected)
COLUMN: Mapping[str, int] = {field.name: index for index, field in enumerate(MODEL_FIELDS)}

_values_of = attrgetter(*COLUMN)
_NOTHING = (None,) * len(MODEL_FIELDS)
_NUMBER_CODES: dict[float | None, float] = {None: float("nan")}
# For each slot the words' codes; a number is looked up too, not found, and stands for itself.
_CODES: list[Mapping[Any, float]] = [
    field.kind.codes if isinstance(field.kind, Category) else _NUMBER_CODES for field in MODEL_FIELDS
]


@dataclass(frozen=True, slots=True)
class Batch:
    """`matrix` (rows, fields) float32 in the caller's order; `refused` says by row what was wrong with it."""

    matrix: Matrix
    refused: Mapping[int, InvalidApplication]


def encode(rows: Sequence[Row]) -> Batch:
    """Applications, valid or refused → the batch that is scored."""
    refused = {index: row for index, row in enumerate(rows) if isinstance(row, InvalidApplication)}
    codes = [
        words.get(value, value)
        for row in rows
        for words, value in zip(
            _CODES, _NOTHING if isinstance(row, InvalidApplication) else _values_of(row), strict=True
        )
    ]
    matrix = np.fromiter(codes, dtype=np.float32, count=len(codes))
    return Batch(matrix.reshape(len(rows), len(MODEL_FIELDS)), refused)
