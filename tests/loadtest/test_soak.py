"""What a soak test makes of its minutes."""

from dataclasses import replace

import pytest

from loadtest.soak import Minute, judge, table

STEADY = Minute(answered=60_000, failed=0, p99_ms=10.0, mib=400.0, handles=60)


def test_a_steady_service_passes() -> None:
    verdict = judge([STEADY] * 12)
    assert (verdict.growth, verdict.drift, verdict.more_handles, verdict.wrong) == (0, 0, 0, [])


def test_the_warm_up_does_not_count() -> None:
    assert judge([replace(STEADY, mib=200.0, handles=20), replace(STEADY, mib=300.0), *[STEADY] * 10]).wrong == []


def test_one_slow_minute_is_no_drift() -> None:
    assert judge([*[STEADY] * 11, replace(STEADY, p99_ms=500.0)]).wrong == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(STEADY, mib=424.0), "memory has grown by 6.0%"),
        (replace(STEADY, p99_ms=12.5), "p99 has risen by 25%"),
        (replace(STEADY, handles=70), "10 more handles are open"),
        (replace(STEADY, failed=1), "4 requests failed"),
    ],
)
def test_what_grows_is_named(changed: Minute, said: str) -> None:
    [wrong] = judge([*[STEADY] * 8, *[changed] * 4]).wrong
    assert wrong.startswith(said)


def test_slow_growth_over_many_minutes_is_found() -> None:
    verdict = judge([replace(STEADY, mib=400.0 + 2 * minute) for minute in range(30)])
    assert verdict.growth == pytest.approx(0.0822, abs=0.001)
    assert verdict.wrong


def test_the_table_has_a_row_for_each_minute_and_the_verdict_before() -> None:
    shown = table([STEADY] * 6, judge([STEADY] * 6), 1000.0).splitlines()
    assert shown[0].startswith("6 minutes at 1,000 applications a second: nothing grows.")
    assert shown[4:] == [f"| {minute} | 60,000 | 10.0 | 400 | 60 |" for minute in range(1, 7)]
