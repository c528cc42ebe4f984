"""Features of pins and queries from what pinrank's own tables hold, for a student that has no better ones."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.tables import PIN_FEATURES, QUERY_FEATURES, Table, with_columns
from pinrank.text import normalise_query

SAVES, CLICKS = (0, 3), (1, 2)
"""Kinds of pin_engagement: saved to a board, or after a query; clicked, or stayed on the link."""

OF_PINS = with_columns(
    PIN_FEATURES,
    pa.schema(
        [
            ("source", pa.string()),
            ("locale", pa.string()),
            ("caption_words", pa.float64()),  # null without a caption
            ("savers", pa.float64()),  # people; null where no log says
            ("clickers", pa.float64()),
        ]
    ),
)
OF_QUERIES = with_columns(
    QUERY_FEATURES,
    pa.schema(
        [
            ("locales", pa.list_(pa.string())),  # in which it was asked, the most frequent first; empty where unknown
            ("impressions", pa.float64()),  # pins shown for it
        ]
    ),
)


def of_pins(pin_text: pa.Table, engagement: pa.Table | None) -> pa.Table:
    """OF_PINS of rows of pin_text; engagement: PIN_ENGAGEMENT of the same pins, None where there is no log."""
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pin_text["caption"])))
    has_caption = pc.not_equal(pc.utf8_trim_whitespace(pin_text["caption"]), "")
    columns = {
        "pin_id": pin_text["pin_id"],
        "source": _filled(pin_text["source"]),
        "locale": _filled(pin_text["locale"]),
        "caption_words": pc.if_else(has_caption, words.cast(pa.float64()), None),
        "savers": _people(pin_text, engagement, SAVES),
        "clickers": _people(pin_text, engagement, CLICKS),
    }
    return _table(OF_PINS, columns)


def of_queries(impressions: pa.Table) -> pa.Table:
    """OF_QUERIES of a log of impressions: its columns query and query_locale."""
    query = pa.array([normalise_query(query) for query in impressions["query"].to_pylist()], pa.string())
    shown = pa.table({"query": query, "locale": _filled(impressions["query_locale"])})
    counted = shown.group_by(["query", "locale"]).aggregate([([], "count_all")])
    ranked = counted.sort_by([("query", "ascending"), ("count_all", "descending"), ("locale", "ascending")])
    queries: dict[str, tuple[list[str], int]] = {}
    for name, locale, count in zip(*(ranked[column].to_pylist() for column in ranked.schema.names), strict=True):
        locales, total = queries.get(name, ([], 0))
        queries[name] = ([*locales, locale] if locale else locales, total + count)
    columns = {
        "query": pa.array(list(queries), pa.string()),
        "query_locale": pa.nulls(len(queries), pa.string()),
        "locales": pa.array([locales for locales, _ in queries.values()], pa.list_(pa.string())),
        "impressions": pa.array([float(total) for _, total in queries.values()], pa.float64()),
    }
    return _table(OF_QUERIES, columns)


def _people(pin_text: pa.Table, engagement: pa.Table | None, kinds: Sequence[int]) -> pa.Array:
    """How many people did one of the kinds of things with each pin; null where there is no log."""
    if engagement is None:
        return pa.nulls(pin_text.num_rows, pa.float64())
    done = engagement.filter(pc.is_in(engagement["kind"], pa.array(kinds, pa.int8())))
    people = done.group_by("pin_id").aggregate([("user", "count_distinct")])
    place = pc.index_in(pin_text["pin_id"], value_set=people["pin_id"].combine_chunks())
    return pc.fill_null(people["user_count_distinct"].take(place).cast(pa.float64()), 0.0)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Empty texts as null: a missing value, not one of its own."""
    return pc.if_else(pc.equal(column, ""), None, column)


def _table(table: Table, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.table(columns).select(table.schema.names).cast(table.schema)
