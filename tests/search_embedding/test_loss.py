"""The in-batch loss: by hand, without a correction, with false negatives."""

import math

import numpy as np
import pytest
import torch

from pinrank.search_embedding.loss import Engaged, in_batch_loss, log_frequencies

NONE = torch.zeros(2, 2, dtype=torch.bool)
ONES = torch.ones(2)
ANGLES = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def test_a_popular_pin_counts_less_as_a_negative_by_hand():
    # Cosines are 1 on the diagonal and 0 beside it, at temperature 1. Pin 0 has 3/4 of all pairs, pin 1 has 1/4.
    log_q = torch.tensor([3 / 4, 1 / 4]).log()
    # query 0: e / (3/4) for its pin, 1 / (1/4) for the other; query 1: e / (1/4) and 1 / (3/4)
    first = -math.log((math.e * 4 / 3) / (math.e * 4 / 3 + 4))
    second = -math.log((math.e * 4) / (math.e * 4 + 4 / 3))
    weights = torch.tensor([2.0, 1.0])
    loss = in_batch_loss(ANGLES, ANGLES, log_q, NONE, weights, temperature=1.0)
    assert loss.item() == pytest.approx((2 * first + second) / 3, rel=1e-6)


def test_with_equal_frequencies_the_loss_is_plain_cross_entropy():
    torch.manual_seed(0)
    queries, pins = (torch.nn.functional.normalize(torch.randn(6, 4), dim=1) for _ in range(2))
    alike = torch.full((6,), math.log(1 / 50))
    loss = in_batch_loss(queries, pins, alike, torch.zeros(6, 6, dtype=torch.bool), torch.ones(6), temperature=0.1)
    plain = torch.nn.functional.cross_entropy(queries @ pins.T / 0.1, torch.arange(6))
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)


def test_a_pin_that_the_query_engaged_with_too_is_no_negative():
    engaged = torch.tensor([[True, True], [False, True]])
    loss = in_batch_loss(ANGLES, ANGLES, torch.zeros(2), engaged, ONES, temperature=1.0)
    second = -math.log(math.e / (math.e + 1))
    assert loss.item() == pytest.approx(second / 2, rel=1e-6)  # query 0 has no negative left: nothing to lose


def test_masked_negatives_get_no_gradient():
    pins = ANGLES.clone().requires_grad_()
    engaged = torch.tensor([[True, True], [True, True]])
    in_batch_loss(ANGLES, pins, torch.zeros(2), engaged, ONES, temperature=1.0).backward()
    assert pins.grad is not None and torch.equal(pins.grad, torch.zeros(2, 2))


def test_frequencies_are_shares_of_the_pairs():
    log_q = log_frequencies(np.array([0, 0, 0, 2]), num_pins=3)
    np.testing.assert_allclose(np.exp(log_q[[0, 2]]), [0.75, 0.25], rtol=1e-6)
    assert np.isfinite(log_q).all()


def test_engaged_pins_are_found_from_all_pairs_not_from_the_batch_alone():
    # query 0: pins 0 and 2; query 1: pin 1; query 2: pins 0 and 1
    engaged = Engaged(np.array([2, 0, 1, 0, 2]), np.array([1, 2, 1, 0, 0]), num_queries=3)
    found = engaged.in_batch(np.array([0, 1, 2]), np.array([2, 1, 0]))
    assert found.tolist() == [[True, False, True], [False, True, False], [False, True, True]]


def test_a_pin_that_comes_twice_in_a_batch_is_masked_both_times():
    engaged = Engaged(np.array([0, 1]), np.array([5, 5]), num_queries=2)
    assert engaged.in_batch(np.array([0, 1]), np.array([5, 5])).all()
