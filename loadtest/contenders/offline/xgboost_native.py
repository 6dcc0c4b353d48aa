"""XGBoost itself on features that are ready in memory, without calibration. Prints the seconds of scoring.

python xgboost_native.py training.npz parameters.json features.npy THREADS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import xgboost


def main(training: str, parameters: str, features: str, threads: str) -> None:
    table = np.load(training)
    chosen = json.loads(Path(parameters).read_text())
    rounds = chosen.pop("n_estimators")
    model = xgboost.train(chosen, xgboost.DMatrix(table["features"], label=table["bad"]), num_boost_round=rounds)
    model.set_param({"nthread": int(threads)})
    rows = np.load(features)
    model.inplace_predict(rows[:1])
    started = time.perf_counter()
    model.inplace_predict(rows)
    print(json.dumps({"seconds": time.perf_counter() - started}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
