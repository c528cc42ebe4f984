"""The CrowdFlower search results relevance data, as its Kaggle competition publishes it.

    train.csv   id, query, product_title, product_description, median_relevance, relevance_variance

Products have no id: rows with the same title and description are one item. Only train.csv is graded: the median of
several raters from 1 (least relevant) to 4 (most relevant). Groups of queries are split by hash.
"""

import hashlib

import pyarrow as pa

from pinrank.datasets.delimited import read_delimited
from pinrank.datasets.markup import without_markup
from pinrank.datasets.owners import constant, named, queries_of_texts
from pinrank.datasets.tidy_form import GRADE, ITEMS, JUDGEMENTS, Tidy, typed
from pinrank.text import tidy

SOURCE = "crowdflower"
LICENCE = "the rules of Kaggle's competition crowdflower-search-relevance, which you accepted to download it"
FILES = ("train.csv",)
FOLDERS = ("",)
LOCALE = "en"

LEVELS = {"1": 1, "2": 2, "3": 4, "4": 5}
"""Four grades have no middle: two lie on its lower side and two on its upper, so L3 stays empty."""

TRAIN = ("id", "query", "product_title", "product_description", "median_relevance")


def read(folder: str) -> Tidy:
    """The rows of train.csv as judgements, in the owner's order."""
    path = f"{folder}/{FILES[0]}"
    train = read_delimited(path, TRAIN)
    queries, query_ids = queries_of_texts(SOURCE, train.rows.column("query").to_pylist(), LOCALE)
    titles = [tidy(text) for text in train.rows.column("product_title").to_pylist()]
    descriptions = [without_markup(text) for text in train.rows.column("product_description").to_pylist()]
    item_ids = [_item_id(*texts) for texts in zip(titles, descriptions, strict=True)]
    return Tidy(
        queries,
        _items(item_ids, titles, descriptions),
        _judgements(train.rows, query_ids, item_ids),
        paths=dict.fromkeys(("judgements", "queries", "items"), path),
        broken={FILES[0]: train.broken},
    )


def _item_id(title: str, description: str) -> str:
    digest = hashlib.sha1("\x1f".join((title, description)).encode())
    return f"{SOURCE}:{digest.hexdigest()[:16]}"


def _items(ids: list[str], titles: list[str], descriptions: list[str]) -> pa.Table:
    texts = {item_id: texts for item_id, *texts in zip(ids, titles, descriptions, strict=True)}
    return typed(
        {
            "item_id": pa.array(list(texts), pa.string()),
            "source": constant(SOURCE, len(texts)),
            "locale": constant(LOCALE, len(texts)),
            "title": pa.array([title for title, _ in texts.values()], pa.string()),
            "description": pa.array([description for _, description in texts.values()], pa.string()),
        },
        ITEMS,
    )


def _judgements(train: pa.Table, query_ids: pa.Array, item_ids: list[str]) -> pa.Table:
    grades = train.column("median_relevance")
    shares = [(int(grade) - 1) / 3 if grade in LEVELS else None for grade in grades.to_pylist()]
    return typed(
        {
            "judgement_id": named(SOURCE, train.column("id")),
            "query_id": query_ids,
            "item_id": pa.array(item_ids, pa.string()),
            "source": constant(SOURCE, train.num_rows),
            "rel01": pa.array(shares, pa.float32()),
            GRADE: grades,
        },
        JUDGEMENTS,
    )
