"""pinrank.evaluation.metrics: by eye on small cases, against sklearn and scipy on generated ones."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, cohen_kappa_score, ndcg_score, roc_auc_score

from pinrank.evaluation import metrics
from pinrank.levels import CUTS, LEVELS

ONE_QUERY = np.zeros(4, dtype=np.int64)


@st.composite
def graded_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels, coarse scores (so that ties are common) and how often each pair counts (never all zero)."""
    length = draw(st.integers(2, 30))
    levels = draw(arrays(np.int64, length, elements=st.integers(1, 5)))
    scores = draw(arrays(np.int64, length, elements=st.integers(-4, 4))) / 4
    counts = draw(arrays(np.int64, length, elements=st.integers(0, 3)))
    counts[0] = max(counts[0], 1)
    return levels, scores, counts


def reference(metric, *columns: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    """A library's figure; nan where it refuses or warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(metric(*columns))


@given(graded_pairs())
def test_auroc_equals_sklearn_on_the_repeated_sample(pairs: tuple[np.ndarray, ...]) -> None:
    levels, scores, counts = pairs
    for cut in CUTS:
        positive = np.repeat(levels >= cut, counts)
        found = float(metrics.auroc(levels >= cut, scores, counts.astype(float)))
        if positive.all() or not positive.any():
            assert np.isnan(found)
        else:
            assert found == pytest.approx(roc_auc_score(positive, np.repeat(scores, counts)))


@given(graded_pairs())
def test_spearman_equals_scipy_on_the_repeated_sample(pairs: tuple[np.ndarray, ...]) -> None:
    levels, scores, counts = pairs
    found = float(metrics.spearman(levels.astype(float), scores, counts.astype(float)))
    human, guess = np.repeat(levels, counts), np.repeat(scores, counts)
    if len(set(human)) < 2 or len(set(guess)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(human, guess).statistic)


@given(graded_pairs())
def test_kappa_and_accuracy_equal_sklearn_on_the_repeated_sample(pairs: tuple[np.ndarray, ...]) -> None:
    levels, scores, counts = pairs
    predicted = np.clip(np.round(3 + 4 * scores), 1, 5).astype(np.int64)
    human, guess = np.repeat(levels, counts), np.repeat(predicted, counts)
    weights = counts.astype(float)
    assert float(metrics.accuracy(levels, predicted, weights)) == pytest.approx(accuracy_score(human, guess))
    kappa = float(metrics.quadratic_weighted_kappa(levels, predicted, weights))
    if len(set(human)) < 2:
        assert np.isnan(kappa)
    else:
        expected = reference(lambda a, b: cohen_kappa_score(a, b, labels=LEVELS, weights="quadratic"), human, guess)
        assert kappa == pytest.approx(expected)


@given(graded_pairs(), st.integers(1, 12))
def test_ndcg_equals_sklearn_with_averaged_ties(pairs: tuple[np.ndarray, ...], k: int) -> None:
    levels, scores, _ = pairs
    queries = np.zeros(len(levels), dtype=np.int64)
    found = float(metrics.ndcg_by_query(levels, scores, queries, k)[0])
    if len(set(levels)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(ndcg_score([2.0**levels / 2 - 1], [scores], k=k))


@given(graded_pairs(), st.integers(1, 12), st.integers(0, 2**16))
def test_queries_are_measured_apart_whatever_the_order_of_rows(
    pairs: tuple[np.ndarray, ...], k: int, seed: int
) -> None:
    levels, scores, _ = pairs
    random = np.random.default_rng(seed)
    queries = np.unique(random.integers(0, 4, len(levels)), return_inverse=True)[1].astype(np.int64)
    for metric in (metrics.ndcg_by_query, metrics.precision_by_query):
        together = metric(levels, scores, queries, k)
        for query in range(queries.max() + 1):
            own = queries == query
            alone = metric(levels[own], scores[own], np.zeros(own.sum(), dtype=np.int64), k)
            np.testing.assert_allclose(together[query], alone[0])


@given(graded_pairs(), st.integers(0, 2**16))
def test_a_matrix_of_weights_gives_what_its_rows_give_one_by_one(pairs: tuple[np.ndarray, ...], seed: int) -> None:
    levels, scores, _ = pairs
    weights = np.random.default_rng(seed).integers(0, 3, (5, len(levels))).astype(float)
    predicted = np.clip(np.round(3 + 4 * scores), 1, 5).astype(np.int64)
    for metric in (
        lambda w: metrics.accuracy(levels, predicted, w),
        lambda w: metrics.auroc(levels >= 4, scores, w),
        lambda w: metrics.quadratic_weighted_kappa(levels, predicted, w),
        lambda w: metrics.spearman(levels.astype(float), scores, w),
        lambda w: metrics.mean(scores, w),
    ):
        np.testing.assert_allclose(metric(weights), [metric(row) for row in weights])


def test_ndcg_by_hand() -> None:
    levels = np.array([5, 1, 3, 1])
    gains, discounts = np.array([15, 0, 3, 0]), 1 / np.log2([2, 3, 4, 5])
    ideal = 15 * discounts[0] + 3 * discounts[1]
    reversed_scores = np.array([1.0, 4.0, 2.0, 3.0])
    found = metrics.ndcg_by_query(levels, reversed_scores, ONE_QUERY, 10)[0]
    assert found == pytest.approx((gains[0] * discounts[3] + gains[2] * discounts[2]) / ideal)
    constant = metrics.ndcg_by_query(levels, np.zeros(4), ONE_QUERY, 10)[0]
    assert constant == pytest.approx(gains.sum() * discounts.mean() / ideal)


def test_precision_counts_level_4_and_divides_short_lists_by_their_length() -> None:
    levels = np.array([4, 5, 3, 1])
    scores = np.array([1.0, 4.0, 3.0, 2.0])
    assert metrics.precision_by_query(levels, scores, ONE_QUERY, 2)[0] == 0.5
    assert metrics.precision_by_query(levels, scores, ONE_QUERY, 8)[0] == 0.5
    tied = np.array([1.0, 2.0, 1.0, 1.0])
    assert metrics.precision_by_query(levels, tied, ONE_QUERY, 2)[0] == pytest.approx((1 + 1 / 3) / 2)


def test_one_class_only_is_undefined_not_zero() -> None:
    levels, scores = np.full(4, 5), np.arange(4.0)
    assert np.isnan(metrics.auroc(levels >= 3, scores))
    assert np.isnan(metrics.quadratic_weighted_kappa(levels, levels))
    assert np.isnan(metrics.spearman(levels.astype(float), scores))
    assert np.isnan(metrics.ndcg_by_query(levels, scores, ONE_QUERY, 10)).all()
    assert np.isnan(metrics.mean(np.array([np.nan, np.nan])))


def test_no_pairs_at_all_is_undefined() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert np.isnan(metrics.accuracy(none, none))
    assert np.isnan(metrics.auroc(none >= 3, none.astype(float)))
    assert metrics.ndcg_by_query(none, none.astype(float), none, 10).shape == (0,)


def test_calibration_error_is_the_distance_of_confidence_and_accuracy() -> None:
    stated_NL = np.array([[0.0, 0, 0, 0.1, 0.9]] * 4)
    assert metrics.expected_calibration_error(np.array([5, 5, 5, 1]), stated_NL) == pytest.approx(0.15)
    assert metrics.expected_calibration_error(np.array([5, 5, 5, 1]), stated_NL, np.array([3, 3, 3, 1.0])) == (
        pytest.approx(0.0)
    )


def test_bins_of_confidence_do_not_make_up_for_each_other() -> None:
    stated_NL = np.array([[0.0, 0, 0, 0.1, 0.9], [0.0, 0, 0, 0.5, 0.5]])
    assert metrics.expected_calibration_error(np.array([1, 4]), stated_NL) == pytest.approx((0.9 + 0.5) / 2)
