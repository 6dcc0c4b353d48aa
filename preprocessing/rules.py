"""The schema's rules over whole columns: what all ways of reading many applications at once have in common.

They only find the rows that break a rule; what is wrong with such a row is said by the record path (`decode.py`).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.encode import COLUMN, MODEL_FIELDS, Matrix
from preprocessing.fields import Field, Number

Codes = npt.NDArray[np.floating[Any]]
Invalid = npt.NDArray[np.bool_]


def breaks_rule(values: Codes, number: Number) -> Invalid:
    """(rows,) → where a number breaks its field's rule; NaN is a missing value and breaks none."""
    with np.errstate(invalid="ignore"):  # infinities are judged, not warned about
        valid = np.isfinite(values) & (values >= number.low) & (values <= number.high)
        if number.whole:
            # pydantic's own tolerance for `multiple_of`, so that both paths judge alike
            valid &= np.abs(values - np.rint(values)) <= np.abs(values) / 1e9
    return ~(valid | np.isnan(values))


def gather(rows: int, columns: Iterable[tuple[Field, Codes, Invalid]]) -> tuple[Matrix, npt.NDArray[np.intp]]:
    """Each field's codes, NaN for missing, and where they are wrong → the matrix, and the rows to be refused.

    A row to be refused is NaN throughout.
    """
    matrix = np.empty((rows, len(MODEL_FIELDS)), dtype=np.float32)
    invalid = np.zeros(rows, dtype=np.bool_)
    for field, codes, wrong in columns:
        if wrong.any():
            codes = np.where(wrong, np.nan, codes)  # also what float32 could not hold
            invalid |= wrong
        if field.required:
            invalid |= np.isnan(codes)
        if field.name in COLUMN:
            matrix[:, COLUMN[field.name]] = codes
    refused = np.flatnonzero(invalid)
    matrix[refused] = np.nan
    return matrix, refused
