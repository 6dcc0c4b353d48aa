"""Trains a scikit-learn pipeline around XGBoost and pickles it, as most tutorials do.

python train.py applications.csv parameters.json pipeline.joblib
"""

import json
import sys

import joblib
import pandas as pd
from ratios import NUMBERS, WORDS, add_ratios
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from xgboost import XGBClassifier


def main(applications: str, parameters: str, out: str) -> None:
    table = pd.read_csv(applications)
    with open(parameters) as file:  # noqa: PTH123 - a tutorial would
        chosen = json.load(file)
    columns = ColumnTransformer(
        [
            ("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), WORDS),
            ("numbers", FunctionTransformer(add_ratios), NUMBERS),
        ]
    )
    pipeline = Pipeline([("columns", columns), ("trees", XGBClassifier(**chosen))])
    pipeline.fit(table, table["status"] == "bad")
    joblib.dump(pipeline, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
