"""Which pairs are worth a review: those whose grades are furthest apart, a share from each stratum.

Shape letters: P pairs, V voices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.annotators.ratings import Floats, Integers, Strings
from pinrank.keys import rank_within
from pinrank.sampling.allocation import allocate


class ChoiceSettings(BaseModel):
    """How many pairs are queued, and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(200, ge=1, description="pairs in the queue, at most")
    min_per_stratum: int = Field(5, ge=0, description="of each locale/source that has them; the rest by its share")
    max_per_query: int = Field(3, ge=1, description="pairs of one query")
    min_gap: float = Field(1.0, ge=0, le=4, description="levels between two voices that make a pair worth a review")


@dataclass(frozen=True)
class Disagreement:
    """How far the voices of each pair are apart."""

    gap_P: Floats  # in expected levels, 0..4; nan where fewer than two voices are heard
    between_P: Strings  # which two are furthest apart, e.g. "annotators, student"


def disagreement(lowest_P: Floats, highest_P: Floats, several_P: NDArray[np.bool_], **others_P: Floats) -> Disagreement:
    """The largest distance between two voices: each annotator by their own level, models by their expected level.

    lowest_P and highest_P are those of the annotators, and several_P says that there are two or more; a voice that
    says nothing is nan.
    """
    names = ("annotators", "annotators", *others_P)
    levels_VP = np.stack([lowest_P, highest_P, *others_P.values()])
    heard_P = (~np.isnan(levels_VP[1:])).sum(axis=0) + several_P
    low_P = np.where(np.isnan(levels_VP), np.inf, levels_VP).argmin(axis=0)
    high_P = np.where(np.isnan(levels_VP), -np.inf, levels_VP).argmax(axis=0)
    pairs = np.arange(levels_VP.shape[1])
    gap_P = np.where(heard_P > 1, levels_VP[high_P, pairs] - levels_VP[low_P, pairs], np.nan)
    both = [", ".join(sorted({names[low], names[high]})) for low, high in zip(low_P, high_P, strict=True)]
    return Disagreement(gap_P, np.asarray(both, dtype=np.str_))


def choose(
    gap_P: Floats, strata_P: Strings, queries_P: Strings, order_P: NDArray[np.uint64], settings: ChoiceSettings
) -> Integers:
    """The rows of the queued pairs, the furthest apart first; order_P decides between pairs that are as far apart.

    A query gives max_per_query pairs at most, those furthest apart; each stratum gives those of its pairs that are.
    """
    worth = np.flatnonzero(np.nan_to_num(gap_P, nan=-1.0) >= settings.min_gap)
    by_gap = np.lexsort((order_P[worth], -gap_P[worth]))
    rank_W = np.empty(len(worth), dtype=np.uint64)
    rank_W[by_gap] = np.arange(len(worth), dtype=np.uint64)
    of_query_W = np.unique(queries_P[worth], return_inverse=True)[1]
    allowed_W = rank_within(of_query_W, rank_W) < settings.max_per_query
    worth, rank_W = worth[allowed_W], rank_W[allowed_W]
    names, stratum_W = np.unique(strata_P[worth], return_inverse=True)
    available = dict(zip(names.tolist(), np.bincount(stratum_W, minlength=len(names)).tolist(), strict=True))
    floors = allocate({name: min(count, settings.min_per_stratum) for name, count in available.items()}, settings.size)
    left = {name: count - floors[name] for name, count in available.items()}
    rest = allocate(left, settings.size - sum(floors.values()))
    limits_W = np.asarray([floors[name] + rest[name] for name in names.tolist()], dtype=np.int64)[stratum_W]
    chosen_W = rank_within(stratum_W, rank_W) < limits_W
    return np.asarray(worth[chosen_W][np.argsort(rank_W[chosen_W])], dtype=np.int64)
