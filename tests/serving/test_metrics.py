"""What is counted, and that labels stay few whatever callers send."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from decisions.log import Log
from decisions.record import CHANNELS
from model.artifact import Artifact
from preprocessing.decode import RULES
from preprocessing.encode import encode
from preprocessing.errors import InvalidApplication, Problem
from preprocessing.schema import Application
from serving import metrics
from serving.api import Api
from serving.gathered import Counter, Histogram
from serving.messages import Request
from serving.scorer import Scorer
from serving.settings import Settings
from tests.generated import EXAMPLE, NUMBER

BODY = json.dumps(EXAMPLE).encode()


@pytest.fixture(scope="module")
def api(artifact: Artifact) -> Iterator[Api]:
    api = Api(artifact, Settings(max_rows=3))
    yield api
    api.close()


def ask(api: Api, path: str, body: bytes, query: bytes = b"", **headers: str) -> Any:
    sent: Mapping[bytes, bytes] = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    answer = asyncio.run(api.answer(path, Request({b"content-type": b"application/json", **sent}, query, body)))
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def counted(name: str, **labels: str) -> float:
    metrics.flush()
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_scores_refusals_and_requests_are_counted_under_few_labels(api: Api) -> None:
    tier = ask(api, "/predict", BODY)["tier"]

    def now() -> list[float]:
        return [
            counted("riskline_scores_total", tier=tier),
            counted("riskline_refused_total", field=NUMBER.name, rule="required"),
            counted("riskline_refused_total", field="other", rule="unknown"),
            counted("riskline_requests_total", route="/predict_batch", status="200", channel="api"),
            counted("riskline_request_duration_seconds_count", route="/predict_batch"),
            counted("riskline_stage_duration_seconds_count", stage="score"),
            counted("riskline_batch_rows_sum"),
        ]

    before = now()
    ask(api, "/predict_batch", json.dumps({"applications": [EXAMPLE, {}, {**EXAMPLE, "shoe_size": 44}]}).encode())
    assert [after - then for after, then in zip(now(), before, strict=True)] == [1, 1, 1, 1, 1, 1, 3]
    assert {"required", "unknown"} <= set(RULES)


def test_a_gathered_histogram_is_what_prometheus_would_have_counted() -> None:
    gathered = Histogram("gathered", "for this test", [], (1, 2, 4))
    values = [0.5, 1, 1.5, 2, 3, 4, 5, 100]
    for value in values:
        gathered.observe((), value)
    gathered.flush()
    gathered.flush()
    assert [REGISTRY.get_sample_value("gathered_bucket", {"le": le}) for le in ("1.0", "2.0", "4.0", "+Inf")] == [
        2, 4, 6, 8,
    ]  # fmt: skip
    assert REGISTRY.get_sample_value("gathered_sum") == sum(values)


@pytest.mark.slow
def test_a_million_made_up_fields_channels_and_traces_make_no_label(api: Api) -> None:
    def label_sets() -> set[tuple[str, str]]:
        metrics.flush()
        return {
            (sample.name, str(sample.labels))
            for family in REGISTRY.collect()
            if family.name.startswith("riskline")
            for sample in family.samples
        }

    def made_up(numbers: range) -> None:
        fields = {f"field_{number}": number for number in numbers}
        ask(api, "/predict_batch", json.dumps({"applications": [{**EXAMPLE, **fields}]}).encode())
        ask(api, "/predict", BODY, x_channel=f"channel_{numbers[0]}", idempotency_key=f"key_{numbers[0]}")
        ask(api, "/predict", json.dumps({**EXAMPLE, f"field_{numbers[0]}": 1}).encode(), traceparent=f"x{numbers[0]}")

    made_up(range(10))
    before = label_sets()
    for first in range(0, 1_000_000, 25_000):
        made_up(range(first, first + 25_000))
    assert label_sets() == before


@pytest.mark.parametrize("channel", [*CHANNELS, "made_up", "", "é"])
def test_a_request_is_counted_under_its_channel_and_an_unknown_one_under_api(api: Api, channel: str) -> None:
    known, status = (channel, "200") if channel in CHANNELS else ("api", "400")

    def now() -> float:
        return counted("riskline_requests_total", route="/predict", status=status, channel=known)

    before = now()
    ask(api, "/predict", BODY, x_channel=channel)
    assert now() - before == 1
    seen = {sample.labels["channel"] for family in metrics.REQUESTS.metric.collect() for sample in family.samples}
    assert seen <= set(CHANNELS)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/predict", b"{", "malformed_body"),
        ("/predict", b"{}", "invalid_application"),
        ("/predict", b" " * 2**21, "body_too_large"),
        ("/predict_batch", json.dumps({"applications": [EXAMPLE] * 4}).encode(), "batch_too_large"),
        ("/explain", b"{}", "invalid_application"),
    ],
)
def test_a_rejected_request_is_counted_by_its_error(api: Api, path: str, body: bytes, reason: str) -> None:
    before = counted("riskline_rejected_total", reason=reason)
    assert ask(api, path, body)["error"] == reason
    assert counted("riskline_rejected_total", reason=reason) - before == 1


def test_a_request_that_is_too_late_is_rejected_too(api: Api) -> None:
    before = counted("riskline_rejected_total", reason="timeout")
    api.too_late("/predict", {b"x-channel": b"phone"})
    assert counted("riskline_rejected_total", reason="timeout") - before == 1
    assert counted("riskline_requests_total", route="/predict", status="504", channel="phone") == 1


def test_a_batch_with_a_refused_row_is_no_rejected_request(api: Api) -> None:
    def rejected() -> float:
        metrics.flush()
        return sum(s.value for f in metrics.REJECTED.metric.collect() for s in f.samples if s.name.endswith("_total"))

    before = rejected()
    assert len(ask(api, "/predict_batch", json.dumps({"applications": [EXAMPLE, {}]}).encode())["results"]) == 2
    assert rejected() == before


def test_a_single_application_waits_for_its_turn_and_is_in_progress_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    count = metrics.count_scores

    def looked(*arguments: Any) -> None:
        seen.append(counted("riskline_requests_in_progress"))
        count(*arguments)

    monkeypatch.setattr(metrics, "count_scores", looked)
    before = counted("riskline_queue_wait_seconds_count"), counted("riskline_queue_wait_seconds_sum")
    ask(api, "/predict", BODY)
    assert seen == [1]
    assert counted("riskline_requests_in_progress") == 0
    assert counted("riskline_queue_wait_seconds_count") - before[0] == 1
    assert counted("riskline_queue_wait_seconds_sum") > before[1]


def test_a_request_that_is_cancelled_is_no_longer_in_progress(api: Api) -> None:
    async def cancelled() -> None:
        request = Request({b"content-type": b"application/json"}, b"", BODY)
        asking = asyncio.create_task(api.answer("/predict", request))
        await asyncio.sleep(0)
        assert metrics.IN_PROGRESS.value == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(cancelled())
    assert metrics.IN_PROGRESS.value == 0


@pytest.mark.parametrize("rows", [1, 200])
def test_probabilities_and_reasons_are_counted_for_scored_rows_only(artifact: Artifact, rows: int) -> None:
    scorer = Scorer(artifact)
    refused = InvalidApplication([Problem(NUMBER.name, "required", "it is missing")])
    scores = scorer.score(encode([Application.model_validate(EXAMPLE), refused] * rows), range(2 * rows))
    codes = [reason.code for reason in scorer.reasoning.words((scores.reasons or {})[0])]
    assert codes

    def now() -> list[float]:
        return [
            counted("riskline_probability_count"),
            *(counted("riskline_reasons_total", code=code) for code in sorted({*codes})),
            sum(s.value for f in metrics.REASONS.metric.collect() for s in f.samples if s.name.endswith("_total")),
        ]

    before, total = now(), counted("riskline_probability_sum")
    metrics.count_scores(scores, {})
    grown = [after - then for after, then in zip(now(), before, strict=True)]
    assert grown == [rows, *(rows * codes.count(code) for code in sorted({*codes})), rows * len(codes)]
    assert counted("riskline_probability_sum") - total == pytest.approx(rows * scores.probability[0])


def test_a_counter_reaches_a_total_that_is_counted_elsewhere() -> None:
    counter = Counter("reached", "for this test", [])
    for total in (0.5, 0.5, 2.0):
        counter.reach(total)
        counter.flush()
        assert REGISTRY.get_sample_value("reached_total") == total


def test_many_probabilities_land_where_single_ones_would() -> None:
    bounds = tuple(step / 20 for step in range(1, 21))
    one = Histogram("one_probability", "One by one.", [], bounds)
    many = Histogram("many_probabilities", "All at once.", [], bounds)
    values = np.array([0.0, 0.05, 0.050001, 0.15, 0.7, 0.999999, 1.0])
    for value in values.tolist():
        one.observe((), value)
    many.observe_many((), values)
    one.flush()
    many.flush()
    for bound in (*map(str, bounds), "+Inf"):
        single = REGISTRY.get_sample_value("one_probability_bucket", {"le": bound})
        assert single is not None
        assert single == REGISTRY.get_sample_value("many_probabilities_bucket", {"le": bound})


def test_the_log_says_what_waits_and_what_is_chained(tmp_path: Path) -> None:
    log = Log(tmp_path)
    metrics.look_at(log)
    log.close()
    assert counted("riskline_unrecorded_rows") == 0
    assert counted("riskline_chain_records") == 0  # the opening is no decision


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says so there")
def test_a_process_says_what_it_uses() -> None:
    metrics.look_at_process()
    before = counted("riskline_process_cpu_seconds_total"), counted("riskline_process_open_files")
    assert before[0] > 0
    assert 10 * 2**20 < counted("riskline_process_resident_memory_bytes") < 100 * 2**30
    with Path(__file__).open(), Path(__file__).open():
        metrics.look_at_process()
        assert counted("riskline_process_open_files") - before[1] == 2
    assert counted("riskline_process_cpu_seconds_total") >= before[0]


def test_what_a_dead_worker_said_of_now_is_forgotten_and_what_it_counted_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [
        f"{kind}_{pid}.db" for kind in ("gauge_livesum", "gauge_livemin", "counter") for pid in (dead.pid, os.getpid())
    ]
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    metrics.forget_the_dead()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name for name in names if name.startswith("counter") or str(dead.pid) not in name}
