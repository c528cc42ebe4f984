"""Every table of pinrank: its columns, and the check that a file really has them.

Tables are Parquet (zstd): a file, or a folder of files, at a local path or any URI that pyarrow.fs opens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from pinrank.errors import JudgmentError, TableError
from pinrank.faults import (
    Fault,
    empty_rows,
    infinite_rows,
    levels_outside,
    misplaced_splits,
    places,
    repeated_keys,
    split,
    whole_levels,
)
from pinrank.levels import NUM_LEVELS
from pinrank.parquet import (
    cast,
    read_pieces,
    remove_folder,
    schemas,
    write_folder,
)
from pinrank.text import FIELDS


@dataclass(frozen=True)
class Table:
    """A table's name, columns, the columns that hold neither null nor '', and the columns that are unique together."""

    name: str
    schema: pa.Schema
    required: tuple[str, ...]
    key: tuple[str, ...] = ()
    finite: tuple[str, ...] = ()  # columns of numbers that hold neither NaN nor infinity; a missing one is null


_TIME = pa.timestamp("us", tz="UTC")
_STRINGS = pa.list_(pa.string())

PINS = Table(
    "pins",
    pa.schema(
        [
            ("pin_id", pa.string()),
            ("source", pa.string()),
            ("locale", pa.string()),
            ("title", pa.string()),
            ("description", pa.string()),
            ("caption", pa.string()),
            ("board_titles", _STRINGS),
            ("link_title", pa.string()),
            ("link_description", pa.string()),
            ("link_url", pa.string()),
            ("image_url", pa.string()),
            ("updated_at", _TIME),
        ]
    ),
    required=("pin_id",),
    key=("pin_id",),
)

JUDGMENTS = Table(
    "judgments",
    pa.schema(
        [
            ("judgment_id", pa.string()),
            ("query_id", pa.string()),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("pin_id", pa.string()),
            ("level", pa.int8()),
            ("relevance", pa.float32()),  # the original grade on 0..1, where it is finer than the level
            ("annotator_id", pa.string()),
            ("source", pa.string()),
            ("pair_type", pa.string()),
            ("split", pa.string()),
        ]
    ),
    required=("judgment_id", "query_id", "query", "pin_id", "level", "source", "split"),
    key=("judgment_id",),
)

CONSENSUS = Table(
    "consensus",
    pa.schema(
        [
            ("query_id", pa.string()),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("pin_id", pa.string()),
            ("source", pa.string()),
            ("split", pa.string()),
            ("level", pa.int8()),
            ("probabilities", pa.list_(pa.float32(), NUM_LEVELS)),
            ("levels", pa.list_(pa.int8())),  # one an annotator
            ("annotator_ids", _STRINGS),  # in the order of the levels
            ("gap", pa.int8()),  # between the highest level given and the lowest
        ]
    ),
    required=("query_id", "query", "pin_id", "source", "split", "level", "probabilities", "levels", "gap"),
    key=("source", "query_id", "pin_id"),
)

ENGAGEMENT = Table(
    "engagement",
    pa.schema(
        [
            ("ts", _TIME),
            ("user_hash", pa.string()),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("pin_id", pa.string()),
            ("action", pa.string()),
            ("board_title", pa.string()),
            ("dwell_s", pa.float32()),
        ]
    ),
    required=("ts", "user_hash", "pin_id", "action"),
)

PIN_ENGAGEMENT = Table(
    "pin_engagement",
    pa.schema(
        [
            ("pin_id", pa.string()),
            ("kind", pa.int8()),
            ("word", pa.string()),
            ("user", pa.uint64()),
            ("last_day", pa.date32()),
            ("spelling", pa.string()),
        ]
    ),
    required=("pin_id", "kind", "user", "last_day"),
)

IMPRESSIONS = Table(
    "impressions",
    pa.schema(
        [
            ("impression_id", pa.string()),
            ("ts", _TIME),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("country", pa.string()),
            ("pin_id", pa.string()),
            ("position", pa.int32()),
            ("actions", _STRINGS),
            ("source", pa.string()),
        ]
    ),
    required=("impression_id", "query", "pin_id"),
    key=("impression_id",),
)

TRUTH = Table(
    "truth",
    pa.schema(
        [
            ("impression_id", pa.string()),
            ("query", pa.string()),
            ("pin_id", pa.string()),
            ("level", pa.int8()),
        ]
    ),
    required=("impression_id", "query", "pin_id", "level"),
    key=("impression_id",),
)

PIN_TEXT = Table(
    "pin_text",
    pa.schema(
        [
            ("pin_id", pa.string()),
            ("source", pa.string()),
            ("locale", pa.string()),
            *((field, pa.string()) for field in FIELDS),
            ("fingerprint", pa.string()),
        ]
    ),
    required=("pin_id", "fingerprint"),
    key=("pin_id",),
)

PAIR_SCORES = Table(
    "pair_scores",
    pa.schema(
        [
            ("query", pa.string()),
            ("pin_id", pa.string()),
            ("uncertainty", pa.float32()),
            ("disagreement", pa.float32()),
        ]
    ),
    required=("query", "pin_id"),
)

SAMPLED_PAIRS = Table(
    "sampled_pairs",
    pa.schema(
        [
            ("pair_key", pa.string()),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("pin_id", pa.string()),
            ("source", pa.string()),
            ("stratum", pa.string()),
            ("weight", pa.float32()),  # impressions that the pair stands for
        ]
    ),
    required=("pair_key", "query", "pin_id"),
    key=("pair_key",),
)

SOFT_LABELS = Table(
    "soft_labels",
    pa.schema(
        [
            ("pair_key", pa.string()),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("pin_id", pa.string()),
            ("source", pa.string()),
            ("weight", pa.float32()),
            ("logits", pa.list_(pa.float32(), NUM_LEVELS)),
            ("num_tokens", pa.int32()),
            ("teacher", pa.string()),
            ("fingerprint", pa.string()),
        ]
    ),
    required=("pair_key", "query", "pin_id", "logits", "teacher", "fingerprint"),
    key=("pair_key",),
)

PIN_EMBEDDINGS = Table(
    "pin_embeddings",
    pa.schema(
        [
            ("pin_id", pa.string()),
            ("vector", pa.list_(pa.float16())),
            ("fingerprint", pa.string()),
            ("encoder", pa.string()),
        ]
    ),
    required=("pin_id", "vector", "fingerprint", "encoder"),
    key=("pin_id",),
)

EXTERNAL_EMBEDDINGS = Table(
    "external_embeddings",
    pa.schema(
        [
            ("name", pa.string()),  # NAME@HASH of what made the vectors
            ("id", pa.string()),
            ("vector", pa.list_(pa.float16())),
        ]
    ),
    required=("name", "id", "vector"),
    key=("name", "id"),
)

QUERY_FEATURES = Table(
    "query_features",
    pa.schema([("query", pa.string()), ("query_locale", pa.string())]),
    required=("query",),
)

PIN_FEATURES = Table("pin_features", pa.schema([("pin_id", pa.string())]), required=("pin_id",), key=("pin_id",))

PAIR_FEATURES = Table(
    "pair_features",
    pa.schema([("query", pa.string()), ("pin_id", pa.string())]),
    required=("query", "pin_id"),
    key=("query", "pin_id"),
)

CAPTIONS = Table(
    "captions",
    pa.schema([(name, pa.string()) for name in ("pin_id", "caption", "model", "image_hash")]),
    required=("pin_id", "caption", "model", "image_hash"),
    key=("pin_id",),
)

SERVED = Table(
    "served",
    pa.schema(
        [
            ("list_id", pa.string()),
            ("ts", _TIME),
            ("query", pa.string()),
            ("query_locale", pa.string()),
            ("version", pa.string()),
            ("role", pa.string()),
            ("degraded", pa.string()),
            ("pin_id", pa.string()),
            ("position", pa.int32()),  # in the list that was shown, from 0
            ("score", pa.float32()),
            ("level", pa.int8()),  # the student's likeliest; null where it did not grade the pin
        ]
    ),
    required=("list_id", "ts", "query", "version", "role", "pin_id", "position", "score"),
    key=("list_id", "position"),
    finite=("score",),
)

TABLES = (
    *(PINS, JUDGMENTS, CONSENSUS, ENGAGEMENT, PIN_ENGAGEMENT, IMPRESSIONS, TRUTH, PIN_TEXT),
    *(PAIR_SCORES, SAMPLED_PAIRS, SOFT_LABELS, PIN_EMBEDDINGS, EXTERNAL_EMBEDDINGS),
    *(QUERY_FEATURES, PIN_FEATURES, PAIR_FEATURES, CAPTIONS, SERVED),
)


def with_columns(table: Table, columns: pa.Schema) -> Table:
    """A table of features with the user's own columns, in which numbers must be finite."""
    finite = tuple(column.name for column in columns if pa.types.is_floating(column.type))
    return replace(table, schema=pa.schema([*table.schema, *columns]), finite=finite)


def read(path: str, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table and check it: columns, types, nulls, levels, keys.

    Raises TableError (JudgmentError for judgments) that names the file, the column, the rows and the mend.
    """
    pieces = _typed_pieces(path, table, columns)
    data = pa.concat_tables([piece for _, piece in pieces])
    if found := faults(data, table):
        raise error_of(table)(f"{path}: " + " ".join(each.message(places(each, pieces)) for each in found))
    return data


def read_columns(path: str, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table's columns in the types of its schema, without looking at the rows' values.

    Raises TableError when the path is missing, is no Parquet, lacks a column or has one of another type.
    """
    return pa.concat_tables([piece for _, piece in _typed_pieces(path, table, columns)])


def write(data: pa.Table, path: str, table: Table) -> None:
    """Write a table as a folder with one Parquet file, replacing what was there in one rename.

    Raises TableError when the data does not have exactly the table's columns.
    """
    if data.schema.names != table.schema.names:
        raise TableError(f"{path}: table '{table.name}' has columns {table.schema.names}, got {data.schema.names}")
    write_folder(cast(data, table.schema, path), path)


def faults(data: pa.Table, table: Table) -> list[Fault]:
    """The rows that break a rule of the table: null or empty ids, levels outside 1..5, repeated keys."""
    found = [each for name in table.required if name in data.schema.names for each in empty_rows(data, name)]
    if table is JUDGMENTS and "level" in data.schema.names:
        found += levels_outside(data.column("level"))
    if table is JUDGMENTS and {"query", "split"} <= set(data.schema.names):
        found += misplaced_splits(data)
    found += [each for name in table.finite if name in data.schema.names for each in infinite_rows(data, name)]
    if table.key and all(name in data.schema.names for name in table.key):
        found += repeated_keys(data, table.key)
    return found


def quarantine(data: pa.Table, found: Iterable[Fault], folder: str, name: str, where: str) -> pa.Table:
    """Write the rows of the faults to `folder/name` with their reason, and return the rows that are left.

    Without a fault, what an earlier run left in `folder/name` is removed.
    """
    kept, record = split(data, found, where)
    if record.num_rows:
        write_folder(record, f"{folder}/{name}")
    else:
        remove_folder(f"{folder}/{name}")
    return kept


def error_of(table: Table) -> type[TableError]:
    """The error that says what is wrong with this table."""
    return JudgmentError if table is JUDGMENTS else TableError


def _typed_pieces(path: str, table: Table, columns: Sequence[str] | None) -> list[tuple[str, pa.Table]]:
    wanted = list(columns or table.schema.names)
    require_columns(path, table, wanted)
    schema = pa.schema([table.schema.field(name) for name in wanted])
    return [
        (piece.file, cast(_mark_levels(piece.data, table), schema, piece.file))
        for piece in read_pieces(path, table.name, wanted)
    ]


def require_columns(path: str, table: Table, wanted: list[str]) -> None:
    for file, schema in schemas(path, table.name):
        if missing := [name for name in wanted if name not in schema.names]:
            raise error_of(table)(
                f"{file}: table '{table.name}' lacks column {', '.join(repr(name) for name in missing)}; it has "
                f"{', '.join(schema.names)}. Add the column (nulls are fine unless it is one of "
                f"{', '.join(table.required)}), or rename the one that holds it."
            )


def _mark_levels(data: pa.Table, table: Table) -> pa.Table:
    if table is not JUDGMENTS or "level" not in data.schema.names:
        return data
    column = data.column("level")
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return data
    return data.set_column(data.schema.get_field_index("level"), "level", whole_levels(column))
