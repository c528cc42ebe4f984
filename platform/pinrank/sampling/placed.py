"""Pairs of some pins in their cells, and which of them are taken. Letters: P pairs, C cells."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.keys import Hashes, Ints, groups, packed, rank_within
from pinrank.sampling.allocation import UNCERTAINTY_UNITS, Cell, Content
from pinrank.sampling.pairs import capped, order_of
from pinrank.sampling.settings import Wanted
from pinrank.sampling.shown import Days
from pinrank.sampling.strata import Popularity, groups_of, strata_of
from pinrank.unseen import among

TAKEN = pa.schema(
    [
        ("group", pa.int64()),
        ("stratum", pa.string()),
        ("order", pa.uint64()),
        ("query", pa.uint64()),
        ("pin_id", pa.string()),
        ("shown", pa.int64()),
        ("locale", pa.string()),
        ("source", pa.string()),
        ("score", pa.float32()),
        ("uncertainty", pa.float32()),
    ]
)
"""A pair that is, or may be, part of the sample; those of a cell with the smallest `order` are preferred."""


@dataclass(frozen=True)
class Placed:
    """Pairs (PAIRS) with what they are chosen by; cell_P: which of `cells` each is in."""

    pairs: pa.Table
    pin_ids: pa.Array
    cells: list[Cell]
    cell_P: Ints
    order_P: Hashes


def placed(pairs: pa.Table, pins: pa.Table, bands: Popularity, days: Days, wanted: Wanted) -> Placed:
    """All PAIRS of some pins (PINS, repeated or not), at most `max_per_pin` of each, in their cells."""
    pairs = capped(pairs, "pin", wanted.max_per_pin, wanted.seed)
    order_N, starts_G = groups(pins.column("pin").to_numpy())
    first_G = pins.column("first_day").to_numpy()[order_N]
    first_G = np.minimum.reduceat(first_G, starts_G) if len(starts_G) else first_G
    known_G = pins.column("pin").to_numpy()[order_N[starts_G]]
    which_P = np.searchsorted(known_G, pairs.column("pin").to_numpy())
    group_P = groups_of(pairs, first_G[which_P], days, wanted.guarantees)
    strata, stratum_P = strata_of(pairs, bands, wanted.strata)
    combined, cell_P = np.unique(packed(stratum_P, group_P), return_inverse=True)
    span = int(group_P.max(initial=0)) + 1
    cells = [(code % span, strata[code // span]) for code in combined.tolist()]
    pin_ids = pins.column("pin_id").take(pa.array(order_N[starts_G][which_P]))
    return Placed(pairs, pin_ids, cells, cell_P, order_of(pairs, wanted.seed))


def contents(found: Placed) -> dict[Cell, Content]:
    """What each cell holds."""
    uncertainty = found.pairs.column("uncertainty")
    scored_P = np.asarray(pc.is_valid(uncertainty).to_numpy(), dtype=bool)
    units_P = np.square(pc.fill_null(uncertainty, 0.0).to_numpy().astype(np.float64)) * UNCERTAINTY_UNITS
    columns = [
        np.ones(len(found.cell_P)),
        found.pairs.column("shown").to_numpy(),
        scored_P,
        np.rint(units_P),
    ]
    sums = [np.bincount(found.cell_P, weights=column, minlength=len(found.cells)) for column in columns]
    rows = zip(*(each.astype(np.int64).tolist() for each in sums), strict=True)
    return {cell: Content(*row) for cell, row in zip(found.cells, rows, strict=True)}


def highest(found: Placed, most: int, by: str) -> pa.Table:
    """TAKEN: the pairs with the largest scores, at most so many; a pair without a score is none of them."""
    scores = found.pairs.column(by)
    scored = np.flatnonzero(pc.is_valid(scores).to_numpy())
    if not most or not len(scored):
        return TAKEN.empty_table()
    value_S = scores.to_numpy()[scored]
    best = scored[np.lexsort((found.order_P[scored], -value_S))[:most]]
    return _taken(found, best, scores)


def lowest(found: Placed, takes: Mapping[Cell, int], active: Hashes) -> pa.Table:
    """TAKEN: the pairs of each cell with the smallest hashes, as many as the cell gives, without the active ones.

    active: the `order` (sorted) of pairs that are taken already.
    """
    free = np.flatnonzero(~among(found.order_P, active))
    limit_C = np.array([takes.get(cell, 0) for cell in found.cells], dtype=np.int64)
    cell_F = found.cell_P[free]
    rows = free[rank_within(cell_F, found.order_P[free]) < limit_C[cell_F]] if len(free) else free
    return _taken(found, rows, pa.nulls(found.pairs.num_rows, pa.float32()))


def _taken(found: Placed, rows: Ints, scores: pa.Array | pa.ChunkedArray) -> pa.Table:
    chosen, where = found.pairs.take(pa.array(rows)), found.cell_P[rows].tolist()
    columns = {
        "group": [found.cells[cell][0] for cell in where],
        "stratum": [found.cells[cell][1] for cell in where],
        "order": pa.array(found.order_P[rows]),
        "pin_id": found.pin_ids.take(pa.array(rows)),
        "score": scores.take(pa.array(rows)),
    }
    for name in ("query", "shown", "uncertainty"):
        columns[name] = chosen.column(name)
    for name in ("locale", "source"):
        columns[name] = chosen.column(name).cast(pa.string())
    return pa.table([columns[name] for name in TAKEN.names], schema=TAKEN)
