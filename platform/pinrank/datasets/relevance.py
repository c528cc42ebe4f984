"""Human relevance judgments in their public, tidy form → pins, judgments, impressions.

The folder's files and columns: pinrank.datasets.tidy_form. What is checked here is what holds between the files: every
judgment and impression names a query and a pin that are there, grades are levels, and no query text is in two splits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.tidy_form import (
    CANDIDATES,
    GRADE,
    ITEMS,
    JUDGEMENTS,
    POOL_ITEMS,
    QUERIES,
    TEXT,
    grades,
    load,
    load_judgements,
    path_of,
)
from pinrank.errors import JudgmentError, TableError
from pinrank.faults import SPLITS, Fault, fault, levels_outside, refuse_too_many, split
from pinrank.parquet import exists
from pinrank.sampling import hashes
from pinrank.tables import IMPRESSIONS, JUDGMENTS, PINS, Table, faults
from pinrank.text import join_list, normalise_query, tidy

AGGREGATE = "aggregate"
"""The annotator of a grade that does not say whose it is, or that joins several raters."""


@dataclass(frozen=True)
class Imported:
    """Our tables, the rows that could not be used (by file: file, row, reason, content), and counts for a summary."""

    pins: pa.Table
    judgments: pa.Table
    impressions: pa.Table
    quarantined: dict[str, pa.Table]
    rows_in: int
    counts: dict[str, int] = field(default_factory=dict)


def read(
    folder: str,
    *,
    level_map: Mapping[str, int] | None = None,
    split_of_all: str | None = None,
    with_impressions: bool = True,
    max_quarantined_share: float = 0.01,
) -> Imported:
    """Read a folder of judgments into PINS, JUDGMENTS and IMPRESSIONS (empty when absent or not wanted).

    level_map: grade → level 1..5, for grades that are not levels yet. split_of_all: put every query into this split,
    whatever the folder says (it needs no column `split` then). Rows that break a rule are set aside; when a file has
    more than `max_quarantined_share` of them, or lacks a column, or is missing or damaged, TableError (JudgmentError
    for grades) names file, column, rows and mend.
    """
    if not exists(folder):
        raise TableError(
            f"{folder}: there is no such folder. Point at the one that holds queries, items and judgements .parquet."
        )
    queries = _queries(folder, split_of_all, max_quarantined_share)
    items = [_items(folder, ITEMS, None, max_quarantined_share)]
    if exists(path_of(folder, POOL_ITEMS)):
        items.append(_items(folder, POOL_ITEMS, items[0].rows, max_quarantined_share))
    pins = _pins(pa.concat_tables([each.rows for each in items]))
    judgements = _judgements(folder, level_map, split_of_all, queries.rows, pins, max_quarantined_share)
    judgments = _judgments(judgements.rows, queries.rows)
    files = [queries, *items, judgements]
    impressions = IMPRESSIONS.schema.empty_table()
    if with_impressions and exists(path_of(folder, CANDIDATES)):
        candidates = _candidates(folder, queries.rows, pins, judgments, max_quarantined_share)
        impressions = _impressions(candidates.rows, queries.rows)
        files.append(candidates)
    records = {each.name: each.record for each in files}
    rows_in = sum(each.rows.num_rows + each.record.num_rows for each in files)
    return Imported(pins, judgments, impressions, records, rows_in, {"pins_without_text": _num_without_text(pins)})


def limit_impressions(imported: Imported, max_impressions: int, seed: int) -> Imported:
    """Keep the impressions with the smallest hashes; which ones does not depend on their order."""
    order = hashes(imported.impressions.column("impression_id").to_pylist(), seed)
    kept = np.sort(np.argsort(order, kind="stable")[:max_impressions])
    left_out = imported.impressions.num_rows - len(kept)
    counts = {**imported.counts, "impressions_left_out": left_out}
    return replace(imported, impressions=imported.impressions.take(kept), counts=counts)


def drop_unused_pins(imported: Imported) -> Imported:
    """Keep the pins that a judgment or an impression names."""
    used = pa.concat_arrays([table.column("pin_id").unique() for table in (imported.judgments, imported.impressions)])
    pins = imported.pins.filter(pc.is_in(imported.pins.column("pin_id"), used))
    counts = {**imported.counts, "pins_unused": imported.pins.num_rows - pins.num_rows}
    return replace(imported, pins=pins, counts={**counts, "pins_without_text": _num_without_text(pins)})


@dataclass(frozen=True)
class _Checked:
    """A file's usable rows, and the record of the others."""

    name: str
    rows: pa.Table
    record: pa.Table


def _queries(folder: str, split_of_all: str | None, max_share: float) -> _Checked:
    data = load(folder, QUERIES, {} if split_of_all is None else {"split": split_of_all})
    data = _replaced(data, "query", _mapped(data.column("query"), tidy, pa.string()))
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
    return _checked(folder, QUERIES, data, found, max_share)


def _items(folder: str, file: Table, others: pa.Table | None, max_share: float) -> _Checked:
    data = load(folder, file)
    found = faults(data, file)
    if others is not None:
        repeated = pc.is_in(data.column("item_id"), others.column("item_id").combine_chunks())
        found += fault("item_id", "repeats an id of items.parquet", "Keep one row an id.", repeated)
    return _checked(folder, file, data, found, max_share)


def _judgements(
    folder: str,
    level_map: Mapping[str, int] | None,
    split_of_all: str | None,
    queries: pa.Table,
    pins: pa.Table,
    max_share: float,
) -> _Checked:
    data = load(folder, JUDGEMENTS, {"level": 0.0}) if level_map else load_judgements(folder)
    found = [*faults(data, JUDGEMENTS), *_unknown_ids(data, queries, pins)]
    if level_map:
        held = grades(folder)
        data = _replaced(data, "level", _mapped(held, level_map.get, pa.float64()))
        unmapped = f"holds a grade that the level map {dict(level_map)} lacks"
        found += fault(GRADE, unmapped, "Add it to --level-map.", pc.is_null(data.column("level")))
        data = data.append_column(GRADE, held)
    else:
        found += fault("level", "is null", "Grade these pairs, or leave them out.", pc.is_null(data.column("level")))
        found += levels_outside(data.column("level"))
    if split_of_all is None:
        contrary = pc.not_equal(data.column("split"), _of_query(data, queries, "split"))
        reason = "differs from its query's split"
        found += fault("split", reason, "Keep all judgments of a query in one split.", contrary)
    return _checked(folder, JUDGEMENTS, data, found, max_share, JudgmentError)


def _candidates(folder: str, queries: pa.Table, pins: pa.Table, judgments: pa.Table, max_share: float) -> _Checked:
    data = load(folder, CANDIDATES)
    rank = pc.fill_null(data.column("rank").cast(pa.string()), "")
    made = pc.binary_join_element_wise(data.column("query_id"), data.column("item_id"), rank, "/")
    data = _replaced(data, "impression_id", pc.coalesce(data.column("impression_id"), made))
    found = [*faults(data, CANDIDATES), *_unknown_ids(data, queries, pins)]
    kept_from_training = pc.not_equal(_of_query(data, queries, "split"), SPLITS[0])
    judged = pc.is_in(_of_query(data, queries, "query"), judgments.column("query").unique())
    found += fault(
        "query_id",
        "names a dev or test query without any judgment, which nothing would keep out of training",
        "Put the query into the train split, or leave these rows out.",
        pc.and_not(kept_from_training, judged),
    )
    return _checked(folder, CANDIDATES, data, found, max_share)


def _pins(items: pa.Table) -> pa.Table:
    captions = pa.array([join_list(each) for each in items.column("image_captions").to_pylist()], pa.string())
    text = {name: pc.fill_null(items.column(name), "") for name in TEXT}
    columns = {"pin_id": items.column("item_id"), "caption": captions, **text}
    return pa.table(
        [columns[name] if name in columns else items.column(name) for name in PINS.schema.names], schema=PINS.schema
    )


def _judgments(judgements: pa.Table, queries: pa.Table) -> pa.Table:
    level = judgements.column("level")
    columns = {
        "judgment_id": judgements.column("judgement_id"),
        "query": _of_query(judgements, queries, "query"),
        "query_locale": _of_query(judgements, queries, "locale"),
        "pin_id": judgements.column("item_id"),
        "level": level.cast(pa.int8()),
        "relevance": pc.coalesce(judgements.column("rel01"), pc.divide(pc.subtract(level, 1), 4).cast(pa.float32())),
        "annotator_id": pc.fill_null(judgements.column("annotator_id"), AGGREGATE),
        "pair_type": pc.fill_null(judgements.column("pair_type"), ""),
        "split": _of_query(judgements, queries, "split"),
    }
    return pa.table(
        [columns[name] if name in columns else judgements.column(name) for name in JUDGMENTS.schema.names],
        schema=JUDGMENTS.schema,
    )


def _impressions(candidates: pa.Table, queries: pa.Table) -> pa.Table:
    columns = {
        "query": _of_query(candidates, queries, "query"),
        "query_locale": _of_query(candidates, queries, "locale"),
        "pin_id": candidates.column("item_id"),
        "position": candidates.column("rank"),
        "source": pc.coalesce(candidates.column("source"), _of_query(candidates, queries, "source")),
    }
    return pa.table(
        [columns[name] if name in columns else candidates.column(name) for name in IMPRESSIONS.schema.names],
        schema=IMPRESSIONS.schema,
    )


def _checked(
    folder: str, file: Table, data: pa.Table, found: list[Fault], max_share: float, error: type[TableError] = TableError
) -> _Checked:
    path = path_of(folder, file)
    refuse_too_many(found, data.num_rows, max_share, path, error)
    return _Checked(file.name, *split(data, found, path))


def _unknown_ids(data: pa.Table, queries: pa.Table, pins: pa.Table) -> list[Fault]:
    mend = "Add its row to {}.parquet, or mend the one in quarantine."
    found = []
    for name, known, file in (
        ("query_id", queries.column("query_id"), "queries"),
        ("item_id", pins.column("pin_id"), "items"),
    ):
        unknown = pc.invert(pc.is_in(data.column(name), known.combine_chunks()))
        reason = f"names an id that {file}.parquet lacks, or whose row there is in quarantine"
        found += fault(name, reason, mend.format(file), pc.and_(unknown, _held(data, name)))
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


def _of_query(data: pa.Table, queries: pa.Table, name: str) -> pa.ChunkedArray:
    return queries.column(name).take(pc.index_in(data.column("query_id"), queries.column("query_id").combine_chunks()))


def _mapped(column: pa.ChunkedArray, function: Callable[[str], Any], to: pa.DataType) -> pa.ChunkedArray:
    values = [None if value is None else function(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, to)])


def _replaced(data: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return data.set_column(data.column_names.index(name), name, column)


def _held(data: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.is_valid(data.column(name))


def _num_without_text(pins: pa.Table) -> int:
    columns = [pins.column(name).to_pylist() for name in (*TEXT, "caption")] + [pins.column("board_titles").to_pylist()]
    return sum(not any(map(_says_something, values)) for values in zip(*columns, strict=True))


def _says_something(value: str | list[str] | None) -> bool:
    return bool(tidy(value) if isinstance(value, str) else join_list(value))
