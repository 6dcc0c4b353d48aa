"""XGBoost itself on features that are ready in memory, without calibration. Prints rows and seconds.

python xgboost_native.py training.npz parameters.json features.npy THREADS                      scores
python xgboost_native.py training.npz parameters.json features.npy THREADS CONTRIBUTIONS_ROWS   exact contributions
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import xgboost


def main(training: str, parameters: str, features: str, threads: str, contributions_rows: str = "") -> None:
    table = np.load(training)
    chosen = json.loads(Path(parameters).read_text())
    rounds = chosen.pop("n_estimators")
    model = xgboost.train(chosen, xgboost.DMatrix(table["features"], label=table["bad"]), num_boost_round=rounds)
    model.set_param({"nthread": int(threads)})
    if contributions_rows:
        rows = np.ascontiguousarray(np.load(features, mmap_mode="r")[: int(contributions_rows)])
        ready = xgboost.DMatrix(rows, nthread=int(threads))
        started = time.perf_counter()
        model.predict(ready, pred_contribs=True)
    else:
        rows = np.load(features)
        model.inplace_predict(rows[:1])
        started = time.perf_counter()
        model.inplace_predict(rows)
    print(json.dumps({"rows": len(rows), "seconds": time.perf_counter() - started}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
