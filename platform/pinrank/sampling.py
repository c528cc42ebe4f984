"""Which impressions are worth a label: a stratified sample that depends on the pairs and the seed alone.

Nothing depends on the order of the rows or on how they are split into files: every choice compares hashes of keys.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from pinrank.tables import SAMPLED_PAIRS
from pinrank.text import normalise_query, pair_key

HELD_OUT = ("dev", "test")
"""The splits whose queries must never be seen in training."""

UNKNOWN = "unknown"
"""Stands in a stratum's name for a locale or source that the log does not say."""


@dataclass(frozen=True)
class Sampled:
    """Sampled pairs, and the number of impressions that could not be sampled, by reason."""

    pairs: pa.Table
    left_out: dict[str, int]


def sample(
    impressions: pa.Table,
    judgments: pa.Table,
    *,
    size: int,
    seed: int = 0,
    max_per_query: int | None = None,
    min_per_stratum: int = 0,
) -> Sampled:
    """Choose query-pin pairs to be labelled.

    impressions: query, query_locale, pin_id, source. judgments: query, pin_id, split. A stratum is a locale and a
    source. Pairs that a human judged, and pairs of a dev or test query in any spelling, are never chosen; a query
    gives `max_per_query` pairs at most; a stratum gives at least `min_per_stratum` where it has them, and beyond that
    its share. Returns SAMPLED_PAIRS sorted by pair_key; within a stratum the weights add up to its impressions.
    """
    pairs, left_out = _unlabelled_pairs(impressions, judgments)
    order = hashes(pairs.column("pair_key").to_pylist(), seed)
    kept = np.ones(pairs.num_rows, dtype=bool)
    if max_per_query is not None:
        kept = rank_within(_codes(pairs.column("normal")), order) < max_per_query
    strata = pairs.column("stratum").to_numpy(zero_copy_only=False)
    names, codes = np.unique(strata, return_inverse=True)
    counts = np.bincount(codes[kept], minlength=len(names))
    takes = allocate(dict(zip(names.tolist(), counts.tolist(), strict=True)), size, min_per_stratum)
    limit = np.array([takes[name] for name in names.tolist()], dtype=np.int64)
    chosen = np.zeros(pairs.num_rows, dtype=bool)
    chosen[kept] = rank_within(codes[kept], order[kept]) < limit[codes[kept]]
    return Sampled(_weighted(pairs, codes, chosen, len(names)), left_out)


def allocate(available: Mapping[str, int], size: int, floor: int) -> dict[str, int]:
    """How many pairs each stratum gives: its floor first, then the rest in proportion to what it has left.

    The parts add up to min(size, all that is available) and no stratum gives more than it has. When the floors alone
    exceed the size, the floor is lowered to what fits. Ties go to the stratum whose name sorts first.
    """
    names = sorted(available)
    total = min(size, sum(available.values()))
    while floor > 0 and sum(min(floor, available[name]) for name in names) > total:
        floor -= 1
    given = {name: min(floor, available[name]) for name in names}
    left = {name: available[name] - given[name] for name in names}
    rest, pool = total - sum(given.values()), sum(left.values())
    if rest == 0:
        return given
    shares = {name: divmod(rest * left[name], pool) for name in names}
    for name in names:
        given[name] += shares[name][0]
    short = total - sum(given.values())
    for name in sorted(names, key=lambda name: (-shares[name][1], name))[:short]:
        given[name] += 1
    return given


def held_out_queries(judgments: pa.Table) -> frozenset[str]:
    """The normalised queries of the dev and test splits; judgments: query, split."""
    held = judgments.filter(pc.is_in(judgments.column("split"), pa.array(HELD_OUT)))
    return frozenset(normalise_query(query) for query in held.column("query").unique().to_pylist())


def hashes(keys: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """A hash of each key that looks random, is the same on every machine and changes with the seed (xxh3, 64 bits)."""
    return np.fromiter((xxhash.xxh3_64_intdigest(key.encode(), seed) for key in keys), dtype=np.uint64)


def capped_by_source(judgments: pa.Table, most: int | None) -> pa.Table:
    """At most `most` judgments of each source, those with the smallest hashes of their ids; None: all.

    judgments: judgment_id, source. Which ones does not depend on the order of the rows.
    """
    if most is None:
        return judgments
    _, sources = np.unique(np.asarray(judgments.column("source").to_pylist()), return_inverse=True)
    order = hashes(judgments.column("judgment_id").to_pylist(), 0)
    return judgments.take(np.flatnonzero(rank_within(sources, order) < most))


def rank_within(codes: NDArray[np.integer], order: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The place 0, 1, ... of each row among the rows of its code when these are sorted by `order`."""
    by_code = np.lexsort((order, codes))
    sorted_codes = codes[by_code]
    starts = np.flatnonzero(np.r_[True, sorted_codes[1:] != sorted_codes[:-1]]) if len(codes) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(codes)])
    ranks = np.empty(len(codes), dtype=np.int64)
    ranks[by_code] = np.arange(len(codes)) - np.repeat(starts, lengths)
    return ranks


def _unlabelled_pairs(impressions: pa.Table, judgments: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    queries = impressions.column("query").to_pylist()
    pin_ids = impressions.column("pin_id").to_pylist()
    normal_of = {query: normalise_query(query) for query in set(queries)}
    keys = [pair_key(query, pin_id) for query, pin_id in zip(queries, pin_ids, strict=True)]
    keyed = impressions.select(["query", "query_locale", "pin_id", "source"])
    keyed = keyed.append_column("normal", pa.array([normal_of[query] for query in queries], pa.string()))
    keyed = keyed.append_column("pair_key", pa.array(keys, pa.string()))
    held_out = pc.is_in(keyed.column("normal"), pa.array(sorted(held_out_queries(judgments)), pa.string()))
    judged = pc.and_not(pc.is_in(keyed.column("pair_key"), _judged_keys(judgments)), held_out)
    left_out = {
        "impressions_of_held_out_queries": pc.sum(held_out).as_py() or 0,
        "impressions_already_judged": pc.sum(judged).as_py() or 0,
    }
    return _distinct(keyed.filter(pc.invert(pc.or_(held_out, judged)))), left_out


def _judged_keys(judgments: pa.Table) -> pa.Array:
    pairs = zip(judgments.column("query").to_pylist(), judgments.column("pin_id").to_pylist(), strict=True)
    return pa.array(sorted({pair_key(query, pin_id) for query, pin_id in pairs}), pa.string())


def _distinct(keyed: pa.Table) -> pa.Table:
    """One row a pair; the smallest spelling, locale and source stand for all, so that no order matters."""
    attributes = ("query", "query_locale", "pin_id", "source", "normal")
    grouped = keyed.group_by("pair_key").aggregate([*((name, "min") for name in attributes), ([], "count_all")])
    pairs = grouped.rename_columns([name.removesuffix("_min") for name in grouped.column_names]).sort_by("pair_key")
    named = [pc.fill_null(pairs.column(name), UNKNOWN) for name in ("query_locale", "source")]
    return pairs.append_column("stratum", pc.binary_join_element_wise(*named, "/"))


def _weighted(pairs: pa.Table, codes: NDArray[np.int64], chosen: NDArray[np.bool_], num_strata: int) -> pa.Table:
    shown = pairs.column("count_all").to_numpy().astype(np.float64)
    in_stratum = np.bincount(codes, weights=shown, minlength=num_strata)
    in_sample = np.bincount(codes[chosen], weights=shown[chosen], minlength=num_strata)
    share = np.divide(in_stratum, in_sample, out=np.ones(num_strata), where=in_sample > 0)
    weight = pa.array((shown * share[codes])[chosen].astype(np.float32))
    sampled = pairs.filter(pa.array(chosen)).append_column("weight", weight)
    return sampled.select(SAMPLED_PAIRS.schema.names).cast(SAMPLED_PAIRS.schema)


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.index_in(column, column.unique()).to_numpy(), dtype=np.int64)
