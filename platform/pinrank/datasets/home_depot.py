"""The Home Depot product search relevance data, as its Kaggle competition publishes it (ISO 8859-1).

    train.csv                  id, product_uid, product_title, search_term, relevance
    product_descriptions.csv   product_uid, product_description
    attributes.csv             optional: product_uid, name, value

Only train.csv is graded: at least three raters gave 1 (irrelevant), 2 (partly relevant) or 3 (perfect match), and the
file holds their mean. No split is published that has grades: groups of queries are split by hash.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.delimited import Delimited, read_delimited
from pinrank.datasets.markup import without_markup
from pinrank.datasets.owners import constant, named, queries_of_texts
from pinrank.datasets.tidy_form import GRADE, ITEMS, JUDGEMENTS, Tidy, typed
from pinrank.parquet import exists

SOURCE = "home_depot"
LICENCE = "the rules of Kaggle's competition home-depot-product-search-relevance, which you accepted to download it"
FILES = ("train.csv", "product_descriptions.csv")
ATTRIBUTES = "attributes.csv"
FOLDERS = ("",)
ENCODING = "latin-1"
LOCALE = "en"

_LOW = ("1.25", "1.33", "1.5", "1.67", "1.75")
_HIGH = ("2.25", "2.33", "2.5", "2.67", "2.75")
LEVELS = {"1": 1, **dict.fromkeys(_LOW, 2), "2": 3, **dict.fromkeys(_HIGH, 4), "3": 5}
"""The means of three or four raters, without a fraction's zeros. The ends need agreement: L1 and L5 when every rater
gave the lowest or the highest grade, L3 at the scale's middle, L2 and L4 between."""

TRAIN = ("id", "product_uid", "product_title", "search_term", "relevance")


def read(folder: str) -> Tidy:
    """The rows of train.csv as judgements, in the owner's order; a product's attributes are its link description."""
    train, described = f"{folder}/{FILES[0]}", f"{folder}/{FILES[1]}"
    judged = read_delimited(train, TRAIN, encoding=ENCODING)
    texts = read_delimited(described, ("product_uid", "product_description"), encoding=ENCODING)
    attributes = _attributes(f"{folder}/{ATTRIBUTES}")
    queries, query_ids = queries_of_texts(SOURCE, judged.rows.column("search_term").to_pylist(), LOCALE)
    files = {FILES[0]: judged, FILES[1]: texts, ATTRIBUTES: attributes}
    return Tidy(
        queries,
        _items(judged.rows, texts.rows, attributes.rows if attributes else None),
        _judgements(judged.rows, query_ids),
        paths={"judgements": train, "queries": train, "items": train},
        broken={name: each.broken for name, each in files.items() if each},
    )


def _attributes(path: str) -> Delimited | None:
    return read_delimited(path, ("product_uid", "name", "value"), encoding=ENCODING) if exists(path) else None


def _judgements(train: pa.Table, query_ids: pa.Array) -> pa.Table:
    grades = [_without_zeros(grade) for grade in train.column("relevance").to_pylist()]
    means = [float(grade) if grade in LEVELS else None for grade in grades]
    return typed(
        {
            "judgement_id": named(SOURCE, train.column("id")),
            "query_id": query_ids,
            "item_id": named(SOURCE, train.column("product_uid")),
            "source": constant(SOURCE, train.num_rows),
            "rel01": pa.array([None if mean is None else (mean - 1) / 2 for mean in means], pa.float32()),
            GRADE: pa.array(grades, pa.string()),
        },
        JUDGEMENTS,
    )


def _without_zeros(grade: str | None) -> str | None:
    return grade.rstrip("0").rstrip(".") if grade and "." in grade else grade


def _items(train: pa.Table, texts: pa.Table, attributes: pa.Table | None) -> pa.Table:
    by_id = train.group_by(["product_uid"], use_threads=False).aggregate([("product_title", "first")])
    ids = by_id.column("product_uid")
    described = texts.column("product_description").take(pc.index_in(ids, texts.column("product_uid").combine_chunks()))
    features = _features(attributes) if attributes else {}
    return typed(
        {
            "item_id": named(SOURCE, ids),
            "source": constant(SOURCE, by_id.num_rows),
            "locale": constant(LOCALE, by_id.num_rows),
            "title": by_id.column("product_title_first"),
            "description": pa.array([without_markup(text) for text in described.to_pylist()], pa.string()),
            "link_description": pa.array([", ".join(features.get(uid, ())) for uid in ids.to_pylist()], pa.string()),
        },
        ITEMS,
    )


def _features(attributes: pa.Table) -> dict[str, list[str]]:
    """product_uid → its attributes in the owner's order; numbered bullet points go without their number's name."""
    features: dict[str, list[str]] = {}
    columns = (attributes.column(name).to_pylist() for name in ("product_uid", "name", "value"))
    for uid, name, value in zip(*columns, strict=True):
        if uid and value:
            features.setdefault(uid, []).append(value if not name or name.startswith("Bullet") else f"{name}: {value}")
    return features
