"""pinrank.evaluation.significance: resampling by counts equals resampling by copying, and covers the truth."""

import numpy as np
import pytest

from pinrank.evaluation import metrics, significance


def test_every_resample_draws_as_many_queries_as_there_are() -> None:
    counts = significance.resamples(num_queries=7, num_resamples=50, seed=1)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(counts, significance.resamples(7, 50, seed=1))
    assert (counts != significance.resamples(7, 50, seed=2)).any()


def test_counts_give_what_copied_samples_give() -> None:
    random = np.random.default_rng(0)
    queries = np.repeat(np.arange(6), 5)
    levels, scores = random.integers(1, 6, 30), np.round(random.normal(size=30), 1)
    counts = significance.resamples(6, 20, seed=3)
    found = significance.over_pairs(counts, queries, lambda weights: metrics.auroc(levels >= 4, scores, weights))
    for row, value in zip(counts, found, strict=True):
        copied = np.repeat(np.arange(30), row[queries].astype(int))
        assert value == pytest.approx(float(metrics.auroc(levels[copied] >= 4, scores[copied])), nan_ok=True)


def test_small_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = np.repeat(np.arange(10), 3)
    counts = significance.resamples(10, 33, seed=0)
    whole = significance.over_pairs(counts, queries, lambda weights: weights.sum(axis=-1))
    monkeypatch.setattr(significance, "CHUNK_BYTES", 2000)
    np.testing.assert_array_equal(significance.over_pairs(counts, queries, lambda w: w.sum(axis=-1)), whole)


def test_interval_of_a_mean_matches_the_theory() -> None:
    values = np.random.default_rng(5).normal(size=400)
    counts = significance.resamples(400, 2000, seed=0)
    low, high = significance.interval(metrics.mean(values, counts))
    half_width = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half_width, abs=0.01)
    assert high == pytest.approx(values.mean() + half_width, abs=0.01)


def test_interval_is_undefined_where_most_resamples_are() -> None:
    assert np.isnan(significance.interval(np.array([0.5, np.nan, np.nan]))).all()
    assert significance.interval(np.array([0.5, 0.5, np.nan])) == (0.5, 0.5)
    assert np.isnan(significance.interval(np.zeros(0))).all()


def test_paired_difference_is_sharper_than_two_intervals() -> None:
    random = np.random.default_rng(2)
    hard = random.normal(size=300)
    better, worse = hard + 0.1, hard + random.normal(scale=0.05, size=300)
    counts = significance.resamples(300, 500, seed=0)
    better_R, worse_R = metrics.mean(better, counts), metrics.mean(worse, counts)
    found = significance.difference(float(metrics.mean(better)), better_R, float(metrics.mean(worse)), worse_R)
    assert found.difference == pytest.approx(0.1, abs=0.02)
    assert found.interval[0] > 0.08 and found.share_above == 1.0
    assert significance.interval(better_R)[0] < significance.interval(worse_R)[1]
