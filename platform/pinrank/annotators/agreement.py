"""How far annotators agree: Krippendorff's alpha, and Cohen's kappa of every two that graded the same pairs.

Shape letters: N grades, P pairs, U kinds of pairs, R resamples, A annotators, L = 5 levels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, triu
from sklearn.metrics import cohen_kappa_score

from pinrank.annotators.ratings import Floats, Integers, Ratings
from pinrank.evaluation.significance import interval
from pinrank.levels import LEVELS

Distance = Literal["ordinal", "interval"]
"""Of two levels: by how many grades lie between them, or by the difference of their numbers."""


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha and its 95% interval; None where it is undefined."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Kappa:
    """Quadratic weighted kappa of two annotators on the pairs that both graded."""

    first: str
    second: str
    num_pairs: int
    kappa: float | None  # None where both gave one and the same level throughout


@dataclass(frozen=True)
class Profile:
    """One annotator beside the others."""

    name: str
    num_pairs: int
    num_shared: int  # pairs that somebody else graded too
    mean_level: float
    above_others: float | None  # mean of (own level - mean of the others' levels) over shared pairs, in levels
    same_as_others: float | None  # share of the others' grades of shared pairs that are the same


@dataclass(frozen=True)
class Agreement:
    """Everything that is said of one set of pairs."""

    name: str
    num_pairs: int
    num_shared: int  # pairs with two grades or more: alpha is about these alone
    num_grades: int
    alpha_ordinal: Alpha
    alpha_interval: Alpha
    kappas: tuple[Kappa, ...]
    profiles: tuple[Profile, ...]


def agreement(name: str, ratings: Ratings, min_overlap: int, num_resamples: int, seed: int) -> Agreement:
    """Measure one set of pairs; kappas are of annotators with min_overlap pairs in common, the largest first."""
    counts_PL = ratings.level_counts
    return Agreement(
        name=name,
        num_pairs=ratings.num_pairs,
        num_shared=int((counts_PL.sum(axis=1) > 1).sum()),
        num_grades=len(ratings.levels_N),
        alpha_ordinal=alpha_with_interval(counts_PL, "ordinal", num_resamples, seed),
        alpha_interval=alpha_with_interval(counts_PL, "interval", num_resamples, seed),
        kappas=kappas(ratings, min_overlap),
        profiles=profiles(ratings),
    )


def alpha_with_interval(counts_PL: Integers, distance: Distance, num_resamples: int, seed: int) -> Alpha:
    """Alpha, and a percentile interval from a bootstrap over the pairs that have two grades or more.

    Pairs with the same counts are of one kind, and a resample of P pairs draws each kind a multinomial number of
    times: the same bootstrap as over the pairs themselves, in memory that does not grow with them.
    """
    shared_PL = counts_PL[counts_PL.sum(axis=1) > 1]
    kinds_UL, times_U = np.unique(shared_PL, axis=0, return_counts=True)
    (value,) = alpha(kinds_UL, times_U[None, :], distance)
    if np.isnan(value):
        return Alpha(None, None)
    draws_RU = np.random.default_rng(seed).multinomial(len(shared_PL), times_U / len(shared_PL), size=num_resamples)
    low, high = interval(alpha(kinds_UL, draws_RU, distance))
    return Alpha(float(value), None if np.isnan(low) else (low, high))


def alpha(kinds_UL: Integers, times_RU: Integers, distance: Distance) -> Floats:
    """Krippendorff's alpha of R sets of pairs, float64[R]; 1 is agreement, 0 is chance.

    kinds_UL: the counts of the levels in a pair of each kind, two grades or more in all; times_RU: how many pairs of a
    kind are in each set. nan where a set holds no pair, or one level only. Source: Krippendorff, Computing
    Krippendorff's Alpha-Reliability (2011), section E, with the ordinal and interval differences of its section 6.
    """
    grades_U = kinds_UL.sum(axis=1)
    beside_ULL = kinds_UL[:, :, None] * (kinds_UL[:, None, :] - np.eye(len(LEVELS), dtype=np.int64))
    coincidences_ULL = beside_ULL / (grades_U - 1)[:, None, None]
    observed_RLL = np.einsum("ru,ukl->rkl", times_RU.astype(np.float64), coincidences_ULL)
    levels_RL = observed_RLL.sum(axis=2)
    squared_RLL = _squared_distances(levels_RL, distance)
    total_R = levels_RL.sum(axis=1)
    disagreement_R = (total_R - 1) * (observed_RLL * squared_RLL).sum(axis=(1, 2))
    chance_R = (levels_RL[:, :, None] * levels_RL[:, None, :] * squared_RLL).sum(axis=(1, 2))
    defined_R = chance_R > 0
    return np.where(defined_R, 1 - disagreement_R / np.where(defined_R, chance_R, 1.0), np.nan)


def kappas(ratings: Ratings, min_overlap: int) -> tuple[Kappa, ...]:
    """Quadratic weighted kappa (Cohen 1968) of every two named annotators with so many pairs in common."""
    named_N = ratings.is_named
    annotators, pairs = ratings.annotators_N[named_N], ratings.pairs_N[named_N]
    size = (len(ratings.names), ratings.num_pairs)
    graded_AP = csr_array((ratings.levels_N[named_N], (annotators, pairs)), shape=size)
    once_AP = graded_AP.astype(bool).astype(np.int64)
    overlaps = triu(once_AP @ once_AP.T, k=1).tocoo()
    enough = overlaps.data >= min_overlap
    both_found = zip(*(axis[enough].tolist() for axis in overlaps.coords), strict=True)
    found = [_kappa(graded_AP, ratings.names, first, second) for first, second in both_found]
    return tuple(sorted(found, key=lambda each: (-each.num_pairs, each.first, each.second)))


def profiles(ratings: Ratings) -> tuple[Profile, ...]:
    """Every named annotator beside the others, by name."""
    counts_PL = ratings.level_counts
    grades_N = counts_PL.sum(axis=1)[ratings.pairs_N]
    shared_N = grades_N > 1
    others_N = np.maximum(grades_N - 1, 1)
    sums_N = (counts_PL @ np.asarray(LEVELS))[ratings.pairs_N]
    above_N = ratings.levels_N - (sums_N - ratings.levels_N) / others_N
    same_N = counts_PL[ratings.pairs_N, ratings.levels_N - 1] - 1
    found = []
    for number in np.unique(ratings.annotators_N[ratings.is_named]):
        own_N = ratings.annotators_N == number
        both_N = own_N & shared_N
        found.append(
            Profile(
                name=ratings.names[number],
                num_pairs=int(own_N.sum()),
                num_shared=int(both_N.sum()),
                mean_level=float(ratings.levels_N[own_N].mean()),
                above_others=float(above_N[both_N].mean()) if both_N.any() else None,
                same_as_others=float(same_N[both_N].sum() / others_N[both_N].sum()) if both_N.any() else None,
            )
        )
    return tuple(found)


def _squared_distances(levels_RL: Floats, distance: Distance) -> NDArray[np.float64]:
    """float64[R, L, L]. The ordinal one counts the grades from the middle of one level to the middle of the other."""
    if distance == "interval":
        places_RL = np.broadcast_to(np.asarray(LEVELS, dtype=np.float64), levels_RL.shape)
    else:
        places_RL = np.cumsum(levels_RL, axis=1) - levels_RL / 2
    return np.asarray((places_RL[:, :, None] - places_RL[:, None, :]) ** 2)


def _kappa(graded_AP: csr_array, names: tuple[str, ...], first: int, second: int) -> Kappa:
    one, other = graded_AP[[first]], graded_AP[[second]]
    _, of_one, of_other = np.intersect1d(one.indices, other.indices, assume_unique=True, return_indices=True)
    levels, others = one.data[of_one], other.data[of_other]
    value = None
    if len(np.unique(np.r_[levels, others])) > 1:
        value = float(cohen_kappa_score(levels, others, labels=LEVELS, weights="quadratic"))
    return Kappa(names[first], names[second], len(levels), value)
