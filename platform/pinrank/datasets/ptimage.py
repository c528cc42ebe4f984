"""Portuguese queries against news pictures, as github.com/LIAAD/pt-image-ir-dataset publishes them (tab-separated).

    data/articles.tsv   id, url, title, content, date, images (ids, comma-separated)
    data/images.tsv     id, url
    data/queries.tsv    id, the query
    data/qrels.txt      TREC: query id, 0, image id, 0 or 1

Source: Duarte et al. 2025, doi 10.5281/zenodo.15566573. Three annotators; a picture has the text of its article.
"""

from collections.abc import Iterator
from pathlib import Path

from pinrank.datasets.delimited import header, read_delimited
from pinrank.datasets.published import Published, Row, judgement_id
from pinrank.errors import TableError
from pinrank.text import tidy

SOURCE = "ptimage"
ARTICLES, IMAGES, QUERIES, QRELS = "data/articles.tsv", "data/images.tsv", "data/queries.tsv", "data/qrels.txt"
SCALE = "0 / 1"
LOCALE = "pt"
LEVELS = {"0": 1, "1": 5}
"""Binary: only the ends are known."""

LONGEST_TEXT = 4_000
"""Characters of an article that are kept."""


def read(folder: Path) -> Published:
    """Queries, pictures with their article as link text, and the qrels as judgements."""
    queries = list(_queries(folder / QUERIES))
    items = list(_items(folder))
    known = {str(query["orig_id"]) for query in queries}, {str(item["item_id"]) for item in items}
    judgements = [_judgement(*pair) for pair in _qrels(folder / QRELS)]
    for each in judgements:
        if str(each["query_id"]).removeprefix(f"{SOURCE}:") not in known[0] or each["item_id"] not in known[1]:
            raise TableError(f"{folder / QRELS}: {each['orig_id']} names a query or picture that is not there.")
    return Published(queries, items, judgements)


def _queries(path: Path) -> Iterator[Row]:
    """The first column is the id and the second the text, whatever they are called."""
    names = tuple(header(str(path), "\t")[:2])
    rows = read_delimited(str(path), names, delimiter="\t").rows
    for number, text in zip(*(rows.column(name).to_pylist() for name in names), strict=True):
        yield {
            "query_id": f"{SOURCE}:{number}",
            "source": SOURCE,
            "query": tidy(text),
            "locale": LOCALE,
            "origin": "author_written",
            "orig_id": number,
            "keys": [],
        }


def _items(folder: Path) -> Iterator[Row]:
    images = read_delimited(str(folder / IMAGES), ("id", "url"), delimiter="\t").rows
    url_of = dict(zip(images.column("id").to_pylist(), images.column("url").to_pylist(), strict=True))
    columns = ("id", "url", "title", "content", "date", "images")
    for article in read_delimited(str(folder / ARTICLES), columns, delimiter="\t").rows.to_pylist():
        for image in filter(None, map(str.strip, (article["images"] or "").split(","))):
            yield {
                "item_id": f"{SOURCE}:{image}",
                "source": SOURCE,
                "locale": LOCALE,
                "link_url": article["url"],
                "link_title": tidy(article["title"]),
                "link_description": tidy(article["content"])[:LONGEST_TEXT],
                "image_url": url_of.get(image) or "",
                "orig_id": f"{image}|{article['id']}|{article['date']}",
            }


def _qrels(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        cells = line.split()
        if len(cells) != 4 or cells[3] not in LEVELS:
            raise TableError(f"{path}: row {number} is no line of qrels with a grade 0 or 1: {line!r}.")
        yield cells[0], cells[2], cells[3]


def _judgement(query: str, image: str, grade: str) -> Row:
    query_id, item_id = f"{SOURCE}:{query}", f"{SOURCE}:{image}"
    return {
        "judgement_id": judgement_id(query_id, item_id),
        "source": SOURCE,
        "query_id": query_id,
        "item_id": item_id,
        "label_original": grade,
        "label_scale": SCALE,
        "level": LEVELS[grade],
        "rel01": float(grade),
        "n_raters": 3,
        "pair_type": "",
        "orig_id": f"{query}|{image}",
    }
