import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from model.psi import by_chance, deciles, psi, psi_of_counts, stands_out

NAN = float("nan")


def test_psi_of_words_is_the_sum_that_its_definition_says() -> None:
    reference = np.repeat([0.0, 1.0, 2.0, NAN], [50, 30, 15, 5])
    other = np.repeat([0.0, 1.0, 2.0, NAN], [20, 30, 45, 5])
    p = [50.5 / 102, 30.5 / 102, 15.5 / 102, 5.5 / 102]
    q = [20.5 / 102, 30.5 / 102, 45.5 / 102, 5.5 / 102]
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi(reference, other, categories=3) == pytest.approx(expected, rel=1e-12)


def test_psi_of_numbers_counts_them_between_the_references_deciles() -> None:
    random = np.random.default_rng(1)
    reference, other = random.normal(size=5000), random.normal(0.5, 1, 3000)
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    p, q = (
        np.histogram(values, np.concatenate([[-np.inf], edges, [np.inf]]))[0] + 0.5 for values in (reference, other)
    )
    p, q = p / p.sum(), q / q.sum()
    assert psi(reference, other) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=1e-9)
    assert psi(reference, other) > 0.2


def test_samples_of_one_population_differ_as_chance_lets_them() -> None:
    random = np.random.default_rng(2)
    seen = [psi(random.normal(size=2000), random.normal(size=700)) for _ in range(200)]
    assert np.mean(seen) == pytest.approx(by_chance(2000, 700), rel=0.15)


def test_more_missing_values_are_a_shift() -> None:
    values = np.arange(1000.0)
    assert psi(values, np.where(values % 2 == 0, NAN, values)) > 0.25


@pytest.mark.parametrize("values", [[], [NAN], [3.0], [3.0, 3.0, NAN]])
def test_few_values_are_no_reason_to_fail(values: list[float]) -> None:
    array = np.array(values)
    assert psi(array, array) == pytest.approx(0)
    assert len(deciles(array)) <= 1


def test_psi_is_the_same_in_both_directions_and_never_negative() -> None:
    one, other = np.array([10, 0, 5]), np.array([1, 20, 5])
    assert psi_of_counts(one, other) == pytest.approx(psi_of_counts(other, one))
    assert psi_of_counts(one, other) > 0


def test_chance_does_not_stand_out_however_few_there_are() -> None:
    random = np.random.default_rng(3)
    reference = random.normal(size=4000)
    for rows in (100, 300, 1000, 5000):
        found = [psi(reference, random.choice(reference, rows)) for _ in range(200)]
        assert not any(stands_out(one, 4000, rows) for one in found)


def test_a_real_shift_stands_out() -> None:
    random = np.random.default_rng(4)
    assert stands_out(psi(random.normal(size=4000), random.normal(0.8, 1, 500)), 4000, 500)
    assert not stands_out(0.09, 10**6, 10**6)  # surely no chance, and not worth a look either


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=2, max_size=20).map(np.array))
def test_psi_is_scipys_relative_entropy_both_ways(rows: npt.NDArray[np.int64]) -> None:
    # PSI is Jeffreys' divergence; half a row is added to each bin in use here as there
    reference, other = rows.T
    used = (reference > 0) | (other > 0)
    p, q = reference[used] + 0.5, other[used] + 0.5
    expected = entropy(p, q) + entropy(q, p) if used.any() else 0
    assert psi_of_counts(reference, other) == pytest.approx(expected, abs=1e-9)
