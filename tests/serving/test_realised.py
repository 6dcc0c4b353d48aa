"""What became of decisions, beside what their probabilities promised."""

from datetime import date
from pathlib import Path

import numpy as np
import prometheus_client
import pytest
from sklearn.metrics import roc_auc_score

from decisions.desk import Desk
from decisions.log import Log
from decisions.record import Origin
from decisions.review import Outcome
from model.artifact import Artifact
from preprocessing.encode import encode
from preprocessing.schema import Application
from serving import drift_metrics
from serving.drift import Drift
from serving.drift_report import report
from serving.realised import FEWEST, NOTHING_KNOWN, Outcomes, realised
from serving.recording import Recorder
from serving.scorer import Scorer
from tests.generated import EXAMPLE


def test_auc_is_scikit_learns_also_where_probabilities_repeat() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        probability = random.integers(0, 20, 200) / 20
        bad = random.random(200) < probability
        expected = roc_auc_score(bad, probability)
        assert realised(probability, bad).auc == pytest.approx(expected, abs=1e-12)


def test_what_calibrated_probabilities_promise_comes_true() -> None:
    random = np.random.default_rng(2)
    probability = random.beta(2, 5, 50_000)
    found = realised(probability, random.random(50_000) < probability)
    assert found.rows == 50_000
    assert found.bad_rate == pytest.approx(found.expected_bad_rate, abs=0.01)
    assert found.auc == pytest.approx(found.expected_auc, abs=0.01)


def test_of_few_good_or_bad_ones_no_auc_is_told() -> None:
    probability = np.linspace(0, 1, 100)
    few = realised(probability, np.arange(100) < FEWEST - 1)
    assert (few.rows, few.bad_rate, few.auc, few.expected_auc) == (100, (FEWEST - 1) / 100, None, None)
    assert realised(probability, np.arange(100) < FEWEST).auc is not None
    assert realised(np.empty(0), np.empty(0, dtype=np.bool_)) == NOTHING_KNOWN


def test_the_newest_outcome_of_each_decision_counts_and_other_models_do_not(artifact: Artifact, tmp_path: Path) -> None:
    log = Log(tmp_path)
    batch = encode([Application.model_validate(EXAMPLE)] * 4)
    scores = Scorer(artifact).score(batch)
    Recorder(log, artifact, durable=True).record(scores, batch, [Origin("api", "", 0.0)] * 4).result()
    first, second, _, forth = scores.decision_id
    desk = Desk(log)
    desk.add_outcomes(
        [
            Outcome(decision_id=first, outcome="bad", date=date(2026, 1, 1)),
            Outcome(decision_id=second, outcome="bad", date=date(2026, 3, 1)),
            Outcome(decision_id=second, outcome="good", date=date(2026, 2, 1)),  # told late
            Outcome(decision_id=first, outcome="good", date=date(2026, 1, 2)),
            Outcome(decision_id=forth, outcome="good", date=date(2026, 1, 2)),
        ]
    )
    outcomes = Outcomes(log.store.path)
    found = report(Drift(artifact, tmp_path), outcomes)
    assert found.realised is not None
    assert (found.realised.rows, found.realised.bad_rate) == (3, 1 / 3)
    assert found.realised.expected_bad_rate == pytest.approx(scores.probability[0])
    drift_metrics.show_drift(found)
    shown = prometheus_client.REGISTRY.get_sample_value
    assert shown("riskline_realised_rows") == 3
    assert shown("riskline_realised_bad_rate", {"what": "became"}) == 1 / 3
    assert outcomes.of("another") == NOTHING_KNOWN
    desk.close()
    log.close()


def test_the_store_is_read_for_a_hundredth_of_the_time_at_most(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    clock = [100.0]

    def slow(*_: object) -> tuple[list[float], list[bool]]:
        looks.append(clock[0])
        clock[0] += 2
        return [0.5], [True]

    monkeypatch.setattr("serving.realised.became", slow)
    outcomes = Outcomes(tmp_path, lambda: clock[0])
    while clock[0] < 800:
        assert outcomes.of(artifact.model_version).rows == 1
        clock[0] += 1
    assert looks == [100, 302, 504, 706]


def test_a_store_that_cannot_be_read_is_no_error_and_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing.sqlite"
    assert Outcomes(missing).of("any") == NOTHING_KNOWN
    assert not missing.exists()
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"no database" * 100)
    assert Outcomes(broken).of("any") == NOTHING_KNOWN
