"""ONNX Runtime alone: an output of a graph for a matrix that is ready in memory. Prints rows and seconds.

python onnxruntime_alone.py model.onnx probability matrix.npy THREADS ROWS_AT_ONCE [MOST_ROWS]
"""

import json
import sys
import time

import numpy as np
import onnxruntime


def main(model: str, output: str, matrix: str, threads: str, rows_at_once: str, most_rows: str = "") -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = np.load(matrix, mmap_mode="r" if most_rows else None)[: int(most_rows) if most_rows else None]
    rows = np.ascontiguousarray(rows)
    [first] = session.run([output], {"application": rows[:1]})
    answer = np.empty((len(rows), first.shape[1]), dtype=np.float32)
    started = time.perf_counter()
    for start in range(0, len(rows), int(rows_at_once)):
        block = rows[start : start + int(rows_at_once)]
        [answer[start : start + len(block)]] = session.run([output], {"application": block})
    print(json.dumps({"rows": len(rows), "seconds": time.perf_counter() - started}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
