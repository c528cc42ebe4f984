"""A sampled pair's weight in the loss."""

import numpy as np

from pinrank.student.importance import fit


def test_weights_have_mean_one_and_keep_their_ratios_below_the_cut():
    weight_N = np.array([1.0, 2.0, 3.0, 2.0], dtype=np.float32)
    found_N = fit(weight_N, largest=10).weights(weight_N)
    np.testing.assert_allclose(found_N, [0.5, 1.0, 1.5, 1.0])


def test_a_row_that_stands_for_very_many_is_cut():
    weight_N = np.array([*[1.0] * 99, 901.0], dtype=np.float32)  # mean 10
    found_N = fit(weight_N, largest=3).weights(weight_N)
    np.testing.assert_allclose(found_N[-1] / found_N[0], 30.0, rtol=1e-5)
    np.testing.assert_allclose(found_N.mean(), 1.0, rtol=1e-5)


def test_a_row_that_does_not_say_counts_as_the_mean_one():
    weight_N = np.array([1.0, 3.0, np.nan], dtype=np.float32)
    np.testing.assert_allclose(fit(weight_N, largest=10).weights(weight_N), [0.5, 1.5, 1.0])


def test_without_any_weight_all_rows_weigh_the_same():
    weight_N = np.full(3, np.nan, dtype=np.float32)
    np.testing.assert_allclose(fit(weight_N, largest=10).weights(weight_N), [1.0, 1.0, 1.0])
