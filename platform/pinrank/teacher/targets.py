"""What the teacher learns of a judgment: a distribution over the five levels.

Letters: N pairs, L = 5 levels.
"""

import numpy as np
from numpy.typing import NDArray

from pinrank.levels import LEVELS, NUM_LEVELS

SPREAD = 0.5
"""Standard deviation, in levels, of the raters around a pair's true relevance; cxc's five raters have 0.4 to 0.7."""

Floats = NDArray[np.float64]


def of_levels(levels_N: NDArray[np.int64]) -> Floats:
    """All mass on the human's level, float64[N, 5]."""
    return np.eye(NUM_LEVELS)[levels_N - 1]


def of_annotators(levels_N: NDArray[np.int64], pairs_N: NDArray[np.int64]) -> Floats:
    """The shares of the levels that all annotators of a pair gave, float64[N, 5]; pairs_N numbers the pairs from 0.

    Every row of a pair gets the same distribution, so a pair weighs as much as it has annotators.
    """
    counts = np.zeros((pairs_N.max(initial=-1) + 1, NUM_LEVELS))
    np.add.at(counts, (pairs_N, levels_N - 1), 1.0)
    return np.asarray((counts / counts.sum(axis=1, keepdims=True).clip(min=1))[pairs_N])


def of_relevance(levels_N: NDArray[np.int64], relevance_N: Floats, sources_N: NDArray[np.str_]) -> Floats:
    """A bell around a pair's place within its level, float64[N, 5].

    A source's grade on 0..1 is often finer than the level that it was mapped to. The grades of a level, from the
    smallest to the largest that the source has there, are laid over that level's unit interval; the distribution is
    the mass of a normal of SPREAD around the place, within each level's interval. A source that has a single grade a
    level says no more than the level: all mass stays there. NaN relevance counts as such.
    """
    from scipy.special import ndtr

    targets_NL = of_levels(levels_N)
    edges = np.arange(1, NUM_LEVELS)
    for source in np.unique(sources_N):
        of_source = (sources_N == source) & ~np.isnan(relevance_N)
        rows = np.flatnonzero(of_source)
        if not _is_finer(levels_N[rows], relevance_N[rows]):
            continue
        below_NE = ndtr((edges - _places(levels_N[rows], relevance_N[rows])[:, None]) / SPREAD)
        targets_NL[rows] = np.diff(np.pad(below_NE, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)
    return targets_NL


def class_weights(targets_NL: Floats, strength: float) -> Floats:
    """float64[5]: (1 / share of a level) ** strength, so that the mean weight of a pair is 1; absent levels weigh 1."""
    shares_L = targets_NL.mean(axis=0)
    weights_L = np.where(shares_L > 0, shares_L.clip(min=1e-9) ** -strength, 0.0)
    weights_L = weights_L / (shares_L @ weights_L)
    return np.asarray(np.where(shares_L > 0, weights_L, 1.0))


def _is_finer(levels_N: NDArray[np.int64], relevance_N: Floats) -> bool:
    """Whether some level holds more than one grade."""
    return any(np.ptp(relevance_N[levels_N == level]) > 0 for level in np.unique(levels_N))


def _places(levels_N: NDArray[np.int64], relevance_N: Floats) -> Floats:
    """Where each grade lies on the axis on which level k spans k-1..k, float64[N]."""
    places_N = levels_N - 0.5
    for level in LEVELS:
        rows = np.flatnonzero(levels_N == level)
        if len(rows) and (width := np.ptp(relevance_N[rows])) > 0:
            places_N[rows] = level - 1 + (relevance_N[rows] - relevance_N[rows].min()) / width
    return np.asarray(places_N)
