"""Rows that break a rule: found by column, reported with their numbers, set aside with the reason.

Row numbers count from 0, in one file or through the files of a folder in the order of their names.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.errors import TableError
from pinrank.levels import LEVELS
from pinrank.text import normalise_query

SPLITS = ("train", "dev", "test")
"""From the loosest to the strictest: what is in a later one must not be learnt from."""

ROWS_SHOWN = 5
"""How many row numbers a message names before it only counts."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fault:
    """The rows in which a column breaks a rule; `reason` completes the sentence "the column ..."."""

    column: str
    reason: str
    mend: str
    rows: Rows

    def __str__(self) -> str:
        return self.message(self.rows.tolist())

    def message(self, places: Sequence[object]) -> str:
        """One line; `places` says where the rows are, in their order: a number, or a file and a number."""
        shown = ", ".join(str(place) for place in places[:ROWS_SHOWN])
        more = "" if len(self.rows) <= ROWS_SHOWN else f" and {len(self.rows) - ROWS_SHOWN} more"
        count = f"{len(self.rows)} row" if len(self.rows) == 1 else f"{len(self.rows)} rows"
        return f"column '{self.column}' {self.reason} in {count} (rows {shown}{more}). {self.mend}"


def fault(column: str, reason: str, mend: str, broken: Any) -> list[Fault]:
    """A list with the fault of the rows where `broken` (Arrow or numpy booleans, null = no) holds, or an empty list."""
    rows = rows_where(broken)
    return [Fault(column, reason, mend, rows)] if len(rows) else []


def empty_rows(data: pa.Table, name: str) -> list[Fault]:
    """Rows whose value is null, or text of nothing but white space."""
    column = data.column(name)
    empty = pc.is_null(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        empty = pc.or_kleene(empty, pc.equal(pc.utf8_trim_whitespace(column), ""))
    return fault(name, "is null or empty", "Fill it in, or drop these rows on purpose.", empty)


def infinite_rows(data: pa.Table, name: str) -> list[Fault]:
    """Rows whose number is NaN or infinite; null is a missing one and no fault."""
    broken = pc.invert(pc.is_finite(data.column(name)))
    return fault(name, "is NaN or infinite", "Write null where a value is missing.", broken)


def repeated_keys(data: pa.Table, key: tuple[str, ...]) -> list[Fault]:
    """Rows whose key stood in an earlier row; null keys do not count, they are faults of their own."""
    keyed = data.select(list(key)).append_column("_row", pa.array(np.arange(data.num_rows), pa.int64()))
    first = keyed.group_by(list(key)).aggregate([("_row", "min")]).column("_row_min")
    repeated = np.ones(data.num_rows, dtype=bool)
    repeated[first.to_numpy()] = False
    for name in key:
        repeated &= ~_booleans(pc.is_null(data.column(name)))
    return fault(key[0], "repeats the id of an earlier row", "Keep one row an id.", repeated)


def levels_outside(column: pa.ChunkedArray) -> list[Fault]:
    """The rows of a numeric column that are none of the levels 1..5 (2.5 and NaN are none); nulls do not count."""
    outside = pc.invert(pc.is_in(column, pa.array(LEVELS, column.type)))
    broken = pc.and_(outside, pc.is_valid(column))
    return fault("level", "is outside 1..5", "Map your scale with --level-map, e.g. 0:1,1:3,2:5.", broken)


def misplaced_splits(judgments: pa.Table) -> list[Fault]:
    """The rows whose split is none of SPLITS, and those of a query that stands in more than one, whatever its spelling.

    A row of a stricter split (test before dev before train) is right, the same query's others are at fault.
    """
    order_N = pc.index_in(judgments.column("split"), value_set=pa.array(SPLITS))
    known_N = _booleans(pc.is_valid(order_N))
    ranks_N = pc.fill_null(order_N, -1).to_numpy()
    normal_of = {query: normalise_query(query or "") for query in judgments.column("query").unique().to_pylist()}
    queries = [normal_of[query] for query in judgments.column("query").to_pylist()]
    strictest: dict[str, int] = {}
    for query, rank in zip(queries, ranks_N.tolist(), strict=True):
        strictest[query] = max(rank, strictest.get(query, rank))
    looser_N = np.array([strictest[query] for query in queries], dtype=np.int64) > ranks_N
    unknown_N = ~known_N & _booleans(pc.is_valid(judgments.column("split")))
    names = ", ".join(SPLITS)
    mend = "Keep all judgments of a query in one split."
    return [
        *fault("split", f"is none of {names}", f"Name every row's split: {names}.", unknown_N),
        *fault("split", "is looser than that of another row of its query", mend, known_N & looser_N),
    ]


def whole_levels(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A numeric column as int8, where what is none of the levels 1..5 (2.5, NaN, 300) becomes 0; nulls stay."""
    known = pc.is_in(column, pa.array(LEVELS, column.type))
    return pc.if_else(pc.is_valid(column), pc.if_else(known, column, pa.scalar(0, column.type)), None).cast(pa.int8())


def places(each: Fault, pieces: Sequence[tuple[str, pa.Table]]) -> list[object]:
    """Where a fault's rows are in the files whose tables were joined: a number, or `file:number` with several files."""
    if len(pieces) == 1:
        return list(each.rows.tolist())
    starts = np.cumsum([0] + [piece.num_rows for _, piece in pieces])
    parts = np.searchsorted(starts, each.rows, side="right") - 1
    names = [file.rsplit("/", 1)[-1] for file, _ in pieces]
    return [f"{names[part]}:{row - starts[part]}" for row, part in zip(each.rows, parts, strict=True)]


def split(data: pa.Table, found: Iterable[Fault], file: str) -> tuple[pa.Table, pa.Table]:
    """The rows without a fault, and a record of the others: file, row, reason, content (the row as JSON)."""
    reasons: dict[int, list[str]] = {}
    for each in found:
        for row in each.rows.tolist():
            reasons.setdefault(row, []).append(f"'{each.column}' {each.reason}")
    rows = sorted(reasons)
    taken = data.take(pa.array(rows, pa.int64())).to_pylist()
    record = pa.table(
        {
            "file": pa.array([file] * len(rows), pa.string()),
            "row": pa.array(rows, pa.int64()),
            "reason": pa.array(["; ".join(reasons[row]) for row in rows], pa.string()),
            "content": pa.array([json.dumps(row, default=str, ensure_ascii=False) for row in taken], pa.string()),
        }
    )
    keep = np.ones(data.num_rows, dtype=bool)
    keep[rows] = False
    return data.filter(pa.array(keep)), record


def refuse_too_many(
    found: Sequence[Fault], num_rows: int, max_share: float, file: str, error: type[TableError] = TableError
) -> None:
    """Raise the error, with every fault's column, rows and mend, when more than this share of the rows is at fault."""
    bad = len({row for each in found for row in each.rows.tolist()})
    if bad > max_share * num_rows:
        raise error(
            f"{file}: {bad} of {num_rows} rows cannot be used, more than the allowed share {max_share:g}: "
            + " ".join(str(each) for each in found)
        )


def rows_where(mask: Any) -> Rows:
    """The numbers of the rows where a mask holds, ascending."""
    return np.flatnonzero(_booleans(mask)).astype(np.int64)


def _booleans(mask: Any) -> NDArray[np.bool_]:
    if isinstance(mask, np.ndarray):
        return mask.astype(bool)
    known = pc.fill_null(mask, False)
    return np.asarray(known.to_numpy(zero_copy_only=False) if isinstance(known, pa.Array) else known.to_numpy())


def refuse_unknown_pins(
    unknown: Collection[str], where: str, what: str = "pins", error: type[TableError] = TableError
) -> None:
    """Raise the error when pins that a table names are not in pin_text; `what` says which pins these are."""
    if unknown:
        raise error(
            f"{where}: {len(unknown)} {what} have no row in pin_text (e.g. {', '.join(sorted(unknown)[:3])}). Run "
            "python -m pipelines.build_pin_text on the same pins."
        )
