"""Judges the model of a project whose schema was written by `model.adopt`; runs there, in a process of its own.

    python -m loadtest.adopt_child LABEL train.csv test.csv

Prints JSON: each test row's probability by the newest model (null for a row that the schema refuses), and on one-hot
columns of what that model is given by XGBoost: with its default settings, and with ours but without any demand.
"""

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xgboost

from model import artifact
from model.data import read_labelled
from model.graph import Graph
from model.source import read
from model.spelled import fields_names, in_the_schemas_words
from preprocessing.columns import encode_text
from preprocessing.encode import FIELDS, MODEL_FIELDS, Batch, Matrix
from preprocessing.fields import Category
from preprocessing.schema import BAD

_DEFAULT = {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}
_TUNED = {"max_depth": 3, "learning_rate": 0.1, "min_child_weight": 5, "subsample": 0.8, "colsample_bytree": 0.5}


def _batch(path: Path, label: str) -> Batch:
    table = read(path).table
    table = table.rename_columns(fields_names(table.column_names, label)).drop_columns([label])
    return encode_text(in_the_schemas_words(table, is_text=True))


def _one_hot(matrix: Matrix) -> Matrix:
    columns: list[npt.NDArray[np.float32]] = []
    for column, field in zip(matrix.T, MODEL_FIELDS, strict=True):
        kind = field.kind
        columns += [column == code for code in range(len(kind.values))] if isinstance(kind, Category) else [column]
    return np.stack(columns, axis=1).astype(np.float32)


def main() -> None:
    label, train, test = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    labelled = read_labelled(train, label, BAD, skip_unlabelled=True)
    batch = _batch(test, label)
    model = artifact.open_artifact("riskline:latest")
    ours = Graph(model.files[artifact.GRAPH]).run(batch.matrix)[0][:, 0]
    one_hot, bad, tested = _one_hot(labelled.matrix), labelled.bad, xgboost.DMatrix(_one_hot(batch.matrix))
    default = xgboost.train(_DEFAULT, xgboost.DMatrix(one_hot, bad), num_boost_round=100)  # as its classifier has it
    watched = np.arange(bad.size) % 4 == 0
    tuned = xgboost.train(
        _DEFAULT | _TUNED,
        xgboost.DMatrix(one_hot[~watched], bad[~watched]),
        num_boost_round=1000,
        evals=[(xgboost.DMatrix(one_hot[watched], bad[watched]), "validation")],
        early_stopping_rounds=30,
        verbose_eval=False,
    )
    refused = set(batch.refused)
    answer = {
        "fields": len(FIELDS),
        "given": len(MODEL_FIELDS),
        "parity": model.manifest.training["parity"]["largest_difference"],
        "ours": [None if row in refused else float(one) for row, one in enumerate(ours)],
        "default": default.predict(tested).tolist(),
        "tuned": tuned.predict(tested).tolist(),
    }
    print(json.dumps(answer))  # noqa: T201


if __name__ == "__main__":
    main()
