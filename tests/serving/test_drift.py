"""Drift is told for the right field and channel, over all workers, and never where there is none."""

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import prometheus_client
import pytest

from decisions.record import CHANNELS, Channel, Origin
from loadtest.server import running_server
from model.artifact import GRAPH, REFERENCE, Artifact, verify, with_policy
from model.data import Labelled
from model.psi import psi
from preprocessing.encode import COLUMN, MODEL_FIELDS, Batch, Matrix, encode
from preprocessing.errors import InvalidApplication
from preprocessing.fields import Category
from preprocessing.schema import Application
from serving import drift, drift_metrics
from serving.api import Api
from serving.drift import HOUR_S, SLOTS, Drift
from serving.drift_report import ALL, ChannelReport, expected, report
from serving.messages import Request
from serving.scorer import Scorer
from serving.settings import Settings
from tests.generated import EXAMPLE
from tests.serving.test_server import eventually, samples

PSI_TOLERANCE = 1e-9  # the same counts in the same formula, added up in another order
NUMBER = next(field for field in MODEL_FIELDS if not isinstance(field.kind, Category))
CATEGORY = next(field for field in MODEL_FIELDS if isinstance(field.kind, Category))
INVALID = InvalidApplication([])


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.5 * HOUR_S

    def __call__(self) -> float:
        return self.seconds


def take(counting: Drift, matrix: Matrix, channel: Channel = "api", refused: Sequence[int] = ()) -> None:
    """Scores the rows in blocks that are counted whole."""
    scorer = Scorer(counting.artifact)
    for first in range(0, len(matrix), drift.MOST_OF_BLOCK):
        batch = Batch(matrix[first : first + drift.MOST_OF_BLOCK], dict.fromkeys(refused, INVALID))
        counting.take(batch, scorer.score(batch), [Origin(channel, "", 0.0)] * len(batch.matrix))
    counting.gather()


def resampled(labelled: Labelled, rows: int, seed: int = 1) -> Matrix:
    return labelled.matrix[np.random.default_rng(seed).integers(len(labelled.matrix), size=rows)]


def seen(counting: Drift, channel: str = ALL, window: str = "1h") -> ChannelReport:
    return report(counting).windows[window].channels[channel]


def standing_out(channel: ChannelReport) -> set[str]:
    return {name for name, shift in channel.fields.items() if shift.stands_out}


def test_psi_is_that_of_the_values_themselves(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    matrix = resampled(labelled, 3000)
    matrix[::7] *= np.float32(1.25)
    for field in MODEL_FIELDS:  # words stay words
        if isinstance(field.kind, Category):
            matrix[:, COLUMN[field.name]] = np.floor(matrix[:, COLUMN[field.name]] / np.float32(1.25))
    counting = Drift(artifact, tmp_path)
    take(counting, matrix)
    found = seen(counting)
    assert found.rows == len(matrix)
    for field in MODEL_FIELDS:
        words = len(field.kind.values) if isinstance(field.kind, Category) else None
        direct = psi(labelled.matrix[:, COLUMN[field.name]], matrix[:, COLUMN[field.name]], words)
        assert found.fields[field.name].psi == pytest.approx(direct, abs=PSI_TOLERANCE)
    direct = psi(np.array(artifact.score(labelled.matrix)), np.array(artifact.score(matrix)))
    assert found.score.psi == pytest.approx(direct, abs=PSI_TOLERANCE)


def test_applications_like_those_of_training_raise_nothing(
    artifact: Artifact, labelled: Labelled, tmp_path: Path
) -> None:
    counting = Drift(artifact, tmp_path)
    for number, channel in enumerate(CHANNELS):
        take(counting, resampled(labelled, 50_000 // len(CHANNELS) + 1, number), channel)
    for window in report(counting).windows.values():
        assert window.channels.keys() == {ALL, *CHANNELS}
        assert {channel.says for channel in window.channels.values()} == {"nothing stands out"}
    assert seen(counting).rows >= 50_000


def test_few_applications_say_nothing(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    counting = Drift(artifact, tmp_path)
    take(counting, np.repeat(labelled.matrix[:1], 99, axis=0))
    assert seen(counting).says == "99 applications are too few to tell drift from chance"
    assert not standing_out(seen(counting))


def test_what_moves_in_a_channel_stands_out_there(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    counting = Drift(artifact, tmp_path)
    take(counting, resampled(labelled, 5000, 2), "api")
    shifted = resampled(labelled, 5000, 3)
    shifted[:, COLUMN[NUMBER.name]] += np.nanstd(labelled.matrix[:, COLUMN[NUMBER.name]])
    take(counting, shifted, "phone")
    emptied = resampled(labelled, 5000, 4)
    emptied[::5, COLUMN[NUMBER.name]] = np.nan
    take(counting, emptied, "mail")
    renamed = resampled(labelled, 5000, 5)
    word = np.bincount(renamed[:, COLUMN[CATEGORY.name]][~np.isnan(renamed[:, COLUMN[CATEGORY.name]])].astype(int))
    column = renamed[:, COLUMN[CATEGORY.name]]
    column[column == word.argmax()] = (word.argmax() + 1) % len(CATEGORY.kind.values)  # type: ignore[union-attr]
    take(counting, renamed, "webform")

    assert standing_out(seen(counting, "api")) == set()
    assert standing_out(seen(counting, "phone")) == {NUMBER.name}
    assert standing_out(seen(counting, "mail")) == {NUMBER.name}
    assert standing_out(seen(counting, "webform")) == {CATEGORY.name}
    assert f"{CATEGORY.name} has moved: PSI " in seen(counting, "webform").says
    before = np.isnan(labelled.matrix[:, COLUMN[NUMBER.name]]).mean()
    now = np.isnan(emptied[:, COLUMN[NUMBER.name]]).mean()
    assert seen(counting, "mail").fields[NUMBER.name].missing_shift == pytest.approx(now - before)
    low, high = artifact.manifest.ranges[NUMBER.name]
    trained, moved = labelled.matrix[:, COLUMN[NUMBER.name]], shifted[:, COLUMN[NUMBER.name]]
    outside = [((values < low) | (values > high)).mean() for values in (moved, trained)]
    assert outside[0] > outside[1]
    assert seen(counting, "phone").fields[NUMBER.name].outside_shift == pytest.approx(outside[0] - outside[1])


def test_refused_rows_are_not_counted(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    counting = Drift(artifact, tmp_path)
    take(counting, labelled.matrix[:200], refused=(0, 7, 199))
    assert seen(counting).rows == 197


def test_of_a_large_block_rows_at_equal_distances_are_counted(
    artifact: Artifact, labelled: Labelled, tmp_path: Path
) -> None:
    counting = Drift(artifact, tmp_path)
    matrix = np.resize(labelled.matrix, (4096, len(MODEL_FIELDS)))
    batch = Batch(matrix, {1: INVALID, 8: INVALID, 16: INVALID})
    counting.take(batch, Scorer(artifact).score(batch), [Origin("api", "", 0.0)] * len(matrix))
    counting.gather()
    assert seen(counting).rows == drift.MOST_OF_BLOCK - 2  # every eighth, less the two of them that were refused


def test_windows_end_and_old_hours_are_forgotten(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    clock = Clock()
    counting = Drift(artifact, tmp_path, clock)
    take(counting, labelled.matrix[:100])
    for passed, hour, day in [(1, 100, 100), (1, 0, 100), (22, 0, 100), (1, 0, 0)]:
        clock.seconds += passed * HOUR_S
        assert (seen(counting).rows, seen(counting, window="24h").rows) == (hour, day)
    clock.seconds += (SLOTS - 25) * HOUR_S
    take(counting, labelled.matrix[:30])  # in the very slot of the first hundred
    assert (seen(counting).rows, seen(counting, window="24h").rows) == (30, 30)


def test_a_clock_put_back_counts_on_in_the_newest_hour(artifact: Artifact, labelled: Labelled, tmp_path: Path) -> None:
    clock = Clock()
    counting = Drift(artifact, tmp_path, clock)
    take(counting, labelled.matrix[:100])
    clock.seconds -= 5 * HOUR_S
    take(counting, labelled.matrix[:20])
    assert seen(counting).rows == 120
    again = Drift(artifact, tmp_path, clock)  # the same process's file
    take(again, labelled.matrix[:3])
    assert seen(again).rows == 123


def test_a_clock_that_had_run_ahead_does_not_hold_up_the_windows(
    artifact: Artifact, labelled: Labelled, tmp_path: Path
) -> None:
    clock = Clock()
    counting = Drift(artifact, tmp_path, clock)
    take(counting, labelled.matrix[:100])
    clock.seconds += 366 * 24 * HOUR_S
    take(counting, labelled.matrix[:20])
    assert seen(counting).rows == 20
    clock.seconds -= 366 * 24 * HOUR_S
    take(counting, labelled.matrix[:3])
    assert seen(counting, window="24h").rows == 103
    clock.seconds += 2 * HOUR_S
    assert seen(counting).rows == 0


def test_other_workers_files_are_added_and_other_models_ignored(
    artifact: Artifact, labelled: Labelled, tmp_path: Path
) -> None:
    counting = Drift(artifact, tmp_path)
    take(counting, labelled.matrix[:100])
    [own] = tmp_path.glob("drift-*")
    server, model, bins, process = own.stem.removeprefix("drift-").split("-")
    assert (model, process) == (artifact.model_version, str(os.getpid()))
    shutil.copy(own, tmp_path / f"drift-{server}-{model}-{bins}-1.counts")  # of a worker that has ended
    shutil.copy(own, tmp_path / f"drift-{server}-0123456789ab-{bins}-2.counts")
    shutil.copy(own, tmp_path / f"drift-{server}1-{model}-{bins}-3.counts")
    assert seen(counting).rows == 200


def test_expected_performance_is_what_the_probabilities_promise() -> None:
    random = np.random.default_rng(5)
    probability = random.beta(2, 5, 200_000)
    counts = np.bincount((probability * 100).astype(int), minlength=100)
    bad_rate, auc = expected(counts)
    bad = random.random(len(probability)) < probability
    order = probability.argsort().argsort() + 1.0
    seen_auc = (order[bad].sum() - bad.sum() * (bad.sum() + 1) / 2) / (bad.sum() * (~bad).sum())
    assert bad_rate == pytest.approx(bad.mean(), abs=0.005)
    assert auc == pytest.approx(seen_auc, abs=0.005)
    assert expected(np.zeros(100, dtype=np.int64)) == (None, None)


def test_another_policy_counts_on_and_other_bins_begin_anew(artifact: Artifact, tmp_path: Path) -> None:
    counting = Drift(artifact, tmp_path)
    policy = artifact.policy.model_copy(update={"high_from": artifact.policy.low_below})
    assert counting.for_model(verify(with_policy(artifact, policy), "another policy")) is counting
    other = replace(artifact, files={**artifact.files, REFERENCE: b"another"})
    assert counting.for_model(other) is not counting


def test_every_route_counts_what_it_scores_by_channel(artifact: Artifact, tmp_path: Path) -> None:
    api = Api(artifact, Settings(), drift_folder=tmp_path)
    headers = {b"content-type": b"application/json", b"x-channel": b"phone"}
    for path, body in [
        ("/predict", EXAMPLE), ("/predict", {}), ("/explain", EXAMPLE), ("/invocations", EXAMPLE),
        ("/predict_batch", {"applications": [EXAMPLE, {"made_up": 1}, EXAMPLE]}),
    ]:  # fmt: skip
        asyncio.run(api.answer(path, Request(headers, b"", json.dumps(body).encode())))
    found = api.drift()
    assert found is not None
    assert {name: of.rows for name, of in found.windows["1h"].channels.items()} == {ALL: 5, "phone": 5}
    drift_metrics.show_drift(found)
    labels = {"channel": "phone", "window": "1h"}
    assert prometheus_client.REGISTRY.get_sample_value("riskline_drift_rows", labels) == 5
    shown = prometheus_client.REGISTRY.get_sample_value("riskline_drift_psi", {"of": NUMBER.name, **labels})
    assert shown == found.windows["1h"].channels["phone"].fields[NUMBER.name].psi
    api.close()


def test_another_model_begins_anew_and_its_silent_channels_are_told(artifact: Artifact, tmp_path: Path) -> None:
    api = Api(artifact, Settings(), drift_folder=tmp_path)
    row = encode([Application.model_validate(EXAMPLE)])
    counting = api._served.drift
    assert counting is not None
    counting.take(row, Scorer(artifact).score(row), [Origin("chatbot", "", 0.0)])
    labels = {"channel": "chatbot", "window": "24h"}
    before = api.drift()
    assert before is not None
    drift_metrics.show_drift(before)
    assert prometheus_client.REGISTRY.get_sample_value("riskline_drift_rows", labels) == 1
    api.serve(replace(artifact, files={**artifact.files, GRAPH: b"another"}))
    after = api.drift()
    assert after is not None
    assert after.windows["24h"].channels[ALL].rows == 0
    drift_metrics.show_drift(after)
    assert prometheus_client.REGISTRY.get_sample_value("riskline_drift_rows", labels) == 0
    api.close()


@pytest.mark.slow
def test_every_worker_tells_of_all_workers_rows(model_folder: Path) -> None:
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "2"}) as server:
        for channel in ("api", "mail"):
            for _ in range(20):  # a connection each, so that both workers get some
                sent = httpx.post(f"{server.url}/predict", json=EXAMPLE, headers={"x-channel": channel})
                assert sent.status_code == 200

        def rows() -> dict[str, int]:
            answer = httpx.get(f"{server.url}/drift")
            assert answer.headers["content-type"] == "application/json"
            return {name: of["rows"] for name, of in answer.json()["windows"]["1h"]["channels"].items()}

        wanted = {ALL: 40, "api": 20, "mail": 20}
        eventually(lambda: all(rows() == wanted for _ in range(4)))
        eventually(lambda: samples(server.url, "riskline_drift_rows").get(("mail", "24h")) == 20)
