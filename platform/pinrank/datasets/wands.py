"""WANDS, the product search relevance data of Wayfair, as its repository publishes it (tab-separated).

    label.csv     id, query_id, product_id, label
    query.csv     query_id, query, query_class
    product.csv   product_id, product_name, product_class, category hierarchy, product_description, product_features

Source: Chen et al. 2022, ECIR. No split is published: groups of queries are split by hash.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.delimited import read_delimited
from pinrank.datasets.owners import constant, named, queries_with_splits
from pinrank.datasets.tidy_form import GRADE, ITEMS, JUDGEMENTS, Tidy, typed

SOURCE = "wands"
LICENCE = "MIT (github.com/wayfair/WANDS)"
FILES = ("label.csv", "query.csv", "product.csv")
FOLDERS = ("", "dataset")
LOCALE = "en"

LEVELS = {"Exact": 5, "Partial": 3, "Irrelevant": 1}
"""Three grades: both ends and the middle. Nothing was graded between them, so L2 and L4 stay empty."""

COLUMNS = (
    ("id", "query_id", "product_id", "label"),
    ("query_id", "query"),
    (
        *("product_id", "product_name", "product_class", "category hierarchy"),
        *("product_description", "product_features"),
    ),
)


def read(folder: str) -> Tidy:
    """The labels as judgements, in the owner's order; a product page's breadcrumb and features are its link text."""
    paths = [f"{folder}/{name}" for name in FILES]
    labels, queries, products = (
        read_delimited(path, columns, delimiter="\t") for path, columns in zip(paths, COLUMNS, strict=True)
    )
    return Tidy(
        queries_with_splits(
            SOURCE,
            named(SOURCE, queries.rows.column("query_id")),
            queries.rows.column("query").to_pylist(),
            constant(LOCALE, queries.rows.num_rows),
        ),
        _items(products.rows),
        _judgements(labels.rows),
        paths=dict(zip(("judgements", "queries", "items"), paths, strict=True)),
        broken={name: each.broken for name, each in zip(FILES, (labels, queries, products), strict=True)},
    )


def _items(products: pa.Table) -> pa.Table:
    return typed(
        {
            "item_id": named(SOURCE, products.column("product_id")),
            "source": constant(SOURCE, products.num_rows),
            "locale": constant(LOCALE, products.num_rows),
            "title": products.column("product_name"),
            "description": products.column("product_description"),
            "link_title": pc.coalesce(products.column("category hierarchy"), products.column("product_class")),
            "link_description": pc.replace_substring(products.column("product_features"), "|", ", "),
        },
        ITEMS,
    )


def _judgements(labels: pa.Table) -> pa.Table:
    return typed(
        {
            "judgement_id": named(SOURCE, labels.column("id")),
            "query_id": named(SOURCE, labels.column("query_id")),
            "item_id": named(SOURCE, labels.column("product_id")),
            "source": constant(SOURCE, labels.num_rows),
            GRADE: labels.column("label"),
        },
        JUDGEMENTS,
    )
