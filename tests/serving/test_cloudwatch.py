"""CloudWatch's embedded metric format: what has been counted since the last line, by whichever worker says it."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from serving import cloudwatch
from serving.cloudwatch import COUNTED, NOW, CloudWatch
from serving.gathered import Sample
from serving.logs import Lines


class Kept(Lines):
    """Lines that stay here."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def add(self, event: str, **content: Any) -> None:
        self.all.append({"event": event, **content})


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    found: list[Sample] = []
    monkeypatch.setattr(cloudwatch, "samples", lambda: list(found))
    return found


def requests(status: str, value: float) -> Sample:
    return Sample("riskline_requests_total", {"route": "/predict", "status": status, "channel": "api"}, value)


def bucket(end: str, value: float) -> Sample:
    return Sample("riskline_request_duration_seconds_bucket", {"route": "/predict", "le": end}, value)


def test_a_line_says_what_has_been_counted_since_the_last_one(found: list[Sample], tmp_path: Path) -> None:
    lines = Kept()
    one, other = CloudWatch("Riskline", lines, tmp_path), CloudWatch("Riskline", lines, tmp_path)
    found[:] = [requests("200", 90), requests("503", 10), Sample("riskline_workers", {}, 2)]
    one.say()
    found[:] = [requests("200", 100), requests("503", 11), Sample("riskline_workers", {}, 1)]
    other.say()
    first, second = lines.all
    assert (first["Requests"], first["ServerErrors"], first["ClientErrors"], first["Workers"]) == (100, 10, 0, 2)
    assert (second["Requests"], second["ServerErrors"], second["Workers"]) == (11, 1, 1)


def test_one_line_is_said_for_all_workers_within_the_time(found: list[Sample], tmp_path: Path) -> None:
    lines = Kept()
    found[:] = [requests("200", 1)]
    for _ in range(3):
        CloudWatch("Riskline", lines, tmp_path).say(not_within_s=50)
    assert len(lines.all) == 1


def test_counters_that_began_again_do_not_go_below_nothing(found: list[Sample], tmp_path: Path) -> None:
    lines = Kept()
    for total in (100, 7):
        found[:] = [requests("200", total)]
        CloudWatch("Riskline", lines, tmp_path).say()
    assert [line["Requests"] for line in lines.all] == [100, 7]


def test_the_line_is_what_the_format_asks_for(found: list[Sample], tmp_path: Path) -> None:
    lines = Kept()
    found[:] = [requests("200", 1), bucket("0.001", 0), bucket("0.01", 1), bucket("+Inf", 1)]
    found += [Sample("riskline_drift_psi", {"of": "score", "channel": "all", "window": "24h"}, float("nan"))]
    CloudWatch("Risk/prod", lines, tmp_path).say()
    [line] = lines.all
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Risk/prod", [[]])
    assert line["_aws"]["Timestamp"] > 1.7e12  # milliseconds
    named = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert set(named) == set(line) - {"event", "_aws"}
    assert len(named) <= 100  # of one line, by the format's specification
    assert named["Requests"], named["DurationP99"] == ("Count", "Seconds")
    assert "ScoreDrift" not in line  # of nobody
    json.dumps(line, allow_nan=False)


def test_durations_are_those_of_the_requests_since_the_last_line(found: list[Sample], tmp_path: Path) -> None:
    lines = Kept()
    found[:] = [bucket("0.1", 1000), bucket("1.0", 1000), bucket("+Inf", 1000)]
    CloudWatch("Riskline", lines, tmp_path).say()
    found[:] = [bucket("0.1", 1000), bucket("1.0", 1010), bucket("+Inf", 1010)]
    CloudWatch("Riskline", lines, tmp_path).say()
    CloudWatch("Riskline", lines, tmp_path).say()
    before, after, nobody = lines.all
    assert before["DurationP50"] == pytest.approx(0.05)
    assert after["DurationP50"] == pytest.approx(0.1 + 0.9 / 2)
    assert after["DurationP99"] == pytest.approx(0.1 + 0.9 * 0.99)
    assert "DurationP50" not in nobody


def test_everything_that_is_said_is_a_metric_of_the_service() -> None:
    declared = {family.name for family in REGISTRY.collect()}
    for metric in (*COUNTED.values(), *NOW.values()):
        assert metric.name.removesuffix("_total") in declared
