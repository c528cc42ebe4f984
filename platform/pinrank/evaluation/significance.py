"""How sure a metric is: bootstrap over queries.

The pairs of one query stand or fall together, so queries are resampled, each with all its pairs (cluster bootstrap).
A resample is only a row of counts, how often each query was drawn; metrics take these counts as weights, and no
sample is ever copied. Systems measured on the same resamples can be compared resample by resample.

Shape letters: N pairs, Q queries, R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
MIN_DEFINED = 0.5
"""The share of resamples in which a metric must be defined before its interval says anything."""

CHUNK_BYTES = 2**20
"""Weights of pairs are made for so many bytes of resamples at a time, to stay in the cache."""

WeightedMetric = Callable[[Floats], Floats]
"""From weights float64[R, N] (or [R, Q]) to one value a resample."""


@dataclass(frozen=True)
class Difference:
    """How much one system is above another, on the same resamples of the same queries."""

    difference: float
    interval: tuple[float, float]
    share_above: float  # of the resamples; 0.975 and more is what a 95% interval calls above


def resamples(num_queries: int, num_resamples: int, seed: int) -> Floats:
    """How often each query is drawn in each resample of num_queries draws with replacement: float64[R, Q]."""
    random = np.random.default_rng(seed)
    draws_RQ = random.integers(0, max(num_queries, 1), size=(num_resamples, num_queries))
    offsets_R1 = np.arange(num_resamples)[:, None] * num_queries
    counts = np.bincount((draws_RQ + offsets_R1).ravel(), minlength=num_resamples * num_queries)
    return counts.reshape(num_resamples, num_queries).astype(np.float64)


def over_pairs(counts_RQ: Floats, queries_N: NDArray[np.int64], metric: WeightedMetric) -> Floats:
    """A metric over pairs in every resample, float64[R]; a pair counts as often as its query was drawn."""
    step = max(1, CHUNK_BYTES // (8 * max(len(queries_N), 1)))
    chunks = [metric(counts_RQ[start : start + step][:, queries_N]) for start in range(0, len(counts_RQ), step)]
    return np.concatenate(chunks) if chunks else np.zeros(0)


def interval(values_R: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Percentile interval (Efron 1979) of a metric's resampled values; nan where it was defined in too few of them."""
    defined = values_R[~np.isnan(values_R)]
    if len(defined) == 0 or len(defined) < MIN_DEFINED * len(values_R):
        return (float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return (float(low), float(high))


def difference(value: float, values_R: Floats, other: float, others_R: Floats) -> Difference:
    """Paired comparison: values_R and others_R come from the same resamples, in the same order."""
    differences_R = values_R - others_R
    defined = differences_R[~np.isnan(differences_R)]
    share = float(np.mean(defined > 0)) if len(defined) else float("nan")
    return Difference(value - other, interval(differences_R), share)
