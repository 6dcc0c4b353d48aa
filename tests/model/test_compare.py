import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from model import evaluate
from model.artifact import Artifact, verify, with_policy
from model.compare import Bars, Compared, Difference, as_json, compare
from model.data import Labelled
from model.errors import ComparisonError
from model.fairness import audit
from model.holdout import held_out
from model.policy import TIERS
from model.storage import MANIFEST, write_folder
from model.train import Options, train

BARS = Bars()


@pytest.fixture(scope="module")
def old(labelled: Labelled) -> Artifact:
    files = train(labelled, Options(cv_seeds=0, report_seeds=0, holdout=0.2), step=lambda _: None)
    return verify(files, "the model before")


@pytest.fixture(scope="module")
def held(labelled: Labelled) -> Labelled:
    return labelled.of(np.flatnonzero(held_out(labelled.matrix, 0.2)))


def by_name(compared: Compared) -> Mapping[str, Difference]:
    return {difference.measure: difference for difference in compared.differences}


def test_what_is_held_out_is_in_no_part_of_the_training_run(labelled: Labelled, old: Artifact) -> None:
    held = held_out(labelled.matrix, 0.2)
    other = dataclasses.replace(labelled, bad=np.where(held, ~labelled.bad, labelled.bad))
    assert other.bad.sum() != labelled.bad.sum()
    assert train(other, Options(cv_seeds=0, report_seeds=0, holdout=0.2), step=lambda _: None) == old.files
    assert old.manifest.training["holdout"] == {"share": 0.2, "rows": int(held.sum())}
    assert old.manifest.training["rows"] == int((~held).sum())


def test_a_model_compared_with_itself_may_be_promoted(labelled: Labelled, old: Artifact) -> None:
    compared = compare(old, old, labelled, BARS)
    assert compared.below == []
    assert all(difference.change == (0, 0, 0) for difference in compared.differences)
    assert compared.moved.value == 0
    assert sum(map(sum, compared.flips)) == compared.rows


def test_the_measures_are_those_of_the_report_on_the_held_out_rows(
    labelled: Labelled, held: Labelled, old: Artifact
) -> None:
    measured = by_name(compare(old, old, labelled, BARS))
    probability = np.array(old.score(held.matrix))
    expected = evaluate.metrics(held.bad, probability, old.policy)
    assert measured["auc"].old == pytest.approx(expected["auc"], abs=1e-6)
    assert measured["brier"].old == pytest.approx(expected["brier"], abs=1e-6)
    assert measured["calibration error"].old == pytest.approx(expected["calibration_error"], abs=1e-6)
    for tier in TIERS:
        assert measured[f"bad rate of {tier}"].old == pytest.approx(expected["tiers"][tier]["bad_rate"], abs=1e-6)
    high = probability >= old.policy.high_from
    for grouping in held.groups:
        found = audit(grouping, held.bad, high, probability)
        assert found.worst is not None
        assert measured[f"impact ratio, {found.label}"].old == pytest.approx(found.worst.ratio.value)


def test_a_model_that_was_taught_noise_is_below_the_bars(labelled: Labelled, old: Artifact) -> None:
    random = np.random.default_rng(0)
    noisy = dataclasses.replace(labelled, bad=labelled.bad ^ (random.random(labelled.bad.size) < 0.3))
    files = train(noisy, Options(seed=8, low_bad_rate=0.35, high_bad_rate=0.5, cv_seeds=0, report_seeds=0, holdout=0.2),
                  step=lambda _: None)  # fmt: skip
    compared = compare(old, verify(files, "noise"), labelled, BARS)
    assert {"auc", "brier", "calibration error"} <= {sentence.split(":")[0] for sentence in compared.below}
    assert by_name(compared)["auc"].change.high < 0
    lenient = Bars(auc_loss=1, brier_rise=1, calibration_error=1, two_tiers=1, low_bad_rate_rise=1, impact_ratio=0)
    assert compare(old, verify(files, "noise"), labelled, lenient).below == []


def test_flips_are_counted_from_the_old_tier_to_the_new(labelled: Labelled, held: Labelled, old: Artifact) -> None:
    stricter = old.policy.model_copy(update={"high_from": old.policy.low_below})
    compared = compare(old, verify(with_policy(old, stricter), "stricter"), labelled, BARS)
    tiers = np.bincount(old.policy.tiers(old.score(held.matrix)), minlength=3).tolist()
    assert compared.flips == [[tiers[0], 0, 0], [0, 0, tiers[1]], [0, 0, tiers[2]]]
    assert compared.moved.value == tiers[1] / held.bad.size
    gone = by_name(compared)["bad rate of medium"]
    assert np.isnan([gone.new, *gone.change]).all()
    assert json.loads(as_json(compared))["differences"]["bad rate of medium"]["new"] is None


def test_models_that_nobody_can_be_held_out_for_are_not_compared(
    labelled: Labelled, artifact: Artifact, old: Artifact
) -> None:
    with pytest.raises(ComparisonError, match="the new model was trained without --holdout"):
        compare(old, artifact, labelled, BARS)
    with pytest.raises(ComparisonError, match="held out by both models"):
        compare(old, old, labelled.of(np.arange(100)), BARS)


@pytest.mark.slow
def test_the_command_says_in_its_exit_code_whether_the_model_may_be_promoted(old: Artifact, tmp_path: Path) -> None:
    write_folder(old.files, tmp_path / "old")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model.compare", str(tmp_path / "old"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    fine = run(str(tmp_path / "old"))
    assert fine.returncode == 0, fine.stderr
    assert "It may be promoted." in fine.stdout
    below = run(str(tmp_path / "old"), "--json", "--calibration-error", "0")
    assert below.returncode == 1
    told = json.loads(below.stdout)
    assert not told["may_be_promoted"]
    assert [sentence.split(":")[0] for sentence in told["below"]] == ["calibration error"]
    missing = run(str(tmp_path / MANIFEST))
    assert missing.returncode == 1
    assert missing.stderr.startswith("riskline: ")
    assert missing.stderr.count("\n") == 1
