import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.intervals import NOTHING, ratio, share


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # Brown, Cai and DasGupta's form, computed by hand from the formula's two roots
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (5, 10, 0.23659, 0.76341), (81, 263, 0.25529, 0.36616)],
)
def test_a_share_has_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    assert share(hits, of) == pytest.approx((hits / of, low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_shares_interval_holds_it_and_stays_a_share(counted: tuple[int, int]) -> None:
    value, low, high = share(*counted)
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1


def test_a_share_of_nobody_is_nothing() -> None:
    assert np.isnan(share(0, 0)).all()
    assert np.isnan(ratio(3, 5, 0, 5)).all()
    assert np.isnan(NOTHING).all()


def test_wilsons_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    inside = [low <= 0.1 <= high for _, low, high in (share(int(hits), 60) for hits in random.binomial(60, 0.1, 4000))]
    assert 0.93 < np.mean(inside) < 0.98


def test_katzs_interval_holds_the_truth_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    pairs = zip(random.binomial(80, 0.6, 4000), random.binomial(300, 0.8, 4000), strict=True)
    inside = [low <= 0.75 <= high for _, low, high in (ratio(int(one), 80, int(other), 300) for one, other in pairs)]
    assert 0.93 < np.mean(inside) < 0.97
