"""What the readers of owners' layouts share: ids that name their source, and queries with their splits."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.query_groups import groups, splits, text_key
from pinrank.datasets.tidy_form import QUERIES, typed
from pinrank.text import normalise_query, tidy


def named(source: str, *parts: pa.ChunkedArray) -> pa.ChunkedArray:
    """SOURCE:id, so that the ids of two sources never meet; null where a part is null."""
    return pc.binary_join_element_wise(source, *parts, ":")


def text_id(text: str) -> str:
    """12 hex digits (SHA-1) that stand for a text without an id of its own, in any spelling."""
    return hashlib.sha1(normalise_query(text).encode()).hexdigest()[:12]


def constant(value: str, num_rows: int) -> pa.Array:
    """One text for every row."""
    return pa.repeat(pa.scalar(value), num_rows)


def queries_with_splits(
    source: str,
    ids: pa.ChunkedArray | pa.Array,
    queries: Sequence[str | None],
    locales: pa.ChunkedArray | pa.Array,
    owners: Sequence[str | None] | None = None,
) -> pa.Table:
    """Queries in the tidy form, split by the group of their text.

    owners: the owner's split of each query, where there is one.
    """
    texts = [tidy(query) for query in queries]
    return typed(
        {
            "query_id": ids,
            "query": pa.array(texts, pa.string()),
            "locale": locales,
            "source": constant(source, len(texts)),
            "split": pa.array(splits(groups([[text_key(text)] for text in texts]), owners), pa.string()),
        },
        QUERIES,
    )


def queries_of_texts(source: str, queries: Sequence[str | None], locale: str) -> tuple[pa.Table, pa.Array]:
    """Queries that have no ids, each spelt as it stood first, and the query_id of each row (null without a text)."""
    texts = [tidy(query) for query in queries]
    ids = [f"{source}:{text_id(text)}" if text else None for text in texts]
    first = {query_id: text for query_id, text in zip(reversed(ids), reversed(texts), strict=True) if query_id}
    distinct = list(dict.fromkeys(query_id for query_id in ids if query_id))
    table = queries_with_splits(
        source,
        pa.array(distinct, pa.string()),
        [first[query_id] for query_id in distinct],
        constant(locale, len(distinct)),
    )
    return table, pa.array(ids, pa.string())
