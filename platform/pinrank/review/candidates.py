"""The pairs that could be reviewed: judged ones, and those that a model has graded.

Shape letters: N rows, P pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.annotators.ratings import Floats, Ratings, Strings, ordered, ratings
from pinrank.keys import hashes, rank_within
from pinrank.sampling.strata import UNKNOWN
from pinrank.text import normalise_query, pair_key

REVIEW = "review-"
"""How the judgment_id of an imported review begins."""

COLUMNS = ("pair_key", "query", "query_id", "query_locale", "pin_id", "source")
"""What is known of a pair; an unjudged one has no query_id."""


@dataclass(frozen=True)
class Candidates:
    """Pairs, with the lowest and the highest level that annotators gave them (nan where none did)."""

    pairs: pa.Table  # COLUMNS
    lowest_P: Floats
    highest_P: Floats
    num_annotators_P: Floats
    left_out: dict[str, int]

    @property
    def strata(self) -> Strings:
        """locale/source of each pair."""
        named = [pc.fill_null(self.pairs.column(name), UNKNOWN) for name in ("query_locale", "source")]
        return np.asarray(pc.binary_join_element_wise(*named, "/").to_pylist(), dtype=np.str_)


def candidates(
    judgments: pa.Table,
    graded: Sequence[pa.Table],
    pin_ids: pa.ChunkedArray,
    splits: Sequence[str],
    most: int,
    seed: int,
) -> Candidates:
    """Judged pairs of the splits, and graded ones (SOFT_LABELS) of no judged pair and of no query in another split.

    A pair whose pin is not among pin_ids cannot be shown and is left out, and so is one that was reviewed before. Of
    the unjudged pairs, the `most` with the smallest hashes are kept.
    """
    chosen = ordered(judgments.filter(pc.is_in(judgments.column("split"), pa.array(splits, pa.string()))))
    given = ratings(chosen)
    judged = _judged(chosen, given)
    unjudged, left_out = _unjudged(judgments, graded, splits, most, seed)
    pairs = pa.concat_tables([judged, unjudged])
    absent = np.full(unjudged.num_rows, np.nan)
    lowest, highest = (extreme.reduceat(given.levels_N, _firsts(given)) for extreme in (np.minimum, np.maximum))
    shown = pc.is_in(pairs.column("pin_id"), pin_ids.combine_chunks()).to_numpy()
    again = np.r_[_reviewed(chosen, given), np.zeros(unjudged.num_rows, dtype=bool)]
    left_out["pairs_without_pin_text"] = int((~shown).sum())
    left_out["pairs_reviewed_before"] = int((shown & again).sum())
    kept = np.flatnonzero(shown & ~again)
    return Candidates(
        pairs.take(pa.array(kept)),
        np.r_[lowest.astype(np.float64), absent][kept],
        np.r_[highest.astype(np.float64), absent][kept],
        np.r_[given.level_counts.sum(axis=1).astype(np.float64), np.zeros(unjudged.num_rows)][kept],
        left_out,
    )


def _judged(chosen: pa.Table, given: Ratings) -> pa.Table:
    rows = chosen.take(pa.array(_firsts(given), pa.int64()))
    keys = _keys(rows)
    return rows.append_column("pair_key", pa.array(keys, pa.string())).select(list(COLUMNS))


def _reviewed(chosen: pa.Table, given: Ratings) -> NDArray[np.bool_]:
    """Whether a pair has a review among its judgments, bool[P]."""
    reviews_N = pc.starts_with(chosen.column("judgment_id"), REVIEW).to_numpy()
    return np.asarray(np.bincount(given.pairs_N, reviews_N, minlength=given.num_pairs) > 0)


def _unjudged(
    judgments: pa.Table, graded: Sequence[pa.Table], splits: Sequence[str], most: int, seed: int
) -> tuple[pa.Table, dict[str, int]]:
    columns = [name for name in COLUMNS if name != "query_id"]
    rows = pa.concat_tables(
        [pa.schema([(name, pa.string()) for name in columns]).empty_table(), *(each.select(columns) for each in graded)]
    )
    first_of = {key: row for row, key in reversed(list(enumerate(rows.column("pair_key").to_pylist())))}
    for key in _keys(judgments):
        first_of.pop(key, None)
    elsewhere = {
        normalise_query(query)
        for query, split in zip(
            judgments.column("query").to_pylist(), judgments.column("split").to_pylist(), strict=True
        )
        if split not in splits
    }
    queries = rows.column("query").to_pylist()
    free = [row for row in first_of.values() if normalise_query(queries[row]) not in elsewhere]
    found = rows.take(pa.array(sorted(free), pa.int64()))
    order = hashes(found.column("pair_key").to_pylist(), seed)
    kept = np.flatnonzero(rank_within(np.zeros(len(order), dtype=np.int64), order) < most)
    left_out = {
        "unjudged_pairs_of_queries_in_other_splits": len(first_of) - len(free),
        "unjudged_pairs_beyond_the_limit": len(free) - len(kept),
    }
    found = found.take(pa.array(kept)).append_column("query_id", pa.nulls(len(kept), pa.string()))
    return found.select(list(COLUMNS)), left_out


def _firsts(given: Ratings) -> np.ndarray:
    """The row of each pair's first grade."""
    return np.searchsorted(given.pairs_N, np.arange(given.num_pairs))


def _keys(rows: pa.Table) -> list[str]:
    pairs = zip(rows.column("query").to_pylist(), rows.column("pin_id").to_pylist(), strict=True)
    return [pair_key(query, pin_id) for query, pin_id in pairs]
