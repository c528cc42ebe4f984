"""Human relevance judgments in their public, tidy form → pins, judgments, impressions.

The files and their columns: pinrank.datasets.tidy_form; what must hold between them: pinrank.datasets.tidy_checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets import tidy_checks
from pinrank.datasets.tidy_form import (
    CANDIDATES,
    GRADE,
    ITEMS,
    JUDGEMENTS,
    POOL_ITEMS,
    QUERIES,
    TEXT,
    Tidy,
    grades,
    load,
    load_judgements,
    path_of,
)
from pinrank.errors import TableError
from pinrank.keys import hashes
from pinrank.parquet import exists
from pinrank.tables import IMPRESSIONS, JUDGMENTS, PINS
from pinrank.text import join_list, tidy

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
    loaded = load_folder(folder, level_map is not None, split_of_all, with_impressions)
    return check(loaded, level_map=level_map, split_of_all=split_of_all, max_quarantined_share=max_quarantined_share)


def load_folder(folder: str, with_grades: bool, split_of_all: str | None, with_impressions: bool) -> Tidy:
    """The files of a folder in the tidy form; TableError names the file, the column and the mend."""
    if not exists(folder):
        raise TableError(
            f"{folder}: there is no such folder. Point at the one that holds queries, items and judgements .parquet."
        )
    queries = load(folder, QUERIES, {} if split_of_all is None else {"split": split_of_all})
    items = load(folder, ITEMS)
    pool = load(folder, POOL_ITEMS) if exists(path_of(folder, POOL_ITEMS)) else None
    if with_grades:
        judgements = load(folder, JUDGEMENTS, {"level": 0.0}).append_column(GRADE, grades(folder))
    else:
        judgements = load_judgements(folder)
    wanted = with_impressions and exists(path_of(folder, CANDIDATES))
    impressions = load(folder, CANDIDATES) if wanted else None
    paths = {file.name: path_of(folder, file) for file in (QUERIES, ITEMS, POOL_ITEMS, JUDGEMENTS, CANDIDATES)}
    return Tidy(queries, items, judgements, pool, impressions, paths)


def check(
    source: Tidy,
    *,
    level_map: Mapping[str, int] | None = None,
    split_of_all: str | None = None,
    max_quarantined_share: float = 0.01,
) -> Imported:
    """Check the tables of a source in the tidy form against each other, and bring them into ours; see `read`.

    level_map: grade → level, for judgements that have the column GRADE.
    """
    most = max_quarantined_share
    for broken in source.broken.values():
        tidy_checks.refuse_broken(broken, most)
    queries = tidy_checks.queries(source, most)
    items = [tidy_checks.items(source, ITEMS, source.items, None, most)]
    if source.pool_items is not None:
        items.append(tidy_checks.items(source, POOL_ITEMS, source.pool_items, items[0].rows, most))
    pins = _pins(pa.concat_tables([each.rows for each in items]))
    judgements = tidy_checks.judgements(source, level_map, split_of_all, queries.rows, pins, most)
    judgments = _judgments(judgements.rows, queries.rows)
    files = [queries, *items, judgements]
    impressions = IMPRESSIONS.schema.empty_table()
    if source.impressions is not None:
        candidates = tidy_checks.candidates(source, source.impressions, queries.rows, pins, judgments, most)
        impressions = _impressions(candidates.rows, queries.rows)
        files.append(candidates)
    records = {each.name: each.record for each in files}
    records |= {file: broken.record for file, broken in source.broken.items()}
    rows_in = sum(each.rows.num_rows for each in files) + sum(record.num_rows for record in records.values())
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
        "query": tidy_checks.of_query(judgements, queries, "query"),
        "query_locale": tidy_checks.of_query(judgements, queries, "locale"),
        "pin_id": judgements.column("item_id"),
        "level": level.cast(pa.int8()),
        "relevance": pc.coalesce(judgements.column("rel01"), pc.divide(pc.subtract(level, 1), 4).cast(pa.float32())),
        "annotator_id": pc.fill_null(judgements.column("annotator_id"), AGGREGATE),
        "pair_type": pc.fill_null(judgements.column("pair_type"), ""),
        "split": tidy_checks.of_query(judgements, queries, "split"),
    }
    return pa.table(
        [columns[name] if name in columns else judgements.column(name) for name in JUDGMENTS.schema.names],
        schema=JUDGMENTS.schema,
    )


def _impressions(candidates: pa.Table, queries: pa.Table) -> pa.Table:
    columns = {
        "query": tidy_checks.of_query(candidates, queries, "query"),
        "query_locale": tidy_checks.of_query(candidates, queries, "locale"),
        "pin_id": candidates.column("item_id"),
        "position": candidates.column("rank"),
        "source": pc.coalesce(candidates.column("source"), tidy_checks.of_query(candidates, queries, "source")),
    }
    return pa.table(
        [columns[name] if name in columns else candidates.column(name) for name in IMPRESSIONS.schema.names],
        schema=IMPRESSIONS.schema,
    )


def _num_without_text(pins: pa.Table) -> int:
    texts = pins.select([*TEXT, "caption", "board_titles"])
    return sum(_num_silent(batch) for batch in texts.to_batches(max_chunksize=65_536))


def _num_silent(texts: pa.RecordBatch) -> int:
    columns = [column.to_pylist() for column in texts.columns]
    return sum(not any(map(_says_something, values)) for values in zip(*columns, strict=True))


def _says_something(value: str | list[str] | None) -> bool:
    return bool(tidy(value) if isinstance(value, str) else join_list(value))
