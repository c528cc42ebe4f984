"""The files of the tidy form in which human judgments are published: their columns, and how they are loaded.

    queries.parquet        query_id, query, locale, source, split (train, dev or test)
    items.parquet          item_id, source, locale, title, description, image_captions, board_titles, link_*, image_url
    judgements.parquet     judgement_id, query_id, item_id, source, level 1..5; optional rel01, pair_type, annotator_id
    pool_items.parquet     optional: the items that only impressions use, columns as items
    impressions.parquet    optional: query_id, item_id; optional rank, source, ts, country, actions, impression_id

Grades of another scale come in column `label_original` (or `level`) and need a level map. An item is a pin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pinrank.errors import JudgmentError, TableError
from pinrank.parquet import exists, read_pieces, schemas
from pinrank.tables import IMPRESSIONS, PINS, Table, read_columns

GRADE = "label_original"
"""The column that a level map reads; `level` where a folder has no such column."""

_STRING, _STRINGS = pa.string(), pa.list_(pa.string())
TEXT = ("title", "description", "link_title", "link_description")

QUERIES = Table(
    "queries",
    pa.schema([(name, _STRING) for name in ("query_id", "query", "locale", "source", "split")]),
    required=("query_id", "query", "split"),
    key=("query_id",),
)
ITEMS = Table(
    "items",
    pa.schema(
        [(name, _STRING) for name in ("item_id", "source", "locale", *TEXT, "link_url", "image_url")]
        + [
            ("image_captions", _STRINGS),
            ("board_titles", _STRINGS),
            ("updated_at", PINS.schema.field("updated_at").type),
        ]
    ),
    required=("item_id",),
    key=("item_id",),
)
POOL_ITEMS = replace(ITEMS, name="pool_items")
JUDGEMENTS = Table(
    "judgements",
    pa.schema(
        [(name, _STRING) for name in ("judgement_id", "query_id", "item_id", "source")]
        + [("level", pa.float64()), ("rel01", pa.float32())]
        + [(name, _STRING) for name in ("pair_type", "annotator_id", "split")]
    ),
    required=("judgement_id", "query_id", "item_id", "source"),
    key=("judgement_id",),
)
CANDIDATES = Table(
    "impressions",
    pa.schema(
        [(name, _STRING) for name in ("query_id", "item_id", "source", "country", "impression_id")]
        + [(name, IMPRESSIONS.schema.field(name).type) for name in ("ts", "actions")]
        + [("rank", pa.int32())]
    ),
    required=("query_id", "item_id"),
    key=("impression_id",),
)
FORM = (QUERIES, ITEMS, JUDGEMENTS)
"""The files that a folder in this form always has."""

OPTIONAL = {
    "items": ("link_url", "board_titles", "updated_at"),
    "pool_items": ("link_url", "board_titles", "updated_at"),
    "judgements": ("rel01", "pair_type", "annotator_id", "split"),
    "impressions": ("rank", "source", "ts", "country", "actions", "impression_id"),
}
"""Columns that a file may lack; they are read as nulls."""


@dataclass(frozen=True)
class Broken:
    """Lines of an owner's file that are no rows: a record (file, row, reason, content), and the number of all lines."""

    record: pa.Table
    num_lines: int


@dataclass(frozen=True)
class Tidy:
    """A source in the tidy form, before any check: every table in its schema.

    judgements: has GRADE beside its columns where the grades are no levels yet. paths: the file that a message about a
    table names. broken: by the name of an owner's file.
    """

    queries: pa.Table
    items: pa.Table
    judgements: pa.Table
    pool_items: pa.Table | None = None
    impressions: pa.Table | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)


def typed(columns: Mapping[str, Any], file: Table) -> pa.Table:
    """Columns, each an array of text or of the schema's type, as a table of the form; those not given are null.

    GRADE may come beside the columns of a file of judgements.
    """
    num_rows = len(next(iter(columns.values())))
    arrays = [
        columns[each.name].cast(each.type) if each.name in columns else pa.nulls(num_rows, each.type)
        for each in file.schema
    ]
    table = pa.table(arrays, schema=file.schema)
    return table.append_column(GRADE, columns[GRADE]) if GRADE in columns else table


def path_of(folder: str, file: Table) -> str:
    """Where a folder holds one of its files."""
    return f"{folder}/{file.name}.parquet"


def load(folder: str, file: Table, constants: Mapping[str, Any] | None = None) -> pa.Table:
    """A file's columns in the types of its schema; absent optional ones are null, and constants are not read at all.

    Raises TableError that names file, column and mend when the file is missing, damaged or lacks a column.
    """
    path, constants = path_of(folder, file), constants or {}
    held = _columns_of(path)
    absent = [name for name in OPTIONAL.get(file.name, ()) if name not in held]
    data = read_columns(path, file, [name for name in file.schema.names if name not in {*absent, *constants}])
    columns = {name: data.column(name) for name in data.column_names}
    for name in {*absent, *constants}:
        value = pa.scalar(constants.get(name), file.schema.field(name).type)
        columns[name] = pa.chunked_array([pa.repeat(value, data.num_rows)])
    return pa.table([columns[name] for name in file.schema.names], schema=file.schema)


def load_judgements(folder: str) -> pa.Table:
    """The judgements of a folder whose grades are levels already.

    Raises JudgmentError, which tells of the level map, when there is no column `level` or it holds text.
    """
    path = path_of(folder, JUDGEMENTS)
    for name, schema in schemas(path, JUDGEMENTS.name) if exists(path) else []:
        held = schema.field("level").type if "level" in schema.names else None
        if held is None or not (pa.types.is_integer(held) or pa.types.is_floating(held)):
            problem = (
                "lacks column 'level'" if held is None else f"column 'level' has type {held} where numbers are needed"
            )
            raise JudgmentError(
                f"{name}: {problem}; it has {', '.join(schema.names)}. Say which of your grades is which level with "
                f"--level-map, e.g. 0:1,1:3,2:5; the grades are read from column '{GRADE}', or else 'level'."
            )
    return load(folder, JUDGEMENTS)


def grades(folder: str) -> pa.ChunkedArray:
    """The grades as text, before any mapping: from column `label_original`, or `level` where there is none.

    Whole numbers lose their fraction (1.0 reads "1"). Raises JudgmentError when neither column is there.
    """
    path = path_of(folder, JUDGEMENTS)
    held = _columns_of(path)
    name = next((name for name in (GRADE, "level") if name in held), None)
    if name is None:
        raise JudgmentError(
            f"{path}: lacks a column with grades, '{GRADE}' or 'level'; it has {', '.join(held)}. "
            "Rename the column that holds them."
        )
    pieces = read_pieces(path, JUDGEMENTS.name, [name])
    return pa.chunked_array([[_as_text(value) for value in piece.data.column(name).to_pylist()] for piece in pieces])


def _columns_of(path: str) -> list[str]:
    if not exists(path):
        raise TableError(
            f"{path}: there is no such file. A folder of judgments holds queries.parquet, items.parquet and "
            "judgements.parquet; fix the path, or add the file."
        )
    return list(schemas(path, path.rsplit("/", 1)[-1])[0][1].names)


def _as_text(grade: object) -> str | None:
    if grade is None or grade != grade:
        return None
    return f"{grade:g}" if isinstance(grade, float) else str(grade).strip()
