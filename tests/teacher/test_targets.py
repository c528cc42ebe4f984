"""What a judgment becomes for the loss, and the losses."""

import numpy as np
import pytest
import torch

from pinrank.teacher import targets
from pinrank.teacher.losses import cross_entropy, emd2, loss_of


def test_a_level_is_one_hot():
    assert targets.of_levels(np.array([1, 5])).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_annotators_of_a_pair_share_their_distribution():
    found = targets.of_annotators(np.array([5, 4, 4, 4, 1]), np.array([0, 0, 0, 0, 1]))
    assert found[:4].tolist() == [[0, 0, 0, 0.75, 0.25]] * 4
    assert found[4].tolist() == [1, 0, 0, 0, 0]


def test_no_rows_have_no_targets():
    assert targets.of_annotators(np.array([], np.int64), np.array([], np.int64)).shape == (0, 5)


def test_a_finer_grade_makes_a_bell_whose_peak_is_the_level():
    levels_N = np.array([1, 1, 3, 3, 5, 5])
    relevance_N = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    found = targets.of_relevance(levels_N, relevance_N, np.array(["s"] * 6))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    low, high = found[2], found[3]
    assert low[1] > low[3] and high[3] > high[1], "the lower of two grades of a level leans to the level below"
    assert low[1] == pytest.approx(low[2], abs=0.03), "a grade at the edge belongs to both levels"
    assert (np.diff(found @ np.arange(1, 6)) >= -1e-9).all()


def test_a_source_with_one_grade_a_level_keeps_its_levels():
    levels_N = np.array([1, 5, 1])
    found = targets.of_relevance(levels_N, np.array([0.0, 1.0, np.nan]), np.array(["s"] * 3))
    np.testing.assert_array_equal(found, targets.of_levels(levels_N))


def test_class_weights_leave_the_mean_weight_at_one():
    targets_NL = targets.of_levels(np.array([1, 1, 1, 5]))
    weights_L = targets.class_weights(targets_NL, 1.0)
    assert (targets_NL @ weights_L).mean() == pytest.approx(1.0)
    assert weights_L[4] == pytest.approx(3 * weights_L[0])
    assert weights_L[2] == 1.0


def test_cross_entropy_with_a_level_is_torchs():
    logits_NL, levels_N = torch.randn(4, 5), torch.tensor([0, 1, 2, 4])
    ours = cross_entropy(logits_NL, torch.eye(5)[levels_N]).mean()
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits_NL, levels_N))


def test_the_ordinal_loss_grows_with_the_distance_of_the_levels():
    certain_NL = torch.eye(5) * 50
    losses_N = emd2(certain_NL, torch.eye(5)[:1].repeat(5, 1))
    torch.testing.assert_close(losses_N, torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8]), atol=1e-5, rtol=0)


def test_a_weighted_loss_counts_rare_levels_more():
    logits_NL = torch.zeros(2, 5)
    logits_NL[0, 0] = 9.0  # right about the first pair, wrong about the second
    targets_NL = torch.eye(5)[[0, 4]]
    weights_L = torch.tensor([0.5, 1, 1, 1, 3.0])
    assert loss_of("cross_entropy", logits_NL, targets_NL, weights_L) > loss_of("cross_entropy", logits_NL, targets_NL)
