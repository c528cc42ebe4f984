"""Public judgments of several sources, each as its parser read it, joined into one folder in the tidy form.

Ids are made as in the form's first folder: 12 or 10 hex digits (SHA-1) of a query, 14 of a pair, so that folders that
were built at different times name the same thing alike. Groups of queries and their splits are made over all sources.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.candidates import bm25_candidates
from pinrank.datasets.query_groups import groups, splits, text_key

_STRING, _STRINGS = pa.string(), pa.list_(pa.string())

QUERY_ROWS = pa.schema(
    [(name, _STRING) for name in ("query_id", "source", "query", "locale", "origin", "orig_id")] + [("keys", _STRINGS)]
)
"""keys: what a query shares with others beside its text, such as an entity or a picture."""

ITEM_ROWS = pa.schema(
    [
        (name, _STRING)
        for name in (
            *("item_id", "source", "locale", "title", "description"),
            *("link_url", "link_title", "link_description", "image_url", "orig_id"),
        )
    ]
    + [("image_captions", _STRINGS), ("board_titles", _STRINGS)]
)

JUDGEMENT_ROWS = pa.schema(
    [(name, _STRING) for name in ("judgement_id", "source", "query_id", "item_id", "label_original", "label_scale")]
    + [("level", pa.int8()), ("rel01", pa.float32()), ("n_raters", pa.int16())]
    + [(name, _STRING) for name in ("pair_type", "orig_id")]
)

CANDIDATES_A_QUERY = {"commons": 50, "cxc": 20, "ptimage": 200, "chorus": 100}
"""As many pins of its own source BM25 finds for a query: what stands for impressions, which no source published."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class Published:
    """A source: its rows, and how many of the owner's rows a stated rule leaves out, by rule."""

    queries: Sequence[Row]
    items: Sequence[Row]
    judgements: Sequence[Row]
    left_out: Mapping[str, int] = field(default_factory=dict)


def digest(*parts: str, length: int) -> str:
    """The first hex digits of the SHA-1 of parts."""
    return hashlib.sha1("\x1f".join(parts).encode()).hexdigest()[:length]


def judgement_id(query_id: str, item_id: str) -> str:
    """The id of a pair's grade."""
    return digest(query_id, item_id, length=14)


def join(sources: Sequence[Published]) -> dict[str, pa.Table]:
    """The tables of the tidy form, by the name of their file; what nobody judged is in pool_items."""
    judgements = _table([row for each in sources for row in each.judgements], JUDGEMENT_ROWS)
    judged = judgements.column("query_id").unique()
    queries = _table([row for each in sources for row in each.queries], QUERY_ROWS)
    queries = _with_splits(queries.filter(pc.is_in(queries.column("query_id"), judged)), judgements)
    items = _table([row for each in sources for row in each.items], ITEM_ROWS)
    graded = pc.is_in(items.column("item_id"), judgements.column("item_id").unique())
    return {
        "queries": queries,
        "items": items.filter(graded),
        "pool_items": items.filter(pc.invert(graded)),
        "judgements": _with_query_columns(judgements, queries, items),
        "impressions": bm25_candidates(queries, items, judgements, CANDIDATES_A_QUERY),
    }


def _with_splits(queries: pa.Table, judgements: pa.Table) -> pa.Table:
    texts, keys = queries.column("query").to_pylist(), queries.column("keys").to_pylist()
    group_of = groups([[text_key(text), *(others or ())] for text, others in zip(texts, keys, strict=True)])
    counts = judgements.column("query_id").value_counts()
    place = pc.index_in(queries.column("query_id"), counts.field("values"))
    return (
        queries.drop_columns(["keys"])
        .append_column("group_id", pa.array(group_of, _STRING))
        .append_column("n_judged", counts.field("counts").take(place.combine_chunks()))
        .append_column("split", pa.array(splits(group_of), _STRING))
    )


def _with_query_columns(judgements: pa.Table, queries: pa.Table, items: pa.Table) -> pa.Table:
    query = pc.index_in(judgements.column("query_id"), queries.column("query_id").combine_chunks())
    item = pc.index_in(judgements.column("item_id"), items.column("item_id").combine_chunks())
    return (
        judgements.append_column("split", queries.column("split").take(query))
        .append_column("locale", queries.column("locale").take(query))
        .append_column("item_locale", items.column("locale").take(item))
    )


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as a table; of what a row does not say, texts are empty, lists are empty and numbers null."""
    unsaid: dict[str, object] = {
        each.name: [] if each.type == _STRINGS else "" if each.type == _STRING else None for each in schema
    }
    return pa.Table.from_pylist([unsaid | dict(row) for row in rows], schema=schema)
