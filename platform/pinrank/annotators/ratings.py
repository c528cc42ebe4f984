"""Who gave which pair which level, as numbered columns in an order that no file decides.

Shape letters: N grades, P pairs, A annotators, L = 5 levels. A pair is one (source, query_id, pin_id), as everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.datasets.relevance import AGGREGATE
from pinrank.faults import Fault, fault
from pinrank.levels import NUM_LEVELS
from pinrank.sampling.strata import UNKNOWN

PAIR = ("source", "query_id", "pin_id")
"""The columns that name a judged pair."""

UNNAMED = ""
"""Stands for whoever gave a grade without a name, or together with others; it is nobody's habit, and yet a grade."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Ratings:
    """Grades of pairs 0..P-1 by annotators 0..A-1, sorted by pair and annotator."""

    pairs_N: Integers
    annotators_N: Integers
    levels_N: Integers  # 1..5
    names: tuple[str, ...]  # of the annotators
    sources_P: Strings
    locales_P: Strings  # of the query

    @property
    def num_pairs(self) -> int:
        """P."""
        return len(self.sources_P)

    @cached_property
    def level_counts(self) -> Integers:
        """How many grades each pair has of each level, int64[P, L]."""
        cells = np.bincount(self.pairs_N * NUM_LEVELS + self.levels_N - 1, minlength=self.num_pairs * NUM_LEVELS)
        return cells.reshape(self.num_pairs, NUM_LEVELS).astype(np.int64)

    @property
    def is_named(self) -> NDArray[np.bool_]:
        """Whether it is known who gave the grade, bool[N]."""
        return np.asarray([name != UNNAMED for name in self.names], dtype=bool)[self.annotators_N]

    def of_pairs(self, chosen_P: NDArray[np.bool_]) -> "Ratings":
        """The grades of some of the pairs, which are numbered anew; the annotators keep their numbers."""
        kept_N = chosen_P[self.pairs_N]
        numbers_P = np.cumsum(chosen_P) - 1
        return Ratings(
            numbers_P[self.pairs_N[kept_N]],
            self.annotators_N[kept_N],
            self.levels_N[kept_N],
            self.names,
            self.sources_P[chosen_P],
            self.locales_P[chosen_P],
        )


def ordered(judgments: pa.Table) -> pa.Table:
    """Judgments (tables.JUDGMENTS) by pair, annotator and id; the order in which `ratings` numbers them."""
    return judgments.take(_order(judgments)).combine_chunks()


def ratings(ordered_judgments: pa.Table) -> Ratings:
    """Number the grades of judgments that `ordered` has put in order; a row of the table is a grade here."""
    names_N = annotators_of(ordered_judgments)
    names, annotators_N = np.unique(names_N, return_inverse=True)
    new_pair_N = _differs_from_row_before(ordered_judgments, PAIR)
    firsts = pa.array(np.flatnonzero(new_pair_N))
    of_pair = ordered_judgments.select(["source", "query_locale"]).take(firsts)
    return Ratings(
        pairs_N=np.cumsum(new_pair_N) - 1,
        annotators_N=annotators_N.astype(np.int64),
        levels_N=ordered_judgments.column("level").to_numpy().astype(np.int64),
        names=tuple(names.tolist()),
        sources_P=_strings(of_pair.column("source").to_pylist()),
        locales_P=_strings(pc.fill_null(of_pair.column("query_locale"), UNKNOWN).to_pylist()),
    )


def annotators_of(judgments: pa.Table) -> Strings:
    """Each row's annotator; UNNAMED where the table says nobody, or that several were joined."""
    names = pc.fill_null(judgments.column("annotator_id"), UNNAMED)
    joined = pc.equal(names, AGGREGATE)
    return _strings(pc.if_else(joined, UNNAMED, names).to_pylist())


def second_thoughts(judgments: pa.Table, found: Sequence[Fault]) -> list[Fault]:
    """The rows in which a named annotator grades a pair that another row has from them; rows at fault do not count.

    The row with the smallest judgment_id stands: nothing in the table says which of two grades is the later one.
    """
    usable_N = np.ones(judgments.num_rows, dtype=bool)
    usable_N[[row for each in found for row in each.rows]] = False
    rows = _order(judgments).to_numpy()
    rows = rows[usable_N[rows]]
    in_order = judgments.take(pa.array(rows))
    again_N = ~_differs_from_row_before(in_order, (*PAIR, "annotator_id")) & (annotators_of(in_order) != UNNAMED)
    broken_N = np.zeros(judgments.num_rows, dtype=bool)
    broken_N[rows[again_N]] = True
    return fault("annotator_id", "has graded the pair in another row", "Keep the grade that counts.", broken_N)


def _order(judgments: pa.Table) -> pa.Array:
    keys = [*PAIR, "annotator_id", "judgment_id"]
    return pc.sort_indices(judgments, sort_keys=[(name, "ascending") for name in keys])


def _differs_from_row_before(rows: pa.Table, names: Sequence[str]) -> NDArray[np.bool_]:
    """bool[N]; the first row differs."""
    differs_N = np.ones(rows.num_rows, dtype=bool)
    if rows.num_rows > 1:
        codes = [_codes(rows.column(name)) for name in names]
        differs_N[1:] = np.any([code[1:] != code[:-1] for code in codes], axis=0)
    return differs_N


def _codes(column: pa.ChunkedArray) -> Integers:
    return np.asarray(pc.fill_null(pc.index_in(column, column.unique()), -1).to_numpy(), dtype=np.int64)


def _strings(values: Sequence[str]) -> Strings:
    return np.asarray(values, dtype=np.str_)
