"""The schema's rules over whole columns: what all ways of reading many applications at once have in common.

They only find the rows that break a rule; what is wrong with such a row is said by the record path (`decode.py`).
"""

import numpy as np
import numpy.typing as npt

from preprocessing.encode import FIELDS, MODEL_PLACES, Codes, Matrix
from preprocessing.fields import Category, Field, Number

WRONG = np.inf  # stands for what is no value of its field at all; no range contains it


def _range(field: Field) -> tuple[float, float]:
    largest = float(np.finfo(np.float64).max)
    kind = field.kind
    return (
        (0, len(kind.values) - 1) if isinstance(kind, Category) else (max(kind.low, -largest), min(kind.high, largest))
    )


_LOW, _HIGH = np.array([_range(field) for field in FIELDS]).T[..., np.newaxis]
_OPTIONAL = np.array([[not field.required] for field in FIELDS])
_WHOLE = [place for place, field in enumerate(FIELDS) if isinstance(field.kind, Number) and field.kind.whole]


def judge(codes: Codes) -> tuple[Matrix, npt.NDArray[np.intp]]:
    """(fields, rows) in schema order → the matrix (rows, model fields), and the rows that break a rule.

    NaN is a missing value, `WRONG` none at all. A row that breaks a rule is NaN in the matrix; `codes` is written to.
    """
    with np.errstate(invalid="ignore"):  # infinities are judged, not warned about
        valid = (codes >= _LOW) & (codes <= _HIGH)
        whole = codes[_WHOLE]
        # pydantic's own tolerance for `multiple_of`, so that both paths judge alike
        valid[_WHOLE] &= np.abs(whole - np.rint(whole)) <= np.abs(whole) / 1e9
    valid |= np.isnan(codes) & _OPTIONAL
    refused = np.flatnonzero(~valid.all(axis=0))
    codes[:, refused] = np.nan
    return np.ascontiguousarray(codes[MODEL_PLACES].T, dtype=np.float32), refused
