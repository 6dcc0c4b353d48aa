import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from model.artifact import Artifact
from model.data import Labelled
from model.evaluate import metrics
from model.storage import MANIFEST
from model.train import Options, split, train
from preprocessing.encode import COLUMN, MODEL_FIELDS, encode
from preprocessing.fields import Category
from preprocessing.schema import Application


def test_the_same_input_gives_the_same_bytes(labelled: Labelled, files: Mapping[str, bytes]) -> None:
    assert train(labelled, Options(cv_seeds=0, report_seeds=1), step=lambda _: None) == files


def test_another_seed_gives_another_model(labelled: Labelled, files: Mapping[str, bytes]) -> None:
    assert train(labelled, Options(seed=8, cv_seeds=0, report_seeds=0), step=lambda _: None) != files


def test_the_tiers_of_the_test_split_are_worth_telling_apart(artifact: Artifact) -> None:
    tiers = artifact.manifest.metrics["test"]["tiers"]
    assert all(held["share"] >= 0.15 for held in tiers.values())
    assert tiers["medium"]["bad_rate"] >= 2 * tiers["low"]["bad_rate"]
    assert tiers["high"]["bad_rate"] >= 2 * tiers["medium"]["bad_rate"]


def test_the_rows_of_a_run_can_be_told_again_and_measured(labelled: Labelled, artifact: Artifact) -> None:
    splits = split(labelled.bad, Options().seed)
    assert sorted(np.concatenate(splits).tolist()) == list(range(labelled.bad.size))
    test = labelled.of(splits.test)
    measured = metrics(test.bad, np.array(artifact.score(test.matrix)), artifact.policy)
    assert measured["tiers"] == artifact.manifest.metrics["test"]["tiers"]
    assert measured["auc"] == pytest.approx(artifact.manifest.metrics["test"]["auc"], abs=1e-4)


def test_probabilities_mean_what_they_say(artifact: Artifact) -> None:
    assert artifact.manifest.metrics["test"]["calibration_error"] <= 0.03


@pytest.mark.slow
def test_five_folds_and_three_seeds_reach_the_auc_that_the_readme_claims(labelled: Labelled) -> None:
    files = train(labelled, Options(), step=lambda _: None)
    result = json.loads(files[MANIFEST])["metrics"]["cross_validation"]
    assert len(result["auc_by_seed"]) == 3
    assert result["auc"] >= 0.845


@pytest.mark.parametrize("field", [field for field in MODEL_FIELDS if field.kind.risk], ids=lambda field: field.name)
def test_risk_moves_only_in_the_direction_that_the_domain_demands(
    labelled: Labelled, artifact: Artifact, field: object
) -> None:
    assert hasattr(field, "name")
    assert hasattr(field, "kind")
    matrix, column = labelled.matrix[:300].copy(), COLUMN[field.name]
    values = np.unique(labelled.matrix[:, column])
    if isinstance(field.kind, Category):
        values = np.arange(len(field.kind.values), dtype=np.float32)
    previous = None
    for value in values[~np.isnan(values)][:: max(1, len(values) // 40)]:
        matrix[:, column] = value
        probability = artifact.probability(matrix)
        if previous is not None:
            assert (field.kind.risk * (probability - previous) >= 0).all(), f"{field.name} at {value}"
        previous = probability


def test_golden_rows_are_nobodys_application(labelled: Labelled, artifact: Artifact) -> None:
    golden = encode([Application.model_validate(row.application) for row in artifact.golden]).matrix
    people = {row.tobytes() for row in labelled.matrix}
    assert len(golden) == 32
    assert people.isdisjoint(row.tobytes() for row in golden)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model.train", *arguments], capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_the_command_writes_a_folder_and_shows_what_it_made(tmp_path: Path) -> None:
    done = run("--cv-seeds", "1", "--out", str(tmp_path / "model"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "bulk.onnx", "contributions.onnx", "features.onnx", "golden.json", "manifest.json", "model.onnx", "policy.json",
        "reference.json", "report.html",
    ]  # fmt: skip
    for shown in ("rows 1023, 2930: repeats", "parity checked on 120,000 rows", "medium", "5-fold auc 0.8"):
        assert shown in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--label", "verdict"], ["--high-bad-rate", "1.5"], ["--data", "none.csv"]],
)
def test_a_run_that_fails_says_why_in_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, "--cv-seeds", "0", "--out", str(tmp_path / "model"))
    assert done.returncode == 1
    assert done.stderr.startswith("riskline: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
