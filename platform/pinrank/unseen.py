"""What of a log must not be seen: judged pairs are not sampled, and their queries do not leak into their pins' texts.

1. A query of dev or test, in any spelling, counts for no pin.
2. The query of a judged pair, of any split, does not count for that pair's pin: the query tokens and the link text that
   a pair is trained or tested on are the same, letter by letter, as if nobody had ever engaged with the pin after that
   query. Titles of boards are not covered: their evidence does not keep the query before a save.
3. Pairs that are sampled later are not known yet. For them `min_queries` holds: a token stands in a text only with so
   many distinct queries behind it, so that none is there for one query alone.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.keys import Hashes, hashes, mixed, repeated_hashes
from pinrank.text import normalise_id, normalise_query

HELD_OUT = ("dev", "test")
"""The splits whose queries must never be seen in training."""


@dataclass(frozen=True)
class Unseen:
    """Normalised queries that count nowhere, and hashes (sorted) of the (query, pin) pairs that do not count."""

    queries: frozenset[str]
    pairs: Hashes


NOTHING = Unseen(frozenset(), np.zeros(0, dtype=np.uint64))


def unseen(judgments: pa.Table) -> Unseen:
    """What the judgments (query, pin_id, split) forbid."""
    distinct = judgments.select(["query", "pin_id"]).group_by(["query", "pin_id"]).aggregate([])
    queries = [normalise_query(query) for query in distinct.column("query").to_pylist()]
    pin_ids = [normalise_id(pin_id) for pin_id in distinct.column("pin_id").to_pylist()]
    return Unseen(held_out_queries(judgments), np.unique(mixed(hashes(queries, 0), hashes(pin_ids, 0))))


def held_out_queries(judgments: pa.Table) -> frozenset[str]:
    """The normalised queries of the dev and test splits; judgments: query, split."""
    held = judgments.filter(pc.is_in(judgments.column("split"), pa.array(HELD_OUT)))
    return frozenset(normalise_query(query) for query in held.column("query").unique().to_pylist())


def of_queries(queries: pa.ChunkedArray, wanted: frozenset[str]) -> NDArray[np.bool_]:
    """Which rows, in any spelling, have one of some normalised queries: bool[N]."""
    if not wanted:
        return np.zeros(len(queries), dtype=bool)
    distinct = queries.unique()
    is_wanted_U = np.asarray([normalise_query(query) in wanted for query in distinct.to_pylist()], dtype=bool)
    return np.asarray(is_wanted_U[pc.index_in(queries, value_set=distinct).to_numpy()], dtype=bool)


def may_be_seen(pin_ids: pa.ChunkedArray, queries: pa.ChunkedArray, forbidden: Unseen) -> NDArray[np.bool_]:
    """Which (pin, normalised query) rows count."""
    held_out = pc.is_in(queries, pa.array(sorted(forbidden.queries), pa.string()))
    seen_N = np.asarray(pc.invert(held_out).to_numpy(), dtype=bool)
    if not len(forbidden.pairs):
        return seen_N
    return seen_N & ~among(mixed(repeated_hashes(queries), repeated_hashes(pin_ids)), forbidden.pairs)


def among(values_N: Hashes, sorted_M: Hashes) -> NDArray[np.bool_]:
    """Which values are in a sorted array."""
    if not len(sorted_M):
        return np.zeros(len(values_N), dtype=bool)
    places_N = np.minimum(np.searchsorted(sorted_M, values_N), len(sorted_M) - 1)
    return np.asarray(sorted_M[places_N] == values_N)
