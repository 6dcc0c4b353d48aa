"""Labelled applications → a verified artefact. Runs on CPU in seconds; the same input gives the same bytes.

    python -m model.train --data applications.csv --label status --bad bad
    python -m model.train --with-outcomes      # and what has become of the service's own decisions

The steps: read and judge the data, run the feature graph, split 60/20/20, fit with early stopping, calibrate and choose
thresholds on the validation split, measure on the untouched test split, export, prove directions and parity, write the
report, save.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from rich.console import Console
from rich.progress import Progress
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from decisions.labelled import labelled_decisions
from decisions.places import folder
from model import artifact, evaluate, export, monotone, observe, policy, report, storage
from model.arguments import at_least_one, count, share_held_out
from model.data import Labelled, read_labelled
from model.errors import TrainingDataError
from model.explain import most_trees
from model.export import Calibration
from model.graph import FEATURES, Graph
from model.holdout import held_out
from model.study import Probability, Splits, examine
from model.summary import show, told
from preprocessing.encode import MODEL_FIELDS
from preprocessing.errors import RisklineError
from preprocessing.features import DERIVED
from preprocessing.schema import BAD, LABEL

BUNDLED = Path(__file__).parent / "data" / "applications.csv"
GOLDEN_ROWS = 32
MOST_TREES = 1000
# docs/decisions/0003-model.md has the table these were chosen from
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_depth": 3,
    "learning_rate": 0.1,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "nthread": 1,  # sums in another order give other bytes
}
LIBRARIES = ("fairlearn", "numpy", "onnx", "onnxruntime", "scikit-learn", "xgboost-cpu")
PATIENCE = 30  # rounds without a better validation loss
GOOD_ENOUGH = 1.003  # times the best loss: one tree in seven fewer, and so less work, for 0.0001 of AUC


@dataclass(frozen=True, slots=True)
class Options:
    """What a training run can be told."""

    seed: int = 7
    low_bad_rate: float | None = None
    high_bad_rate: float | None = None
    cv_seeds: int = 3
    report_seeds: int = 3  # refits that tell the report how much chance has a hand in the model
    holdout: float = 0.0  # share of the applications that this run does not look at
    nearest_targets: bool = False  # move the tiers' targets to where some groups meet them


DEFAULTS = Options()


def train(data: Labelled, options: Options, step: Callable[[str], None] = lambda _: None) -> dict[str, bytes]:
    """Labelled applications → the artefact's files. `step` is told each step as it starts.

    Raises PolicyError where no thresholds meet the targets, MonotonicityError where a demanded direction is not proved,
    ParityError where the export differs from XGBoost.
    """
    held = held_out(data.matrix, options.holdout)
    data = data.of(np.flatnonzero(~held))
    step("features")
    matrix = data.matrix
    features = Graph(export.features_graph().SerializeToString(), [FEATURES]).run(matrix)[0]
    splits = split(data.bad, options.seed)
    fitting, validation, test = splits

    step("trees")
    booster = fit(features, data.bad, fitting, validation, options.seed)
    step("calibration and thresholds")
    calibration = calibrate(_margin(booster, features[validation]), data.bad[validation])
    validated = calibration.probability(_margin(booster, features[validation]))
    if options.nearest_targets:
        thresholds = policy.choose_nearest(validated, data.bad[validation])
        step(f"targets: bad rates of {thresholds.low_bad_rate:.3f} for low, {thresholds.high_bad_rate:.3f} for high")
    else:
        thresholds = policy.choose(validated, data.bad[validation], options.low_bad_rate, options.high_bad_rate)

    step("test split")
    tested = calibration.probability(_margin(booster, features[test]))
    metrics = {"test": evaluate.metrics(data.bad[test], tested, thresholds)}
    if options.cv_seeds:
        metrics["cross_validation"] = cross_validate(features, data.bad, options, step)

    step("export")
    graphs = export.graphs_of(booster, calibration)
    proofs = monotone.prove(graphs[artifact.GRAPH])
    monotone.require(proofs)
    step("parity")
    started = time.perf_counter()
    parity = export.check(graphs, booster, calibration, options.seed)
    step(
        f"parity checked on {export.PARITY_ROWS:,} rows in {time.perf_counter() - started:.1f} s: "
        f"{parity['largest_difference']:.1e} in probability, "
        f"{parity['largest_difference_of_contributions']:.1e} in contributions "
        f"(tables of {len(graphs[artifact.CONTRIBUTIONS_GRAPH]) / 2**20:.1f} MiB)"
    )

    ranges = observe.ranges(matrix[fitting])
    facts = {
        "ranges": ranges,
        "training": {
            "rows": int(data.bad.size),
            "holdout": {"share": options.holdout, "rows": int(held.sum())},
            "data_sha256": data.sha256,
            "decisions": dict(data.decisions),
            "seed": options.seed,
            "parameters": dict(PARAMETERS),
            "trees": booster.num_boosted_rounds(),
            "calibration": {"slope": calibration.slope, "intercept": calibration.intercept},
            "parity": parity,
        },
        "metrics": metrics,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    step("report")
    refits = [
        _refit(features, data.bad, splits, seed)
        for seed in range(options.seed + 1, options.seed + 1 + options.report_seeds)
    ]
    study = examine(data, splits, thresholds, graphs[artifact.GRAPH], facts, proofs, refits)
    return artifact.build(
        graphs,
        thresholds,
        observe.reference(graphs, export.ensemble_of(booster), calibration, data, test, ranges),
        observe.golden_rows(graphs, thresholds, data.matrix, options.seed),
        facts,
        lambda hashes: report.render(study, hashes),
    )


def split(bad: npt.NDArray[np.bool_], seed: int) -> Splits:
    """The rows of a run with this seed: 60/20/20, stratified by the verdicts `bad` (rows,) of those not held out."""
    fitting, rest = train_test_split(np.arange(bad.size), train_size=0.6, stratify=bad, random_state=seed)
    return Splits(fitting, *train_test_split(rest, train_size=0.5, stratify=bad[rest], random_state=seed))


def fit(
    features: npt.NDArray[np.float32],
    bad: npt.NDArray[np.bool_],
    fitting: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    seed: int,
) -> xgboost.Booster:
    """Boosts trees on the rows `fitting` until the loss on the rows `validation` stops falling; keeps the fewest trees
    that come within `GOOD_ENOUGH` of its best."""
    directions = tuple(field.kind.risk for field in MODEL_FIELDS) + tuple(derived.risk for derived in DERIVED)
    progress: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        {**PARAMETERS, "seed": seed, "monotone_constraints": directions},
        xgboost.DMatrix(features[fitting], label=bad[fitting]),
        num_boost_round=min(MOST_TREES, most_trees()),
        evals=[(xgboost.DMatrix(features[validation], label=bad[validation]), "validation")],
        early_stopping_rounds=PATIENCE,
        evals_result=progress,
        verbose_eval=False,
    )
    losses = np.array(progress["validation"]["logloss"])
    return booster[: int(np.argmax(losses <= losses.min() * GOOD_ENOUGH)) + 1]


def calibrate(margin: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_]) -> Calibration:
    """Platt's line through the margins, by maximum likelihood; it never turns the order of applicants around."""
    regression = LogisticRegression(C=np.inf).fit(margin.reshape(-1, 1), bad)
    slope = float(regression.coef_[0, 0])
    if slope <= 0:
        raise TrainingDataError("the model ranks the validation applicants no better than chance: check the label")
    return Calibration(slope, float(regression.intercept_[0]))


def cross_validate(
    features: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_], options: Options, step: Callable[[str], None]
) -> dict[str, Any]:
    """AUC on held-out folds: mean of five folds, for several seeds. Early stopping sees only its own fold's rows."""
    means = []
    for seed in range(options.seed, options.seed + options.cv_seeds):
        step(f"5-fold AUC, seed {seed}")
        aucs = []
        for rows, fold in StratifiedKFold(5, shuffle=True, random_state=seed).split(features, bad):
            fitting, validation = train_test_split(rows, train_size=0.8, stratify=bad[rows], random_state=seed)
            booster = fit(features, bad, fitting, validation, seed)
            aucs.append(roc_auc_score(bad[fold], _margin(booster, features[fold])))
        means.append(round(float(np.mean(aucs)), 6))
    return {"folds": 5, "auc_by_seed": means, "auc": round(float(np.mean(means)), 6)}


def _refit(
    features: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_], splits: Splits, seed: int
) -> tuple[int, int, Probability]:
    """Trees and calibration with another seed: the seed, how many trees, and the test split's probabilities."""
    booster = fit(features, bad, splits.fitting, splits.validation, seed)
    calibration = calibrate(_margin(booster, features[splits.validation]), bad[splits.validation])
    return seed, booster.num_boosted_rounds(), calibration.probability(_margin(booster, features[splits.test]))


def _margin(booster: xgboost.Booster, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    margin: npt.NDArray[np.float32] = booster.inplace_predict(features, predict_type="margin")
    return margin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.train", description="Train and save a model.")
    parser.add_argument("--data", type=Path, default=BUNDLED, help="CSV or Parquet of labelled applications")
    parser.add_argument("--label", default=LABEL, help="column with the auditors' verdict")
    parser.add_argument("--bad", default=BAD, help="the verdict that counts as risk")
    parser.add_argument(
        "--with-outcomes", nargs="?", const="", metavar="FOLDER",
        help="add the service's own decisions that have an outcome or agreeing reviews (default: RISKLINE_DECISIONS)",
    )  # fmt: skip
    parser.add_argument("--seed", type=count, default=DEFAULTS.seed)
    parser.add_argument("--low-bad-rate", type=float, help="target for tier low (default: a fifth of the overall rate)")
    parser.add_argument(
        "--high-bad-rate", type=float, help="target for tier high (default: 2.25 times the overall rate)"
    )
    parser.add_argument("--nearest-targets", action="store_true", help="move both to where some groups meet them")
    parser.add_argument(
        "--cv-seeds", type=count, default=DEFAULTS.cv_seeds, help="rounds of 5-fold AUC; 0 leaves it out"
    )
    parser.add_argument("--report-seeds", type=count, default=DEFAULTS.report_seeds, help="refits to tell chance by")
    parser.add_argument(
        "--holdout", type=share_held_out, default=DEFAULTS.holdout, metavar="SHARE",
        help="leave this share of the applications out, the same ones whenever they come, for model.compare",
    )  # fmt: skip
    parser.add_argument("--most-rows", type=at_least_one, metavar="ROWS", help="of more rows, draw this many at random")
    parser.add_argument("--skip-unlabelled", action="store_true", help="leave rows without a verdict out")
    parser.add_argument("--out", type=Path, help="write to this folder or .tar.gz instead of the BentoML model store")
    arguments = parser.parse_args()
    options = Options(
        arguments.seed,
        arguments.low_bad_rate,
        arguments.high_bad_rate,
        arguments.cv_seeds,
        arguments.report_seeds,
        arguments.holdout,
        arguments.nearest_targets,
    )
    console = Console(stderr=False)
    started = time.perf_counter()
    try:
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("reading", total=8 + options.cv_seeds)

            def step(name: str) -> None:
                progress.update(bar, advance=1, description=name)
                if name.startswith(("parity checked", "targets")):
                    progress.console.print(name)

            decisions = None
            if arguments.with_outcomes is not None:
                decisions = labelled_decisions(folder(arguments.with_outcomes))
                progress.console.print(told(decisions.facts))
            some = (arguments.most_rows, arguments.skip_unlabelled)
            data = read_labelled(arguments.data, arguments.label, arguments.bad, decisions, *some)
            for warning in data.warnings:
                progress.console.print(f"warning: {warning}")
            files = train(data, options, step)
        artifact.verify(files, "the new model")
        saved = storage.save(files, arguments.out)
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    show(console, files)
    console.print(f"Saved {saved} after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
