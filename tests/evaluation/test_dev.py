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


def test_a_source_with_few_pairs_has_no_say():
    assert mean_spearman(np.arange(49.0), np.arange(49.0), np.asarray(["tiny"] * 49)) == {"dev_spearman": 0.0}
