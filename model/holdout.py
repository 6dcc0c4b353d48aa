"""Applications that no training run sees, chosen so that the choice is the same for every model and every file.

Whether a row is held out follows from what the model would see of it, by a hash. So a model that was trained with
`--holdout` has seen none of them, whatever file they come in later, beside whatever other rows and with whatever label.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from preprocessing.encode import Matrix

_MOST = 2.0**64


def held_out(matrix: Matrix, share: float) -> npt.NDArray[np.bool_]:
    """(rows,): True for about `share` of the distinct rows of (rows, fields) float32. A smaller share holds out some of
    the rows of a larger one, so two models share the smaller one."""
    same = np.where(np.isnan(matrix), np.float32("nan"), matrix + np.float32(0))  # one NaN, and no negative zero
    firsts = (hashlib.sha256(row.astype("<f4").tobytes()).digest()[:8] for row in same)
    return np.array([int.from_bytes(first, "big") < share * _MOST for first in firsts], dtype=np.bool_)
