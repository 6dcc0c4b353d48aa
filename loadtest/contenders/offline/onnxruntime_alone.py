"""ONNX Runtime alone: the same graph on a matrix that is ready in memory. Prints the seconds of scoring.

python onnxruntime_alone.py model.onnx matrix.npy THREADS
"""

import json
import sys
import time

import numpy as np
import onnxruntime

ROWS_AT_ONCE = 16_384  # as fast as any other block from a thousand to a million rows


def main(model: str, matrix: str, threads: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = np.load(matrix)
    answer = np.empty(len(rows), dtype=np.float32)
    session.run(["probability"], {"application": rows[:1]})
    started = time.perf_counter()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        answer[start : start + len(block)] = session.run(["probability"], {"application": block})[0].reshape(-1)
    print(json.dumps({"seconds": time.perf_counter() - started}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
