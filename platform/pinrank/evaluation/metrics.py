"""How well scores and grades agree with human levels. numpy only.

A metric over pairs takes `weights`: how often each pair counts. The default counts every pair once and gives one
number; a matrix weights_RN gives one number for each of R resamples in the same pass, which is what makes the
bootstrap fast. A metric over rankings gives one number a query, to be averaged by `mean`.
A metric that cannot be computed (one class only, no query with two different levels) is nan, never 0.

Shape letters: N pairs, Q queries, R resamples. `weights` is float64[N] or float64[R, N].
`queries_N` numbers the queries 0..Q-1; a query is one (source, query_id).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CONFIDENCE_BINS = 15
"""Of equal width, in the expected calibration error (Guo et al. 2017)."""

RELEVANT_LEVEL = 4
"""A pin counts as relevant for precision from this level on."""


def accuracy(levels_N: Integers, predicted_N: Integers, weights: Floats | None = None) -> Floats:
    """Share of pairs whose predicted level is the human one."""
    weights = _once_each(weights, len(levels_N))
    return _ratio(weights @ (levels_N == predicted_N).astype(np.float64), weights.sum(axis=-1))


def auroc(positive_N: NDArray[np.bool_], scores_N: Floats, weights: Floats | None = None) -> Floats:
    """Probability that a positive pair scores above a negative one, a tie counting half (Mann-Whitney U).

    nan where all pairs are positive, or none is.
    """
    weights = _once_each(weights, len(scores_N))
    ranks = average_ranks(scores_N, weights)
    positives = weights @ positive_N.astype(np.float64)
    negatives = weights.sum(axis=-1) - positives
    rank_sum = (weights * ranks) @ positive_N.astype(np.float64)
    return _ratio(rank_sum - positives * (positives + 1) / 2, positives * negatives)


def quadratic_weighted_kappa(levels_N: Integers, predicted_N: Integers, weights: Floats | None = None) -> Floats:
    """Cohen's kappa with squared distances between levels (Cohen 1968); 1 is agreement, 0 is chance.

    With squared distances both sums over the confusion matrix are moments:
    observed E[(a-b)^2], by chance E[a^2] + E[b^2] - 2 E[a] E[b].
    nan where the human levels are all the same.
    """
    weights = _once_each(weights, len(levels_N))
    human_N, guess_N = levels_N.astype(np.float64), predicted_N.astype(np.float64)
    total = weights.sum(axis=-1)
    mean_human, mean_guess = _ratio(weights @ human_N, total), _ratio(weights @ guess_N, total)
    squares = _ratio(weights @ (human_N**2 + guess_N**2), total)
    observed = _ratio(weights @ (human_N - guess_N) ** 2, total)
    kappa = 1 - _ratio(observed, squares - 2 * mean_human * mean_guess)
    return np.where(_has_two_values(human_N, weights), kappa, np.nan)


def expected_calibration_error(levels_N: Integers, probabilities_NL: Floats, weights: Floats | None = None) -> Floats:
    """How far the confidence in the most likely level is from its accuracy: mean over bins of confidence, weighted by
    their pairs, of |accuracy - mean confidence| (Naeini, Cooper, Hauskrecht 2015), in [0, 1].

    A few hundred pairs in 15 bins have an error of about 0.03 by chance alone.
    """
    weights = _once_each(weights, len(levels_N))
    confidence_N = probabilities_NL.max(axis=1)
    surplus_N = (probabilities_NL.argmax(axis=1) + 1 == levels_N) - confidence_N
    bins_N = np.minimum((confidence_N * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    surplus_NB = surplus_N[:, None] * (bins_N[:, None] == np.arange(CONFIDENCE_BINS))
    return _ratio(np.abs(weights @ surplus_NB).sum(axis=-1), weights.sum(axis=-1))


def spearman(first_N: Floats, second_N: Floats, weights: Floats | None = None) -> Floats:
    """Correlation of ranks, ties sharing their average rank; nan where either side is constant."""
    weights = _once_each(weights, len(first_N))
    middle = (weights.sum(axis=-1, keepdims=True) + 1) / 2
    first = average_ranks(first_N, weights) - middle
    second = average_ranks(second_N, weights) - middle
    spread = (weights * first**2).sum(axis=-1) * (weights * second**2).sum(axis=-1)
    return _ratio((weights * first * second).sum(axis=-1), np.sqrt(spread))


def average_ranks(values_N: Floats, weights: Floats) -> Floats:
    """Rank of each pair from 1 (smallest) in a sample that holds pair n weights[n] times, in the shape of weights."""
    order_N = np.argsort(values_N, kind="stable")
    sorted_N = values_N[order_N]
    first_N = np.searchsorted(sorted_N, values_N, side="left")
    behind_N = np.searchsorted(sorted_N, values_N, side="right")
    below = np.zeros((*weights.shape[:-1], len(values_N) + 1))
    np.cumsum(weights[..., order_N], axis=-1, out=below[..., 1:])
    return np.asarray((below[..., first_N] + below[..., behind_N] + 1) / 2)


def ndcg_by_query(levels_N: Integers, scores_N: Floats, queries_N: Integers, k: int) -> Floats:
    """nDCG@k of each query over its judged pins: gain 2^(level-1) - 1, discount 1 / log2(rank + 1).

    Pins with equal scores share the discounts of the ranks they fill together, which is the expected DCG over all
    orders of the tie (McSherry and Najork, Computing Information Retrieval Performance Measures Efficiently in the
    Presence of Tied Scores, ECIR 2008). Constant scores therefore give the expected nDCG of a random order.
    Returns float64[Q], nan for a query whose pins all have one level: any order of these is perfect.
    """
    gains_N = np.exp2(levels_N - 1.0) - 1.0

    def discount(ranks_N: Integers) -> Floats:
        return np.where(ranks_N < k, 1 / np.log2(ranks_N + 2.0), 0.0)

    reached_Q = _expected_sum_by_query(gains_N, scores_N, queries_N, discount)
    ideal_Q = _expected_sum_by_query(gains_N, gains_N, queries_N, discount)
    return np.where(has_two_levels(levels_N, queries_N), _ratio(reached_Q, ideal_Q), np.nan)


def precision_by_query(levels_N: Integers, scores_N: Floats, queries_N: Integers, k: int) -> Floats:
    """Share of relevant pins (level 4 or 5) among the first min(k, judged pins) of each query, float64[Q].

    Unjudged pins have no place in the list, so a query with fewer than k judged pins is divided by what it has: its
    value is the share of relevant pins, whatever the order. Ties share their ranks as in `ndcg_by_query`.
    """
    relevant_N = (levels_N >= RELEVANT_LEVEL).astype(np.float64)
    found_Q = _expected_sum_by_query(relevant_N, scores_N, queries_N, lambda ranks_N: (ranks_N < k).astype(np.float64))
    return _ratio(found_Q, np.minimum(np.bincount(queries_N), k).astype(np.float64))


def mean(values_Q: Floats, weights: Floats | None = None) -> Floats:
    """Mean over the queries that have a value; `weights` is float64[Q] or float64[R, Q]. nan where none has."""
    weights = _once_each(weights, len(values_Q))
    defined_Q = ~np.isnan(values_Q)
    return _ratio(weights @ np.where(defined_Q, values_Q, 0.0), weights @ defined_Q.astype(np.float64))


def has_two_levels(levels_N: Integers, queries_N: Integers) -> NDArray[np.bool_]:
    """Whether a query's pins have different levels, bool[Q]; only such a query can be ranked well or badly."""
    num_queries = int(queries_N.max(initial=-1)) + 1
    lowest_Q, highest_Q = np.full(num_queries, np.inf), np.full(num_queries, -np.inf)
    np.minimum.at(lowest_Q, queries_N, levels_N)
    np.maximum.at(highest_Q, queries_N, levels_N)
    return np.asarray(lowest_Q < highest_Q)


def _expected_sum_by_query(
    gains_N: Floats, scores_N: Floats, queries_N: Integers, discount: Callable[[Integers], Floats]
) -> Floats:
    """Sum over a query's pins of gain times discount(rank from 0), averaged over the orders of tied scores."""
    if not len(scores_N):
        return np.zeros(0)
    order_N = np.lexsort((-scores_N, queries_N))
    queries, scores = queries_N[order_N], scores_N[order_N]
    new_query_N = np.append(True, queries[1:] != queries[:-1])
    new_tie_N = new_query_N | np.append(True, scores[1:] != scores[:-1])
    ranks_N = np.arange(len(order_N)) - np.flatnonzero(new_query_N)[np.cumsum(new_query_N) - 1]
    starts = np.flatnonzero(new_tie_N)
    sizes = np.diff(starts, append=len(order_N))
    shared_N = np.repeat(np.add.reduceat(discount(ranks_N), starts) / sizes, sizes)
    return np.bincount(queries, weights=gains_N[order_N] * shared_N).astype(np.float64)


def _has_two_values(values_N: Floats, weights: Floats) -> NDArray[np.bool_]:
    """Whether the pairs that count hold more than one value."""
    kinds = [weights @ (values_N == value).astype(np.float64) > 0 for value in np.unique(values_N)]
    return np.asarray(np.sum(kinds, axis=0) > 1)


def _once_each(weights: Floats | None, length: int) -> Floats:
    return np.ones(length) if weights is None else weights


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, nan where the denominator is not positive."""
    defined = denominator > 0
    return np.where(defined, numerator / np.where(defined, denominator, 1.0), np.nan)
