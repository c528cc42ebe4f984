"""Which stratum and which group a pair belongs to."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.keys import Ints, packed
from pinrank.sampling.settings import GuaranteeSettings, StrataSettings
from pinrank.sampling.shown import NEVER, NOWHERE, Days

UNKNOWN = "unknown"
"""Stands in a stratum's name for what the log does not say."""

FRESH, TRENDING, BOTH, REST = 0, 1, 2, 3
"""Groups of pairs: of a fresh pin, of a trending query, of both, all others."""
GROUPS = ("fresh", "trending", "fresh_and_trending", "rest")


@dataclass(frozen=True)
class Popularity:
    """A query with so many impressions belongs to the head, or else to the torso; the others are the tail."""

    head_from: int
    torso_from: int


def popularity(volumes: Counter[int], settings: StrataSettings) -> Popularity:
    """The bands of a log in which volumes[v] queries have v impressions.

    Queries come in order of their impressions, and those with the same number together: to the head belongs whoever
    comes before `head_share` of all impressions is reached, to the torso whoever comes before head and torso share are.
    """
    total = sum(volume * count for volume, count in volumes.items())
    seen, head_from, torso_from = 0, 0, 0
    for volume in sorted(volumes, reverse=True):
        if seen < settings.head_share * total:
            head_from = volume
        if seen < (settings.head_share + settings.torso_share) * total:
            torso_from = volume
        seen += volume * volumes[volume]
    return Popularity(head_from, torso_from)


def strata_of(pairs: pa.Table, bands: Popularity, settings: StrataSettings) -> tuple[list[str], Ints]:
    """The names of the strata that PAIRS lie in, sorted, and which each pair lies in."""
    values, codes = zip(*(_dimension(pairs, name, bands, settings) for name in settings.by), strict=True)
    combined_P = packed(*codes)
    _, first_S, which_P = np.unique(combined_P, return_index=True, return_inverse=True)
    names = ["/".join(value[code[row]] for value, code in zip(values, codes, strict=True)) for row in first_S.tolist()]
    order_S = np.argsort(np.array(names, dtype=np.str_)) if names else np.zeros(0, dtype=np.int64)
    place_S = np.empty(len(order_S), dtype=np.int64)
    place_S[order_S] = np.arange(len(order_S))
    return [names[place] for place in order_S.tolist()], place_S[which_P]


def groups_of(pairs: pa.Table, first_day_P: Ints, days: Days, guarantees: GuaranteeSettings) -> Ints:
    """The group of each pair; first_day_P: when its pin was first shown.

    Nothing is fresh in a log that is no longer than `fresh_days`: it cannot tell.
    """
    fresh_P = np.zeros(pairs.num_rows, dtype=bool)
    if days.last is not None and days.first is not None and days.last - days.first >= guarantees.fresh_days:
        fresh_P = (first_day_P > days.last - guarantees.fresh_days) & (first_day_P != NEVER)
    trending_P = np.array(pairs.column("trending").to_numpy(), dtype=bool)
    return np.select([fresh_P & trending_P, fresh_P, trending_P], [BOTH, FRESH, TRENDING], REST).astype(np.int64)


def _dimension(pairs: pa.Table, name: str, bands: Popularity, settings: StrataSettings) -> tuple[list[str], Ints]:
    """The values of a dimension, and which each pair has."""
    if name == "popularity":
        volume_P = pairs.column("volume").to_numpy()
        code_P = np.where(volume_P >= bands.head_from, 0, np.where(volume_P >= bands.torso_from, 1, 2))
        return ["head", "torso", "tail"], code_P.astype(np.int64)
    if name == "position":
        return _positions(pairs.column("position").to_numpy(), settings.position_bands)
    encoded = pairs.column(name).combine_chunks()
    values = encoded.dictionary.to_pylist()
    code_P = pc.fill_null(encoded.indices, len(values)).to_numpy().astype(np.int64)
    return [*values, UNKNOWN], code_P


def _positions(position_P: NDArray[np.int32], bands: tuple[int, ...]) -> tuple[list[str], Ints]:
    starts = [1, *(band + 1 for band in bands)]
    names = [f"{start}-{stop}" for start, stop in zip(starts, bands, strict=False)] + [f"{starts[-1]}+", UNKNOWN]
    code_P = np.searchsorted(np.array(bands, dtype=np.int64), position_P, side="left")
    return names, np.where(position_P == NOWHERE, len(names) - 1, code_P).astype(np.int64)
