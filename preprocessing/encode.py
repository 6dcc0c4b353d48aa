"""Second step of an application's way: validated applications → one float32 matrix.

One slot a field, in schema order, protected fields left out: a number is itself, a category is the index of its word, a
missing value is NaN. Nothing here is learned, so records and columns need no shared state to agree. A refused row keeps
its place as a row of NaN, so that an index means the same row from the caller's body to the answer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category, Field, fields_of
from preprocessing.schema import Application

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.float64]
Row = Application | InvalidApplication

FIELDS: tuple[Field, ...] = fields_of(Application)
MODEL_FIELDS: tuple[Field, ...] = tuple(field for field in FIELDS if not field.kind.protected)
COLUMN: Mapping[str, int] = {field.name: index for index, field in enumerate(MODEL_FIELDS)}

# says which model fits: a sha256 over everything about the fields that a model depends on
SCHEMA_VERSION = hashlib.sha256(to_json([field.fingerprint() for field in FIELDS])).hexdigest()[:12]
MODEL_PLACES = [FIELDS.index(field) for field in MODEL_FIELDS]

_values_of = attrgetter(*(field.name for field in FIELDS))
_NOTHING = (None,) * len(FIELDS)
_NUMBER_CODES: dict[float | None, float] = {None: float("nan")}
# For each slot the words' codes; a number is looked up too, not found, and stands for itself.
_CODES: list[Mapping[Any, float]] = [
    field.kind.codes if isinstance(field.kind, Category) else _NUMBER_CODES for field in FIELDS
]


@dataclass(frozen=True, slots=True)
class Batch:
    """`matrix` (rows, model fields) float32 in the caller's order; `refused` says by row what was wrong with it.

    `codes` (fields, rows) float64 is what the applications say, protected fields included, in codes and with NaN for
    missing: what is recorded. None where nobody will record them. `unsure` names, by row, the fields whose values
    somebody has read for the applicant, and was not sure of.
    """

    matrix: Matrix
    refused: Mapping[int, InvalidApplication]
    codes: Codes | None = None
    unsure: Mapping[int, Sequence[str]] = field(default_factory=dict)


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
    every = np.fromiter(codes, dtype=np.float64, count=len(codes)).reshape(len(rows), len(FIELDS))
    return Batch(every[:, MODEL_PLACES].astype(np.float32), refused, every.T)
