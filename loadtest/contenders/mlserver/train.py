"""Trains the booster that MLServer serves, on features that are ready.

python train.py features.npz parameters.json model.ubj
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost


def main(features: str, parameters: str, out: str) -> None:
    table = np.load(features)
    chosen = json.loads(Path(parameters).read_text())
    rounds = chosen.pop("n_estimators")
    matrix = xgboost.DMatrix(table["features"], label=table["bad"])
    xgboost.train(chosen, matrix, num_boost_round=rounds).save_model(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
