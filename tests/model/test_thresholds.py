import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from model.artifact import Artifact, open_artifact, verify, with_policy
from model.data import Labelled
from model.policy import Policy
from model.reference import Outcomes
from model.thresholds import cut_offs

ROOT = Path(__file__).parents[2]


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model.policy", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_what_other_thresholds_would_do_is_counted(artifact: Artifact) -> None:
    outcomes = [
        Outcomes(up_to=0.1, good=90, bad=10),
        Outcomes(up_to=0.5, good=60, bad=40),
        Outcomes(up_to=0.9, good=0, bad=100),
    ]
    low, middle, everybody = cut_offs(artifact.policy, outcomes, bad_costs=5, good_costs=1)
    assert (low.probability, low.accepted, low.bad_rate.value, low.good_lost) == (0.1, 1 / 3, 0.1, 60 / 150)
    assert low.cost == (10 * 5 + 60) / 300
    assert (middle.accepted, middle.bad_rate.value, middle.cost) == (2 / 3, 50 / 200, 50 * 5 / 300)
    assert (everybody.accepted, everybody.good_lost, everybody.cost) == (1, 0, 150 * 5 / 300)
    assert low.points > middle.points > everybody.points


def test_another_policy_needs_no_training(artifact: Artifact, labelled: Labelled) -> None:
    policy = Policy.model_validate({**artifact.policy.to_json(), "low_below": 0.05, "high_from": 0.9})
    changed = verify(with_policy(artifact, policy), "the changed model")
    assert changed.model_version == artifact.model_version
    assert changed.policy_version != artifact.policy_version
    assert changed.policy == policy
    assert changed.score(labelled.matrix) == artifact.score(labelled.matrix)
    again = with_policy(changed, artifact.policy)
    assert again["report.html"].count(b"The policy was changed") == 1
    assert b"The policy was changed" not in artifact.files["report.html"]


@pytest.mark.slow
def test_the_program_shows_a_table_and_a_plot(model_folder: Path, artifact: Artifact, tmp_path: Path) -> None:
    done = program(model_folder, "--plot", tmp_path / "new" / "plot.svg")
    assert done.returncode == 0, done.stderr
    assert all(f"{group.up_to:.3f}" in done.stdout for group in artifact.reference.outcomes)
    assert "least" in done.stdout
    svg = ElementTree.parse(tmp_path / "new" / "plot.svg").getroot()
    assert len(svg.findall(".//{http://www.w3.org/2000/svg}polyline")) == 3


@pytest.mark.slow
def test_a_policy_is_shown_edited_and_used(model_folder: Path, artifact: Artifact, tmp_path: Path) -> None:
    shown = program(model_folder, "--show")
    policy = json.loads(shown.stdout)
    assert policy == artifact.policy.to_json()
    policy["high_from"] = 0.75
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    done = program(model_folder, "--use", tmp_path / "policy.json", "--out", tmp_path / "model.tar.gz")
    assert done.returncode == 0, done.stderr
    changed = open_artifact(str(tmp_path / "model.tar.gz"))
    assert (changed.policy.high_from, changed.model_version) == (0.75, artifact.model_version)
    assert np.array_equal(changed.reference.just_passed(0.75), artifact.reference.just_passed(0.75))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low_below": 0.9}, "0 < low_below <= high_from < 1"),
        ({"reasons": {}}, "has no text for the field"),
        (None, "cannot be read"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_in_one_line(
    model_folder: Path, artifact: Artifact, tmp_path: Path, change: dict[str, object] | None, said: str
) -> None:
    if change is not None:
        (tmp_path / "policy.json").write_text(json.dumps({**artifact.policy.to_json(), **change}))
    done = program(model_folder, "--use", tmp_path / "policy.json", "--out", tmp_path / "changed")
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "changed").exists()
