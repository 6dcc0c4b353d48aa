"""The ONNX graph at work: matrix → probabilities. The only place that talks to ONNX Runtime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from preprocessing.encode import Matrix

INPUT, FEATURES, MARGIN, PROBABILITY = "application", "features", "margin", "probability"


class Graph:
    """A loaded graph with the input `application` (rows, fields) float32.

    One thread by default: a worker is a process on one core, and a second pool would only fight the first.
    """

    def __init__(self, onnx: bytes, outputs: Sequence[str] = (PROBABILITY,), threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the core alone
        self._session: Any = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self._outputs = list(outputs)

    def run(self, matrix: Matrix) -> list[npt.NDArray[np.float32]]:
        """One array for each output, all with one row for each row of the matrix."""
        arrays: list[npt.NDArray[np.float32]] = self._session.run(self._outputs, {INPUT: matrix})
        return arrays

    def probability(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """(rows,) float32: the calibrated probability that the application goes bad."""
        return self.run(matrix)[self._outputs.index(PROBABILITY)].reshape(-1)
