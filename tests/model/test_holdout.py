import numpy as np

from model.data import Labelled
from model.holdout import held_out


def test_the_same_row_is_held_out_in_any_company(labelled: Labelled) -> None:
    held = held_out(labelled.matrix, 0.2)
    order = np.random.default_rng(0).permutation(held.size)[:500]
    assert np.array_equal(held_out(labelled.matrix[order], 0.2), held[order])


def test_about_the_share_is_held_out_and_a_smaller_share_is_part_of_a_larger(labelled: Labelled) -> None:
    smaller, larger = held_out(labelled.matrix, 0.1), held_out(labelled.matrix, 0.3)
    assert 0.08 < smaller.mean() < 0.12
    assert 0.27 < larger.mean() < 0.33
    assert not (smaller & ~larger).any()
    assert not held_out(labelled.matrix, 0).any()


def test_neither_the_sign_of_zero_nor_the_bits_of_nan_matter() -> None:
    one = np.array([[0.0, np.nan, 3.0]] * 64, dtype=np.float32) + np.arange(64, dtype=np.float32)[:, None]
    other = one.copy()
    other[0, 0] = -0.0
    other.view(np.uint32)[:, 1] = 0xFFC00001
    assert np.isnan(other[:, 1]).all()
    assert np.array_equal(held_out(one, 0.5), held_out(other, 0.5))
    assert held_out(one, 0.5).any()
