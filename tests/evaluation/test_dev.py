"""Choosing an epoch."""

import numpy as np
import pytest

from pinrank.evaluation.dev import mean_spearman


def test_every_source_counts_the_same():
    rising, falling = np.arange(50.0), np.arange(1000.0)
    scores = np.concatenate([rising, falling])
    grades = np.concatenate([rising, -falling])
    found = mean_spearman(scores, grades, np.asarray(["small"] * 50 + ["large"] * 1000))
    assert found["dev_spearman_small"] == pytest.approx(1)
    assert found["dev_spearman_large"] == pytest.approx(-1)
    assert found["dev_spearman"] == pytest.approx(0)


def test_a_source_with_few_pairs_has_no_say_beside_others():
    scores = np.concatenate([np.arange(50.0), np.arange(49.0)])
    grades = np.concatenate([np.arange(50.0), -np.arange(49.0)])
    found = mean_spearman(scores, grades, np.asarray(["large"] * 50 + ["tiny"] * 49))
    assert list(found) == ["dev_spearman", "dev_spearman_large"]
    assert found["dev_spearman"] == pytest.approx(1)


def test_where_every_source_is_small_all_pairs_decide_together():
    found = mean_spearman(np.arange(60.0), np.arange(60.0), np.asarray(["a", "b"] * 30))
    assert found == {"dev_spearman": pytest.approx(1)}


def test_constant_scores_have_no_correlation():
    assert mean_spearman(np.zeros(60), np.arange(60.0), np.asarray(["a"] * 60))["dev_spearman"] == 0.0
