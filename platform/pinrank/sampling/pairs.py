"""From rows of impressions to pairs, each once, with what its stratum depends on.

Letters: N rows, E events, P pairs, Q queries, D distinct names.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.keys import Hashes, Ints, dense, groups, mixed, rank_within
from pinrank.sampling.settings import GuaranteeSettings, Wanted
from pinrank.sampling.shown import NEVER, SHOWN, Days

PAIRS = pa.schema(
    [
        ("pair", pa.uint64()),
        ("query", pa.uint64()),
        ("pin", pa.uint64()),
        ("shown", pa.int64()),
        ("position", pa.int32()),
        ("volume", pa.int64()),
        ("trending", pa.bool_()),
        ("locale", SHOWN.field("locale").type),
        ("country", SHOWN.field("country").type),
        ("source", SHOWN.field("source").type),
        ("uncertainty", pa.float32()),
        ("disagreement", pa.float32()),
    ]
)
"""A pair: times shown, best position, its query's impressions, whether that trends, what models said of it, if any."""

SCORES = pa.schema(
    [("query", pa.uint64()), ("pin", pa.uint64()), ("uncertainty", pa.float32()), ("disagreement", pa.float32())]
)


@dataclass(frozen=True)
class Found:
    """Pairs that may be sampled (PAIRS), how many queries have each volume, and repeated events."""

    pairs: pa.Table
    volumes: Counter[int]
    repeated: int


@dataclass(frozen=True)
class _Once:
    """Each event once; rows order_N brings a pair's rows together, and pairs begin at starts_P."""

    order_N: Ints
    starts_P: Ints
    pair_E: Hashes
    query_E: Hashes
    day_E: Ints


def pairs_of(rows: pa.Table, scores: pa.Table, days: Days, wanted: Wanted) -> Found:
    """All rows (SHOWN) of some queries → their pairs, at most `max_per_query` of a query, those with the smallest
    hashes. An event that was logged twice for a pair counts once; the smallest of all that its rows say stands for it.

    scores (SCORES): what models said of these queries' pairs; of several rows of a pair, the largest.
    """
    once = _once(rows)
    if not len(once.starts_P):
        return Found(PAIRS.empty_table(), Counter(), 0)
    first_P = once.order_N[once.starts_P]
    query_P = rows.column("query").to_numpy()[first_P]
    pin_P = rows.column("pin").to_numpy()[first_P]
    pair_P = mixed(query_P, pin_P)
    _, shown_P = np.unique(once.pair_E, return_counts=True)
    volume_Q, trending_Q, which_P = _queries(once, query_P, days, wanted.guarantees)
    uncertainty, disagreement = _scored(pair_P, scores)
    columns = {
        "pair": pair_P,
        "query": query_P,
        "pin": pin_P,
        "shown": shown_P,
        "position": np.minimum.reduceat(rows.column("position").to_numpy()[once.order_N], once.starts_P),
        "volume": volume_Q[which_P],
        "trending": trending_Q[which_P],
        **{name: _smallest(rows.column(name), once) for name in ("locale", "country", "source")},
        "uncertainty": uncertainty,
        "disagreement": disagreement,
    }
    pairs = pa.table([pa.array(columns[name]) for name in PAIRS.names], schema=PAIRS)
    judged_P = rows.column("judged").to_numpy()[first_P]
    kept = pairs.filter(pa.array(~judged_P)) if judged_P.any() else pairs
    kept = capped(kept, "query", wanted.max_per_query, wanted.seed)
    return Found(kept, Counter(volume_Q.tolist()), rows.num_rows - len(once.pair_E))


def capped(pairs: pa.Table, by: str, most: int | None, seed: int) -> pa.Table:
    """At most so many PAIRS with the same value of a column, those with the smallest hashes; None: all."""
    if most is None:
        return pairs
    ranks_P = rank_within(dense(pairs.column(by).to_numpy()), order_of(pairs, seed))
    return pairs.filter(pa.array(ranks_P < most))


def order_of(pairs: pa.Table, seed: int) -> Hashes:
    """The hash by which a pair is preferred to others; another seed prefers others."""
    return mixed(pairs.column("pair").to_numpy(), np.uint64(seed))


def _once(rows: pa.Table) -> _Once:
    query_N, pin_N = rows.column("query").to_numpy(), rows.column("pin").to_numpy()
    pair_N = mixed(query_N, pin_N)
    order_N, starts_P = groups(pair_N)
    by_event_N, starts_E = groups(mixed(pair_N, rows.column("event").to_numpy()))
    if not len(starts_E):
        return _Once(order_N, starts_P, pair_N, query_N, rows.column("day").to_numpy())
    rows_E = by_event_N[starts_E]
    day_E = np.minimum.reduceat(rows.column("day").to_numpy()[by_event_N], starts_E)
    return _Once(order_N, starts_P, pair_N[rows_E], query_N[rows_E], day_E)


def _queries(once: _Once, query_P: Hashes, days: Days, guarantees: GuaranteeSettings) -> tuple[Ints, np.ndarray, Ints]:
    """Of each query in the order of the hashes: impressions, whether it trends; and which query each pair has."""
    queries_Q, which_E, volume_Q = np.unique(once.query_E, return_inverse=True, return_counts=True)
    trending_Q = np.zeros(len(queries_Q), dtype=bool)
    recent_days, trailing_days = guarantees.trending_days, guarantees.trailing_days
    if days.last is not None and days.first is not None and days.last - days.first >= recent_days:
        since, before = days.last - recent_days, days.last - recent_days - trailing_days
        recent_E = (once.day_E > since) & (once.day_E != NEVER)
        trailing_E = (once.day_E > before) & (once.day_E <= since)
        recent_Q = np.bincount(which_E[recent_E], minlength=len(queries_Q))
        trailing_Q = np.bincount(which_E[trailing_E], minlength=len(queries_Q))
        known_days = min(trailing_days, since - days.first + 1)
        usual_Q = trailing_Q / known_days * recent_days
        trending_Q = (recent_Q >= guarantees.trending_volume) & (recent_Q >= guarantees.trending_ratio * usual_Q)
    return volume_Q.astype(np.int64), trending_Q, np.searchsorted(queries_Q, query_P)


def _smallest(column: pa.ChunkedArray, once: _Once) -> pa.Array:
    """The smallest name of each pair's rows; null only where no row says one."""
    encoded = column.combine_chunks()
    order_D = pc.array_sort_indices(encoded.dictionary).to_numpy()
    ranks_D = np.empty(len(order_D) + 1, dtype=np.int32)
    ranks_D[order_D] = np.arange(len(order_D))
    ranks_D[-1] = len(order_D)
    ranks_N = ranks_D[pc.fill_null(encoded.indices, len(order_D)).to_numpy()]
    least_P = np.minimum.reduceat(ranks_N[once.order_N], once.starts_P)
    indices = pa.array(least_P, pa.int32(), mask=least_P == len(order_D))
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary.take(pa.array(order_D)))


def _scored(pair_P: Hashes, scores: pa.Table) -> tuple[pa.Array, pa.Array]:
    if not scores.num_rows:
        return pa.nulls(len(pair_P), pa.float32()), pa.nulls(len(pair_P), pa.float32())
    pair_S = mixed(scores.column("query").to_numpy(), scores.column("pin").to_numpy())
    keyed = pa.table({"pair": pair_S, "u": scores.column("uncertainty"), "d": scores.column("disagreement")})
    largest = keyed.group_by("pair").aggregate([("u", "max"), ("d", "max")]).combine_chunks()
    row = pc.index_in(pa.array(pair_P), largest.column("pair").combine_chunks())
    return tuple(largest.column(name).take(row).combine_chunks() for name in ("u_max", "d_max"))
