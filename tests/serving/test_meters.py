from pathlib import Path

import pytest

from serving.keys import Key, new_key
from serving.meters import DAY_S, Meter, Meters

NOW = 20_000 * DAY_S + 3600.0  # an hour after some midnight


def key(per_second: float | None = None, per_day: int | None = None) -> Key:
    return new_key("shop", ["score"], per_second, per_day)[1]


def test_a_seconds_requests_may_come_at_once_and_then_evenly(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_second=4))
    assert [meter.take(NOW).error for _ in range(5)] == ["", "", "", "", "rate_limited"]
    refused = meter.take(NOW)
    assert refused.wait_s == pytest.approx(0.25, abs=1e-3)
    assert meter.take(NOW + 0.2).error == "rate_limited"
    assert meter.take(NOW + 0.25).error == ""
    assert meter.take(NOW + 0.25).error == "rate_limited"


def test_a_rate_below_one_a_second_lets_one_through(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_second=0.1))
    assert [meter.take(NOW + seconds).error for seconds in (0, 1, 9.9, 10)] == ["", "rate_limited", "rate_limited", ""]


def test_the_days_quota_ends_and_begins_anew_at_midnight(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_day=2))
    assert [meter.take(NOW).error for _ in range(3)] == ["", "", "quota_exceeded"]
    assert meter.take(NOW).wait_s == 23 * 3600
    assert meter.take(NOW + 23 * 3600).error == ""


def test_a_refused_request_uses_nothing_up(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_second=1, per_day=2))
    assert [meter.take(NOW).error for _ in range(5)] == [""] + ["rate_limited"] * 4
    assert [meter.take(NOW + 5).error, meter.take(NOW + 10).error] == ["", "quota_exceeded"]


def test_headers_say_what_is_left_and_until_when(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_second=4, per_day=10))
    use = meter.take(NOW)
    assert use.policy == b'"second";q=4;w=1, "day";q=10;w=86400'
    assert use.left == b'"second";r=3;t=1, "day";r=9;t=82800'


def test_workers_count_together_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    limits = key(per_day=3)
    first, second = Meter(tmp_path, limits), Meter(tmp_path, limits)
    assert [first.take(NOW).error, second.take(NOW).error, first.take(NOW).error] == ["", "", ""]
    assert Meter(tmp_path, limits).take(NOW).error == "quota_exceeded"


def test_a_clock_that_was_put_back_locks_nobody_out(tmp_path: Path) -> None:
    meter = Meter(tmp_path, key(per_second=1))
    assert meter.take(NOW + 1e6).error == ""
    assert meter.take(NOW).error == "rate_limited"
    assert meter.take(NOW + 1).error == ""


def test_a_key_without_limits_is_not_counted(tmp_path: Path) -> None:
    assert Meters(tmp_path / "usage").take(key()) is None
    assert not (tmp_path / "usage").exists()


def test_other_limits_hold_from_the_next_reading_of_the_file_on(tmp_path: Path) -> None:
    meters = Meters(tmp_path)
    first = key(per_day=1)
    answers = [meters.take(first), meters.take(first), meters.take(first.model_copy(update={"per_day": 2}))]
    assert [use.error if use else None for use in answers] == ["", "quota_exceeded", ""]
