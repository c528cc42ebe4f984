"""The choice itself: from what the cells hold to the pairs that are taken, their weights, and what was done to whom."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.keys import codes, packed, rank_within
from pinrank.sampling.allocation import UNCERTAINTY_UNITS, Cell, Content, divide
from pinrank.sampling.settings import Wanted
from pinrank.sampling.strata import GROUPS
from pinrank.tables import SAMPLED_PAIRS
from pinrank.text import pair_key

ACTIVE = "active"


@dataclass(frozen=True)
class Choice:
    """Pairs taken for their score (TAKEN), what is left in the cells, and how many pairs each of these gives."""

    active: pa.Table
    left: dict[Cell, Content]
    takes: dict[Cell, int]
    without_active: dict[Cell, int]


def largest(taken: pa.Table, wanted: Wanted) -> pa.Table:
    """The rows of TAKEN with the largest scores, as many as the active choice takes."""
    most = round(wanted.active.share * wanted.size)
    return taken.sort_by([("score", "descending"), ("order", "ascending")]).slice(0, most).combine_chunks()


def choose(cells: Mapping[Cell, Content], best: pa.Table, wanted: Wanted) -> Choice:
    """Divide the sample; best: TAKEN of the `largest` scores, which are taken first."""
    left = dict(cells)
    for cell, content in _contents(best).items():
        left[cell] = left[cell] - content
    given = Counter(best.column("stratum").to_pylist())
    takes = divide(left, given, wanted.size - best.num_rows, wanted)
    return Choice(best, left, takes, divide(cells, {}, wanted.size, wanted) if best.num_rows else takes)


def pruned(taken: pa.Table, takes: Mapping[Cell, int]) -> pa.Table:
    """The rows of TAKEN with the smallest hashes of each cell, as many as the cell gives."""
    if not taken.num_rows:
        return taken
    cell_T = packed(taken.column("group").to_numpy(), codes(taken.column("stratum")))
    cells = zip(taken.column("group").to_pylist(), taken.column("stratum").to_pylist(), strict=True)
    limit_T = np.fromiter((takes[cell] for cell in cells), dtype=np.int64, count=taken.num_rows)
    ranks_T = rank_within(cell_T, taken.column("order").to_numpy())
    return taken.filter(pa.array(ranks_T < limit_T))


def weighted(choice: Choice, taken: pa.Table, spellings: pa.Table) -> pa.Table:
    """SAMPLED_PAIRS, sorted by pair_key; spellings (QUERIES) name every query that was taken.

    A pair's weight is the impressions that it stands for: an active pair stands for its own, any other for its share of
    its cell's; what cells without a chosen pair hold is added to the other cells of their stratum. So the weights of a
    stratum add up to its impressions.
    """
    rows = pa.concat_tables([choice.active, taken]).combine_chunks()
    shown_T = rows.column("shown").to_numpy().astype(np.float64)
    factor_T = np.r_[np.ones(choice.active.num_rows), _factors(choice.left, taken)]
    row = pc.index_in(rows.column("query"), spellings.column("query").combine_chunks())
    queries = spellings.column("spelling").take(row)
    keys = [
        pair_key(query, pin_id)
        for query, pin_id in zip(queries.to_pylist(), rows.column("pin_id").to_pylist(), strict=True)
    ]
    columns = {
        "pair_key": pa.array(keys, pa.string()),
        "query": queries,
        "query_locale": rows.column("locale"),
        "pin_id": rows.column("pin_id"),
        "source": rows.column("source"),
        "stratum": rows.column("stratum"),
        "weight": pa.array((shown_T * factor_T).astype(np.float32)),
    }
    sampled = pa.table([columns[name] for name in SAMPLED_PAIRS.schema.names], schema=SAMPLED_PAIRS.schema)
    return sampled.sort_by("pair_key").combine_chunks()


def report(choice: Choice, cells: Mapping[Cell, Content], taken: pa.Table) -> dict[str, object]:
    """What each stratum and group gave, and what the active choice did to the strata: pairs that each has, gives, gives
    for their score, and would give without the active choice."""
    active = Counter(choice.active.column("stratum").to_pylist())
    chosen = active + Counter(taken.column("stratum").to_pylist())
    of_groups = Counter(GROUPS[group] for group in taken.column("group").to_pylist())
    found: dict[str, object] = {"strata": dict(sorted(chosen.items())), "groups": dict(sorted(of_groups.items()))}
    if choice.active.num_rows:
        has, otherwise = Counter[str](), Counter[str]()
        for (_, stratum), content in cells.items():
            has[stratum] += content.pairs
        for (_, stratum), count in choice.without_active.items():
            otherwise[stratum] += count
        found[ACTIVE] = {
            name: {"has": has[name], "gives": chosen[name], "active": active[name], "without_active": otherwise[name]}
            for name in sorted(has)
        }
    return found


def _factors(left: Mapping[Cell, Content], taken: pa.Table) -> np.ndarray:
    """Impressions that one impression of each taken pair stands for."""
    cells = list(zip(taken.column("group").to_pylist(), taken.column("stratum").to_pylist(), strict=True))
    sampled, covered, held = Counter[Cell](), Counter[str](), Counter[str]()
    for cell, shown in zip(cells, taken.column("shown").to_pylist(), strict=True):
        sampled[cell] += shown
    for (group, stratum), content in left.items():
        held[stratum] += content.impressions
        covered[stratum] += content.impressions if sampled[group, stratum] else 0
    factors = {
        cell: left[cell].impressions / shown * held[cell[1]] / covered[cell[1]] for cell, shown in sampled.items()
    }
    return np.fromiter((factors[cell] for cell in cells), dtype=np.float64, count=len(cells))


def _contents(taken: pa.Table) -> dict[Cell, Content]:
    found: dict[Cell, Content] = {}
    for row in taken.select(["group", "stratum", "shown", "uncertainty"]).to_pylist():
        cell, uncertainty = (row["group"], row["stratum"]), row["uncertainty"]
        squares = (
            0 if uncertainty is None else int(np.rint(np.float64(np.float32(uncertainty)) ** 2 * UNCERTAINTY_UNITS))
        )
        one = Content(1, row["shown"], uncertainty is not None, squares)
        found[cell] = found.get(cell, Content()) + one
    return found
