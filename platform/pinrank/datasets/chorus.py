"""Ratings of shop search results by three people, as github.com/o19s/chorus publishes them.

    katas/Broad_Query_Set_individual_ratings.csv   query, docid, name, description, agent_1_rating .. agent_3_rating

Grades are 0 to 3. A product without a name says nothing that a model could read: its ratings are left out.
"""

from pathlib import Path
from statistics import fmean

from pinrank.datasets.delimited import read_delimited
from pinrank.datasets.published import Published, Row, digest, judgement_id
from pinrank.errors import TableError
from pinrank.text import tidy

SOURCE = "chorus"
RATINGS = "katas/Broad_Query_Set_individual_ratings.csv"
RATERS = ("agent_1_rating", "agent_2_rating", "agent_3_rating")
SCALE = "0..3, three raters"
LOCALE = "en"
GRADES = ("0", "1", "2", "3")


def level(mean: float) -> int:
    """A mean of three grades 0..3 as a level: the ends need near agreement.

    >>> " ".join(str(level(mean)) for mean in (0, 1 / 3, 1, 2, 8 / 3))
    '1 2 3 4 5'
    """
    if mean > 2.6:
        return 5
    return 4 if mean >= 2 else 3 if mean >= 1 else 2 if mean > 0 else 1


def read(folder: Path) -> Published:
    """Queries, the products that were rated for them, and the three ratings of a pair as one judgement."""
    path = str(folder / RATINGS)
    rows = read_delimited(path, ("query", "docid", "name", *RATERS), ("description",)).rows.to_pylist()
    queries: dict[str, Row] = {}
    items: dict[str, Row] = {}
    judgements: dict[str, Row] = {}
    nameless = 0
    for number, row in enumerate(rows):
        if not tidy(row["name"]):
            nameless += 1
            continue
        grades = [row[rater] for rater in RATERS]
        if not row["query"] or not row["docid"] or not all(grade in GRADES for grade in grades):
            raise TableError(f"{path}: row {number} is no rating 0..3 by three raters: {row}. Download it again.")
        query, item = _query(row["query"]), _item(row["docid"], row["name"], row["description"])
        queries.setdefault(str(query["query_id"]), query)
        items.setdefault(str(item["item_id"]), item)
        judgement = _judgement(query, item, grades)
        judgements.setdefault(str(judgement["judgement_id"]), judgement)
    left_out = {"of a product without a name": nameless}
    return Published(list(queries.values()), list(items.values()), list(judgements.values()), left_out)


def _query(text: str) -> Row:
    return {
        "query_id": f"{SOURCE}:{digest(text, length=10)}",
        "source": SOURCE,
        "query": tidy(text),
        "locale": LOCALE,
        "origin": "shop_query",
        "orig_id": text,
        "keys": [],
    }


def _item(docid: str, name: str, description: str | None) -> Row:
    title, text = tidy(name), tidy(description)
    return {
        "item_id": f"{SOURCE}:{docid}",
        "source": SOURCE,
        "locale": LOCALE,
        "title": title,
        "description": "" if text == title else text,
        "orig_id": docid,
    }


def _judgement(query: Row, item: Row, grades: list[str]) -> Row:
    mean = fmean(map(int, grades))
    return {
        "judgement_id": judgement_id(str(query["query_id"]), str(item["item_id"])),
        "source": SOURCE,
        "query_id": query["query_id"],
        "item_id": item["item_id"],
        "label_original": "/".join(grades),
        "label_scale": SCALE,
        "level": level(mean),
        "rel01": mean / 3,
        "n_raters": len(grades),
        "pair_type": "",
        "orig_id": f"{query['orig_id']}|{item['orig_id']}",
    }
