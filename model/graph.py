"""The ONNX graph at work: matrix → probabilities. The only place that talks to ONNX Runtime."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from preprocessing.encode import Matrix

INPUT, FEATURES, MARGIN, PROBABILITY = "application", "features", "margin", "probability"
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

    def run(self, matrix: Matrix) -> list[npt.NDArray[np.float32]]:
        """One array for each output, all with one row for each row of the matrix."""
        arrays: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, {INPUT: matrix})
        return arrays

    def probability(self, matrix: Matrix, threads: Executor | None = None, parts: int = 1) -> npt.NDArray[np.float32]:
        """(rows,) float32: the calibrated probability that the application goes bad.

        A large matrix is cut into `parts` that `threads` score side by side, with the same result.
        """
        parts = min(parts, len(matrix) // SMALLEST_PART)
        if threads is None or parts < 2:
            return self.run(matrix)[self._outputs.index(PROBABILITY)].reshape(-1)
        return np.concatenate(list(threads.map(self.probability, np.array_split(matrix, parts))))
