"""Several grades of a pair to one: its level, and the probabilities of the levels behind it.

Shape letters: N grades, P pairs, L = 5 levels.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pinrank.annotators.dawid_skene import DawidSkeneSettings, Estimate, dawid_skene
from pinrank.annotators.ratings import Floats, Integers, Ratings
from pinrank.levels import LEVELS, expected_level, most_likely_level

log = logging.getLogger(__name__)

Method = Literal["majority", "mean", "dawid_skene"]

DIGITS = 9
"""Probabilities are compared after rounding, or noise of the last bit would break ties."""


@dataclass(frozen=True)
class Consensus:
    """One grade a pair."""

    levels_P: Integers
    probabilities_PL: Floats
    estimates: Mapping[str, Estimate] = field(default_factory=dict)  # source → what Dawid-Skene found of it
    annotators: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # source → names, as its Estimate numbers them


def aggregate(ratings: Ratings, method: Method, settings: DawidSkeneSettings) -> Consensus:
    """Join the grades of each pair.

    majority: the level given most often; of several, the one nearest their mean, and of two as near, the lower one.
    mean: the mean rounded half up, as evaluation joins them. Both give the shares of the levels as probabilities.
    dawid_skene: the most likely true level (see there), estimated for each source by itself, since neither its people
    nor its use of the scale are those of another.
    """
    shares_PL = ratings.level_counts / ratings.level_counts.sum(axis=1, keepdims=True)
    if method == "majority":
        return Consensus(_most_frequent(ratings.level_counts), shares_PL)
    if method == "mean":
        means_P = (ratings.level_counts @ np.asarray(LEVELS)) / ratings.level_counts.sum(axis=1)
        return Consensus(np.floor(means_P + 0.5).astype(np.int64), shares_PL)
    return _by_source(ratings, settings)


def _most_frequent(counts_PL: Integers) -> Integers:
    means_P1 = expected_level(counts_PL / counts_PL.sum(axis=1, keepdims=True))[:, None]
    away_PL = np.round(np.abs(np.asarray(LEVELS) - means_P1), DIGITS)
    leading_PL = counts_PL == counts_PL.max(axis=1, keepdims=True)
    return np.asarray(np.where(leading_PL, away_PL, np.inf).argmin(axis=1) + 1, dtype=np.int64)


def _by_source(ratings: Ratings, settings: DawidSkeneSettings) -> Consensus:
    probabilities_PL = np.zeros((ratings.num_pairs, len(LEVELS)))
    estimates: dict[str, Estimate] = {}
    names: dict[str, tuple[str, ...]] = {}
    for source in np.unique(ratings.sources_P).tolist():
        chosen_P = ratings.sources_P == source
        own = ratings.of_pairs(chosen_P)
        numbers, annotators_N = np.unique(own.annotators_N, return_inverse=True)
        found = dawid_skene(own.pairs_N, annotators_N, own.levels_N, settings)
        if not found.converged:
            log.warning("source %s: Dawid-Skene has not converged in %d iterations", source, found.iterations)
        probabilities_PL[chosen_P] = found.probabilities_PL
        estimates[source] = found
        names[source] = tuple(own.names[number] for number in numbers)
    levels_P = most_likely_level(np.round(probabilities_PL, DIGITS))
    return Consensus(levels_P, probabilities_PL, estimates, names)
