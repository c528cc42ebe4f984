"""What must hold between the files of the tidy form: every judgment and impression names a query and a pin that are
there, grades are levels, and no query text is in two splits. Rows that break a rule are set aside with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.tidy_form import CANDIDATES, GRADE, ITEMS, JUDGEMENTS, QUERIES, Broken, Tidy
from pinrank.errors import JudgmentError, TableError
from pinrank.faults import SPLITS, Fault, fault, levels_outside, refuse_too_many, split
from pinrank.tables import Table, faults
from pinrank.text import normalise_query, tidy


@dataclass(frozen=True)
class Checked:
    """A file's usable rows, and the record of the others."""

    name: str
    rows: pa.Table
    record: pa.Table


def refuse_broken(broken: Broken, max_share: float) -> None:
    """Raise TableError when more than this share of a file's lines are no rows."""
    if broken.record.num_rows > max_share * broken.num_lines:
        first = broken.record.slice(0, 1).to_pylist()[0]
        raise TableError(
            f"{first['file']}: {broken.record.num_rows} of {broken.num_lines} lines are no rows, more than the allowed "
            f"share {max_share:g}; the first is row {first['row']}: {first['reason']}. Download the file again."
        )


def queries(source: Tidy, max_share: float) -> Checked:
    """Ids and texts are there, splits are known, and a text in two splits stays in the stricter one alone."""
    data = _replaced(source.queries, "query", _mapped(source.queries.column("query"), tidy, pa.string()))
    known = pc.is_in(data.column("split"), pa.array(SPLITS))
    found = faults(data, QUERIES)
    found += fault(
        "split", f"is none of {', '.join(SPLITS)}", "Name the split so.", pc.and_not(_held(data, "split"), known)
    )
    found += fault(
        "query",
        "is also the text of a query in a split that must stay unseen",
        "Split by query text, or a model is tested on what it was trained on.",
        _in_stricter_split(data),
    )
    return _checked(source, QUERIES, data, found, max_share)


def items(source: Tidy, file: Table, data: pa.Table, others: pa.Table | None, max_share: float) -> Checked:
    """Ids are there and stand once, in this file and in the other items."""
    found = faults(data, file)
    if others is not None:
        repeated = pc.is_in(data.column("item_id"), others.column("item_id").combine_chunks())
        found += fault("item_id", "repeats an id of items.parquet", "Keep one row an id.", repeated)
    return _checked(source, file, data, found, max_share)


def judgements(
    source: Tidy,
    level_map: Mapping[str, int] | None,
    split_of_all: str | None,
    queries: pa.Table,
    pins: pa.Table,
    max_share: float,
) -> Checked:
    """Grades are levels, or become such by the map, and queries and pins are there; queries, pins: the usable rows."""
    data = source.judgements
    found = [*faults(data, JUDGEMENTS), *_unknown_ids(source, data, queries, pins)]
    if level_map:
        data = _replaced(data, "level", _mapped(data.column(GRADE), level_map.get, pa.float64()))
        unmapped = f"holds a grade that the level map {dict(level_map)} lacks"
        found += fault(GRADE, unmapped, "Add it to --level-map.", pc.is_null(data.column("level")))
    else:
        found += fault("level", "is null", "Grade these pairs, or leave them out.", pc.is_null(data.column("level")))
        found += levels_outside(data.column("level"))
    if split_of_all is None:
        contrary = pc.not_equal(data.column("split"), of_query(data, queries, "split"))
        reason = "differs from its query's split"
        found += fault("split", reason, "Keep all judgments of a query in one split.", contrary)
    return _checked(source, JUDGEMENTS, data, found, max_share, JudgmentError)


def candidates(
    source: Tidy, data: pa.Table, queries: pa.Table, pins: pa.Table, judgments: pa.Table, max_share: float
) -> Checked:
    """Queries and pins are there, and no query of dev or test comes without a judgment that would hold it back."""
    rank = pc.fill_null(data.column("rank").cast(pa.string()), "")
    made = pc.binary_join_element_wise(data.column("query_id"), data.column("item_id"), rank, "/")
    data = _replaced(data, "impression_id", pc.coalesce(data.column("impression_id"), made))
    found = [*faults(data, CANDIDATES), *_unknown_ids(source, data, queries, pins)]
    kept_from_training = pc.not_equal(of_query(data, queries, "split"), SPLITS[0])
    judged = pc.is_in(of_query(data, queries, "query"), judgments.column("query").unique())
    found += fault(
        "query_id",
        "names a dev or test query without any judgment, which nothing would keep out of training",
        "Put the query into the train split, or leave these rows out.",
        pc.and_not(kept_from_training, judged),
    )
    return _checked(source, CANDIDATES, data, found, max_share)


def _checked(
    source: Tidy,
    file: Table,
    data: pa.Table,
    found: list[Fault],
    max_share: float,
    error: type[TableError] = TableError,
) -> Checked:
    path = source.paths.get(file.name, file.name)
    refuse_too_many(found, data.num_rows, max_share, path, error)
    return Checked(file.name, *split(data, found, path))


def _unknown_ids(source: Tidy, data: pa.Table, queries: pa.Table, pins: pa.Table) -> list[Fault]:
    found = []
    for name, known, table in (
        ("query_id", queries.column("query_id"), QUERIES.name),
        ("item_id", pins.column("pin_id"), ITEMS.name),
    ):
        unknown = pc.invert(pc.is_in(data.column(name), known.combine_chunks()))
        file = source.paths.get(table, table).rsplit("/", 1)[-1]
        reason = f"names an id that {file} lacks, or whose row there is in quarantine"
        mend = f"Add its row to {file}, or mend the one in quarantine."
        found += fault(name, reason, mend, pc.and_(unknown, _held(data, name)))
    return found


def _in_stricter_split(queries: pa.Table) -> pa.Array:
    texts = [None if text is None else normalise_query(text) for text in queries.column("query").to_pylist()]
    ranks = pc.index_in(queries.column("split"), pa.array(SPLITS)).to_pylist()
    strictest: dict[str | None, int] = {}
    for text, rank in zip(texts, ranks, strict=True):
        if rank is not None:
            strictest[text] = max(rank, strictest.get(text, 0))
    return pa.array(
        [bool(text) and rank is not None and rank < strictest[text] for text, rank in zip(texts, ranks, strict=True)]
    )


def of_query(data: pa.Table, queries: pa.Table, name: str) -> pa.ChunkedArray:
    """A column of the queries, for every row of a table that names them by query_id; null where it names none."""
    return queries.column(name).take(pc.index_in(data.column("query_id"), queries.column("query_id").combine_chunks()))


def _mapped(column: pa.ChunkedArray, function: Callable[[str], Any], to: pa.DataType) -> pa.ChunkedArray:
    values = [None if value is None else function(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, to)])


def _replaced(data: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return data.set_column(data.column_names.index(name), name, column)


def _held(data: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.is_valid(data.column(name))
