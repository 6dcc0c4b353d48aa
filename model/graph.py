"""The ONNX graphs at work: matrix → probabilities, contributions. The only place that talks to ONNX Runtime."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from preprocessing.encode import Matrix

INPUT, FEATURES, MARGIN, PROBABILITY, CONTRIBUTIONS = (
    "application", "features", "margin", "probability", "contributions",
)  # fmt: skip
SMALLEST_PART = 256  # rows; fewer are done before a thread has started


class Graph:
    """A loaded graph with the input `application` (rows, fields) float32.

    It computes on the thread that calls it: ONNX Runtime's own threads add a row's trees up in another order, so that a
    row's answer would depend on the size of its batch.
    """

    def __init__(self, onnx: bytes, outputs: Sequence[str] = (PROBABILITY,)) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        self._session: Any = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._outputs = list(outputs)

    def run(self, matrix: Matrix, outputs: Sequence[str] | None = None) -> list[npt.NDArray[np.float32]]:
        """One array for each of the outputs, all with one row for each row of the matrix."""
        arrays: list[npt.NDArray[np.float32]] = self._session.run(outputs or self._outputs, {INPUT: matrix})
        return arrays

    def feed(self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """The same for a graph with other inputs."""
        arrays: list[npt.NDArray[Any]] = self._session.run(outputs, inputs)
        return arrays

    def first(self, matrix: Matrix, block_rows: int) -> npt.NDArray[np.float32]:
        """The first output, computed in blocks whose intermediate results stay in cache."""
        if len(matrix) <= block_rows:
            return self.run(matrix)[0]
        return np.concatenate(
            [self.run(matrix[start : start + block_rows])[0] for start in range(0, len(matrix), block_rows)]
        )


def side_by_side(
    compute: Callable[[Matrix], npt.NDArray[np.float32]], matrix: Matrix, threads: Executor | None, parts: int
) -> npt.NDArray[np.float32]:
    """compute(matrix); a large matrix is cut into `parts` that `threads` compute side by side, with the same result."""
    parts = min(parts, len(matrix) // SMALLEST_PART)
    if threads is None or parts < 2:
        return compute(matrix)
    return np.concatenate(list(threads.map(compute, np.array_split(matrix, parts))))
