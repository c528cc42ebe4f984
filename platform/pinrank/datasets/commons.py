"""Ratings of Wikimedia Commons search results, as github.com/cormacparle/media-search-signal-test publishes them.

    sql/ratedSearchResult_20211207.sql   a MySQL dump: id, search term, its Wikidata entity, language, file, rating
    input/imageSuggestionRatingsMS.csv   tab-separated: langCode, pageTitle, ...: the terms that nobody typed

One rater a pair, who saw the picture. A term of the second file is the title of an article without a picture, with
underscores for spaces.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from pinrank.datasets.delimited import read_delimited
from pinrank.datasets.published import Published, Row, digest, judgement_id
from pinrank.errors import TableError
from pinrank.text import tidy

SOURCE = "commons"
RATINGS = "sql/ratedSearchResult_20211207.sql"
ARTICLES = "input/imageSuggestionRatingsMS.csv"
SCALE = "-1 bad / 0 indifferent / 1 good"
LEVELS = {"-1": 1, "0": 3, "1": 5}
"""Three real grades: both ends and the middle."""

FILES_OF_ALL_LANGUAGES = "mul"
PAGE = "https://commons.wikimedia.org/wiki/File:"

_TEXT = r"'((?:[^'\\]|\\.)*)'"
_ROW = re.compile(
    rf"\((\d+),(?:{_TEXT}|NULL),(?:{_TEXT}|NULL),(?:{_TEXT}|NULL),(?:{_TEXT}|NULL),(-?\d+|NULL)\)", re.DOTALL
)
_INSERT = "INSERT INTO `ratedSearchResult` VALUES "
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{2,5}$")

Rating = tuple[str, str | None, str | None, str | None, str | None, str | None]


def read(folder: Path) -> Published:
    """Search terms as queries, files as items, ratings as judgements; ratings that are null are left out."""
    articles = _articles(folder / ARTICLES)
    queries: dict[str, Row] = {}
    items: dict[str, Row] = {}
    judgements: dict[str, Row] = {}
    unrated = 0
    for number, term, entity, language, file, rating in ratings((folder / RATINGS).read_text(encoding="utf-8")):
        if not term or not language or not file or rating not in LEVELS:
            unrated += 1
            continue
        is_article = (language, term) in articles
        query = _query(term, entity or "", language, is_article)
        item = _item(file)
        queries.setdefault(str(query["query_id"]), query)
        items.setdefault(str(item["item_id"]), item)
        judgement = _judgement(number, query, item, rating)
        judgements.setdefault(str(judgement["judgement_id"]), judgement)
    return Published(
        list(queries.values()), list(items.values()), list(judgements.values()), {"without a rating": unrated}
    )


def ratings(dump: str) -> Iterator[Rating]:
    """The rows of the dump's INSERT statements: id, search term, entity, language, file, rating; NULL is None.

    Raises TableError at the first place that is no row.
    """
    for line in dump.split("\n"):  # splitlines() would also cut at the odder line breaks inside a text
        if not line.startswith(_INSERT):
            continue
        place = len(_INSERT)
        while line[place : place + 1] not in (";", "\r", ""):
            place += line[place] == ","
            row = _ROW.match(line, place)
            if row is None:
                raise TableError(f"{RATINGS}: no row of ratings at {line[place : place + 80]!r}. Download it again.")
            number, term, entity, language, file, rating = row.groups()
            yield (
                *(number, _unescaped(term), _unescaped(entity), _unescaped(language), _unescaped(file)),
                None if rating == "NULL" else rating,
            )
            place = row.end()


def _articles(path: Path) -> set[tuple[str | None, str | None]]:
    rows = read_delimited(str(path), ("langCode", "pageTitle"), delimiter="\t").rows
    return set(zip(rows.column("langCode").to_pylist(), rows.column("pageTitle").to_pylist(), strict=True))


def _unescaped(text: str | None) -> str | None:
    return None if text is None else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)


def _query(term: str, entity: str, language: str, is_article: bool) -> Row:
    text = tidy(term.replace("_", " ") if is_article else term)
    return {
        "query_id": f"{SOURCE}:{digest(term, language, length=12)}",
        "source": SOURCE,
        "query": text,
        "locale": language,
        "origin": "wikipedia_article_title" if is_article else "commons_search",
        "orig_id": f"{term}|{language}|{entity}",
        "keys": [f"wd:{entity}"] if entity else [],
    }


def _item(file: str) -> Row:
    name = file.replace(" ", "_")
    return {
        "item_id": f"{SOURCE}:{name}",
        "source": SOURCE,
        "locale": FILES_OF_ALL_LANGUAGES,
        "title": tidy(_EXTENSION.sub("", file).replace("_", " ")),
        "link_url": PAGE + quote(name),
        "orig_id": file,
    }


def _judgement(number: str, query: Row, item: Row, rating: str) -> Row:
    return {
        "judgement_id": judgement_id(str(query["query_id"]), str(item["item_id"])),
        "source": SOURCE,
        "query_id": query["query_id"],
        "item_id": item["item_id"],
        "label_original": rating,
        "label_scale": SCALE,
        "level": LEVELS[rating],
        "rel01": (int(rating) + 1) / 2,
        "n_raters": 1,
        "pair_type": "",
        "orig_id": number,
    }
