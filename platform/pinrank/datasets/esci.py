"""The Shopping Queries data set of Amazon (ESCI), as its repository publishes it.

    shopping_queries_dataset_examples.parquet   example_id, query_id, query, product_id, product_locale, esci_label,
                                                split
    shopping_queries_dataset_products.parquet   product_id, product_locale, product_title, product_description,
                                                product_bullet_point, product_brand, product_color

Source: Reddy et al. 2022, arXiv 2206.06588. A product is known by its locale and id together. The owner's test split
stays test; a tenth of the other groups of queries becomes dev.
"""

from collections.abc import Iterable

import pyarrow as pa

from pinrank.datasets.markup import without_markup
from pinrank.datasets.owners import constant, named, queries_with_splits
from pinrank.datasets.tidy_form import GRADE, ITEMS, JUDGEMENTS, Tidy, typed
from pinrank.tables import Table, read_columns

SOURCE = "esci"
LICENCE = "Apache-2.0 (github.com/amazon-science/esci-data)"
FOLDERS = ("", "shopping_queries_dataset")
"""Where under the folder that was named the files may lie: in it, or where the repository has them."""

LEVELS = {"E": 5, "S": 3, "C": 2, "I": 1}
"""Exact is what was asked for. A substitute fails a part of it but does the job: marginally relevant. A complement does
not do the job but goes with what does: irrelevant, though not without a link. No grade lies between E and S."""

LOCALES = {"us": "en", "es": "es", "jp": "ja"}


def _texts(name: str, *columns: str) -> Table:
    return Table(name, pa.schema([(column, pa.string()) for column in columns]), required=columns[:1])


EXAMPLES = _texts(
    "shopping_queries_dataset_examples",
    *("example_id", "query", "query_id", "product_id", "product_locale", "esci_label", "split"),
)
PRODUCTS = _texts(
    "shopping_queries_dataset_products",
    *("product_id", "product_locale", "product_title", "product_description"),
    *("product_bullet_point", "product_brand", "product_color"),
)
FILES = (f"{EXAMPLES.name}.parquet", f"{PRODUCTS.name}.parquet")


def read(folder: str) -> Tidy:
    """The examples as judgements, in the owner's order, with their labels as grades; the products as items."""
    judged, shown = (f"{folder}/{name}" for name in FILES)
    examples = read_columns(judged, EXAMPLES)
    judgements = typed(
        {
            "judgement_id": named(SOURCE, examples.column("example_id")),
            "query_id": named(SOURCE, examples.column("query_id")),
            "item_id": named(SOURCE, examples.column("product_locale"), examples.column("product_id")),
            "source": constant(SOURCE, examples.num_rows),
            GRADE: examples.column("esci_label"),
        },
        JUDGEMENTS,
    )
    products = read_columns(shown, PRODUCTS).to_batches(max_chunksize=65_536)
    items = [ITEMS.schema.empty_table(), *(_items(batch) for batch in products)]
    paths = {"judgements": judged, "queries": judged, "items": shown}
    return Tidy(_queries(examples), pa.concat_tables(items), judgements, paths=paths)


def _queries(examples: pa.Table) -> pa.Table:
    names = ["query", "product_locale", "split"]
    by_id = examples.group_by(["query_id"], use_threads=False).aggregate([(name, "first") for name in names])
    texts, locales, owners = (by_id.column(f"{name}_first").to_pylist() for name in names)
    return queries_with_splits(SOURCE, named(SOURCE, by_id.column("query_id")), texts, _locales(locales), owners)


def _items(products: pa.RecordBatch) -> pa.Table:
    brands, colours = (products.column(name).to_pylist() for name in ("product_brand", "product_color"))
    return typed(
        {
            "item_id": named(SOURCE, products.column("product_locale"), products.column("product_id")),
            "source": constant(SOURCE, products.num_rows),
            "locale": _locales(products.column("product_locale").to_pylist()),
            "title": _plain(products.column("product_title").to_pylist()),
            "description": _plain(products.column("product_description").to_pylist()),
            "link_title": _plain(" ".join(filter(None, maker)) for maker in zip(brands, colours, strict=True)),
            "link_description": _plain(products.column("product_bullet_point").to_pylist()),
        },
        ITEMS,
    )


def _locales(codes: Iterable[str]) -> pa.Array:
    return pa.array([LOCALES.get(code, code) for code in codes], pa.string())


def _plain(texts: Iterable[str | None]) -> pa.Array:
    return pa.array([without_markup(text) for text in texts], pa.string())
