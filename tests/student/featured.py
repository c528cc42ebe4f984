"""A small world in which the student reads one feature of each kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from pinrank import tables
from pinrank.embeddings.external import PINS, QUERIES, table_of
from pinrank.student.declaration import Declaration
from pinrank.student.examples import EXAMPLES
from pinrank.text import FIELDS, normalise_query

SPEC = """
lexical:
  bm25: [title, all]
  matched: [all]
counts: [query_terms, filled_fields]
external:
  search: {sides: [query, pin]}
  graph: {sides: [pin]}
query:
  categorical:
    intent: {min_count: 1, dim: 2}
    interest: {max_values: 3, min_count: 2, max_size: 3, dim: 4}
  numeric:
    searches: {log1p: true}
pin:
  categorical:
    category: {min_count: 1, dim: 3}
  numeric:
    saves: {log1p: true}
    price: {}
pair:
  numeric:
    shown: {log1p: true}
"""
DIMS = {"search": 6, "graph": 4}
INTERESTS = ("home", "food", "travel", "garden", "art")


def declaration() -> Declaration:
    """The specification above."""
    return Declaration.model_validate(yaml.safe_load(SPEC))


def write_tables(folder: Path, queries: Sequence[str], pin_ids: Sequence[str]) -> Path:
    """The feature tables; some values, and every fourth query and pin, are missing."""
    rng = np.random.default_rng(3)
    known_queries = [query for place, query in enumerate(queries) if place % 4 != 3]
    known_pins = [pin_id for place, pin_id in enumerate(pin_ids) if place % 4 != 3]
    query_rows = [
        {
            "query": query,
            "query_locale": None,
            "intent": (None, "buy", "make")[place % 3],
            "interest": None if place % 5 == 4 else rng.choice(INTERESTS, 1 + place % 4, replace=False).tolist(),
            "searches": None if place % 3 == 1 else float(rng.integers(0, 1000)),
        }
        for place, query in enumerate(known_queries)
    ]
    pin_rows = [
        {
            "pin_id": pin_id,
            "category": (None, "photo", "recipe", "shop")[place % 4],
            "saves": None if place % 5 == 0 else float(rng.integers(0, 100)),
            "price": None if place % 2 else float(rng.normal(20, 5)),
        }
        for place, pin_id in enumerate(known_pins)
    ]
    pair_rows = [
        {"query": query, "pin_id": pin_id, "shown": float(rng.integers(0, 50))}
        for query in queries
        for pin_id in pin_ids[::2]
    ]
    write(folder, tables.QUERY_FEATURES, query_rows, intent=STRING, interest=STRINGS, searches=NUMBER)
    write(folder, tables.PIN_FEATURES, pin_rows, category=STRING, saves=NUMBER, price=NUMBER)
    write(folder, tables.PAIR_FEATURES, pair_rows, shown=NUMBER)
    names = [normalise_query(query) for query in known_queries]
    for name, side, ids in (("search", QUERIES, names), ("search", PINS, known_pins), ("graph", PINS, known_pins[::2])):
        vectors = table_of(f"{name}@1", ids, rng.normal(size=(len(ids), DIMS[name])))
        tables.write(vectors, f"{folder}/external_embeddings/{name}/{side}", tables.EXTERNAL_EMBEDDINGS)
    return folder


STRING, STRINGS, NUMBER = pa.string(), pa.list_(pa.string()), pa.float64()


def write(folder: Path, table: tables.Table, rows: Sequence[Mapping[str, object]], **columns: pa.DataType) -> None:
    """A table of features with its own columns."""
    own = tables.with_columns(table, pa.schema(list(columns.items())))
    tables.write(pa.Table.from_pylist(list(rows), schema=own.schema), f"{folder}/{table.name}", own)


def examples(pairs: Sequence[tuple[str, Mapping[str, str]]]) -> pa.Table:
    """Pairs of a query and a row of pin_text as EXAMPLES."""
    known = {"source": "s", "target": [0.0, 0.0, 0.0, 0.5, 0.5], "temperature": 1.0, "weight": 1.0, "grade": None}
    rows = [{"query": query, "query_locale": None, **dict.fromkeys(FIELDS, ""), **row, **known} for query, row in pairs]
    return pa.Table.from_pylist(rows, schema=EXAMPLES)
