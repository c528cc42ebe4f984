"""From usable impressions to rows of numbers: what a pair's place in the sample depends on, and nothing else.

A query, a pin and an event (an impression_id) are 64-bit hashes; among a hundred million pairs the chance that any two
are taken for one is 3 in 10,000, and then they count as one pair. Rows are numbers, so that ten million of them are
sorted in a second; the names come back at the end, for the few pairs that were chosen.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.keys import Hashes, Ints, column_hashes, groups, hashes, mixed
from pinrank.text import normalise_query
from pinrank.unseen import Unseen, among

NEVER, NOWHERE = np.int32(2**31 - 1), np.int32(2**31 - 1)
"""Stand for a day (since 1970) and a position that the log does not say; later and lower than any."""

_NAME = pa.dictionary(pa.int32(), pa.string())
SHOWN = pa.schema(
    [
        ("query", pa.uint64()),
        ("pin", pa.uint64()),
        ("event", pa.uint64()),
        ("day", pa.int32()),
        ("position", pa.int32()),
        ("judged", pa.bool_()),
        ("locale", _NAME),
        ("country", _NAME),
        ("source", _NAME),
    ]
)
QUERIES = pa.schema([("query", pa.uint64()), ("spelling", pa.string())])
PINS = pa.schema([("pin", pa.uint64()), ("pin_id", pa.string()), ("first_day", pa.int32())])


@dataclass(frozen=True)
class Days:
    """The log's first and last day, since 1970; None where no row says its time."""

    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Shown:
    """Rows (SHOWN), the names behind their hashes (QUERIES, PINS), impressions left out or flagged, and the days."""

    rows: pa.Table
    queries: pa.Table
    pins: pa.Table
    left_out: Counter[str]
    days: Days


def shown(impressions: pa.Table, forbidden: Unseen) -> Shown:
    """Usable rows of IMPRESSIONS as numbers. Queries of dev and test are left out; judged pairs are flagged: they count
    for their query's popularity, but are not sampled."""
    spelled = impressions.column("query").combine_chunks().dictionary_encode()
    spelled_N = spelled.indices.to_numpy()
    normal = [normalise_query(query) for query in spelled.dictionary.to_pylist()]
    query_D = hashes(normal, 0)
    query_N = query_D[spelled_N]
    held_out_N = np.fromiter((query in forbidden.queries for query in normal), bool, len(normal))[spelled_N]
    pin_N = column_hashes(impressions.column("pin_id"))
    judged_N = among(mixed(query_N, pin_N), forbidden.pairs) & ~held_out_N
    days = impressions.column("ts").cast(pa.date32()).cast(pa.int32())
    day_N = pc.fill_null(days, int(NEVER)).to_numpy()
    rows = pa.table(
        [
            pa.array(query_N),
            pa.array(pin_N),
            pa.array(column_hashes(impressions.column("impression_id"))),
            pa.array(day_N),
            pc.fill_null(impressions.column("position"), int(NOWHERE)),
            pa.array(judged_N),
            *(_named(impressions.column(name)) for name in ("query_locale", "country", "source")),
        ],
        schema=SHOWN,
    )
    kept = rows.filter(pa.array(~held_out_N)) if held_out_N.any() else rows
    queries = pa.table([pa.array(query_D), spelled.dictionary], schema=QUERIES)
    left_out = Counter(
        impressions_of_held_out_queries=int(held_out_N.sum()), impressions_already_judged=int(judged_N.sum())
    )
    pins = _pins(pin_N, impressions.column("pin_id"), day_N)
    return Shown(kept, queries, pins, left_out, Days(pc.min(days).as_py(), pc.max(days).as_py()))


def _pins(pin_N: Hashes, pin_ids: pa.ChunkedArray, day_N: Ints) -> pa.Table:
    order_N, starts_G = groups(pin_N)
    if not len(starts_G):
        return PINS.empty_table()
    rows_G = order_N[starts_G]
    first_G = np.minimum.reduceat(day_N[order_N], starts_G)
    return pa.table([pa.array(pin_N[rows_G]), pin_ids.take(pa.array(rows_G)), pa.array(first_G)], schema=PINS)


def _named(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks().dictionary_encode().cast(_NAME)
