"""Unsplash Lite, as its owner publishes it: photographs and the searches after which they were downloaded.

    photos.tsv000        photo_id, photo_url, photo_image_url, photo_submitted_at, photo_description, ai_description
    collections.tsv000   photo_id, collection_id, collection_title
    conversions.tsv000   converted_at, conversion_type, keyword, photo_id, anonymous_user_id, conversion_country

The files are tab-separated, in one or more parts, and have .csv for .tsv in some releases. Nobody graded anything here:
it gives pins, impressions and engagement, no judgments. keywords.tsv is left out: most of it was made by machines.
"""

import re
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs as pafs

from pinrank.datasets.delimited import header, read_delimited
from pinrank.datasets.owners import constant
from pinrank.datasets.search_log import SAVE, TIME, SearchLog, time_of, user_hash
from pinrank.datasets.tidy_form import Broken
from pinrank.errors import TableError
from pinrank.faults import empty_rows, fault, split
from pinrank.parquet import filesystem_of
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, PINS, faults
from pinrank.text import normalise_query, tidy

SOURCE = "unsplash"
LICENCE = "Unsplash's data licence terms (unsplash.com/data-terms): internal use and training, no redistribution"
LOCALE = "en"
DOWNLOAD = "download"
"""The one type of conversion: who downloads a photograph keeps it, which is what a save says."""

MAX_BOARDS = 8
"""Titles of collections that a pin keeps as its board titles, those of most collections first."""

PHOTOS = (
    *("photo_id", "photo_url", "photo_image_url", "photo_submitted_at"),
    *("photo_description", "ai_description"),
)
COLLECTIONS = ("photo_id", "collection_id", "collection_title")
CONVERSIONS = (
    *("converted_at", "conversion_type", "keyword"),
    *("photo_id", "anonymous_user_id", "conversion_country"),
)


def files_of(folder: str, name: str) -> list[str]:
    """The parts of one of the data set's files, in the order of their names."""
    filesystem, inner = filesystem_of(folder)
    found = filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True))
    part = re.compile(rf"{name}\.[tc]sv\d*")
    return sorted(f"{folder}/{each.base_name}" for each in found if each.is_file and part.fullmatch(each.base_name))


def read(folder: str) -> SearchLog:
    """Photographs as pins, downloads after a search as impressions and engagement.

    A download without a search term, a time, a user or a known photograph is recorded, and a photograph without an id.
    Raises TableError when the photos or the conversions are missing, or lack a column.
    """
    photos, photo_lines = _rows(folder, "photos", PHOTOS)
    collections, collection_lines = _rows(folder, "collections", COLLECTIONS, needed=False)
    conversions, conversion_lines = _rows(folder, "conversions", CONVERSIONS)
    all_pins = _pins(photos, _board_titles(collections))
    pins, without_id = split(all_pins, faults(all_pins, PINS), f"{folder}/photos")
    downloads, refused = _usable(conversions, pins, f"{folder}/conversions")
    return SearchLog(
        _impressions(downloads),
        _engagement(downloads),
        pins,
        broken={
            **{**photo_lines, **collection_lines, **conversion_lines},
            **{"photos": Broken(without_id, photos.num_rows), "conversions": refused},
        },
        counts={"downloads": downloads.num_rows},
        rows_in=photos.num_rows + collections.num_rows + conversions.num_rows,
    )


def _rows(folder: str, name: str, columns: tuple[str, ...], needed: bool = True) -> tuple[pa.Table, dict[str, Broken]]:
    paths = files_of(folder, name)
    if not paths and needed:
        raise TableError(f"{folder}: holds no {name}.tsv000. Unpack the data set here, or fix --data.")
    parts = {
        path: read_delimited(path, columns, delimiter="\t" if "\t" in _first_line(path) else ",") for path in paths
    }
    empty = pa.table({column: pa.array([], pa.string()) for column in columns})
    rows = pa.concat_tables([empty, *(part.rows for part in parts.values())])
    return rows, {path.rsplit("/", 1)[-1]: part.broken for path, part in parts.items()}


def _first_line(path: str) -> str:
    return ",".join(header(path))


def _pins(photos: pa.Table, titles: dict[str, list[str]]) -> pa.Table:
    ids = [tidy(each) for each in photos.column("photo_id").to_pylist()]
    columns = {
        "pin_id": pa.array(ids, pa.string()),
        "source": constant(SOURCE, len(ids)),
        "locale": constant(LOCALE, len(ids)),
        "description": _tidied(photos.column("photo_description")),
        "caption": _tidied(photos.column("ai_description")),
        "board_titles": pa.array([titles.get(pin_id, []) for pin_id in ids], pa.list_(pa.string())),
        "link_url": photos.column("photo_url"),
        "image_url": photos.column("photo_image_url"),
        "updated_at": pa.array([time_of(each) for each in photos.column("photo_submitted_at").to_pylist()], TIME),
    }
    empty = constant("", len(ids))
    taken = [columns.get(name, empty) for name in PINS.schema.names]
    return pa.table(taken, schema=PINS.schema)


def _board_titles(collections: pa.Table) -> dict[str, list[str]]:
    """photo_id → titles of the collections that hold it, by their number, then by title; spellings are one title."""
    counted: dict[str, Counter[str]] = {}
    spelling: dict[str, str] = {}
    for photo_id, _, title in zip(*(collections.column(name).to_pylist() for name in COLLECTIONS), strict=True):
        if photo_id and (text := tidy(title)):
            word = normalise_query(text)
            spelling[word] = min(text, spelling.get(word, text))
            counted.setdefault(tidy(photo_id), Counter())[word] += 1
    return {
        photo_id: [
            spelling[word] for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:MAX_BOARDS]
        ]
        for photo_id, words in counted.items()
    }


def _usable(conversions: pa.Table, pins: pa.Table, where: str) -> tuple[pa.Table, Broken]:
    """The downloads that can be used, with their number and time, and the record of the others."""
    times = {text: time_of(text) for text in conversions.column("converted_at").unique().to_pylist()}
    data = conversions.append_column("number", pa.array(range(conversions.num_rows), pa.int64()))
    stamped = pa.array([times[text] for text in conversions.column("converted_at").to_pylist()], TIME)
    data = data.append_column("ts", stamped)
    known = pc.is_in(data.column("photo_id"), pins.column("pin_id").combine_chunks())
    found = [
        *(each for name in ("keyword", "anonymous_user_id", "conversion_type") for each in empty_rows(data, name)),
        *fault("converted_at", "is no time", "Download the data set again.", pc.is_null(data.column("ts"))),
        *fault("photo_id", "names a photograph that photos lacks", "Unpack all parts of photos.", pc.invert(known)),
    ]
    kept, record = split(data, found, where)
    return kept, Broken(record, data.num_rows)


def _impressions(downloads: pa.Table) -> pa.Table:
    num_rows = downloads.num_rows
    columns = {
        "impression_id": pc.binary_join_element_wise(SOURCE, downloads.column("number").cast(pa.string()), ":"),
        "ts": downloads.column("ts"),
        "query": _tidied(downloads.column("keyword")),
        "query_locale": constant("", num_rows),
        "country": downloads.column("conversion_country"),
        "pin_id": downloads.column("photo_id"),
        "position": pa.nulls(num_rows, pa.int32()),
        "actions": pa.array([[each] for each in _actions(downloads).to_pylist()], pa.list_(pa.string())),
        "source": constant(SOURCE, num_rows),
    }
    return pa.table([columns[name] for name in IMPRESSIONS.schema.names], schema=IMPRESSIONS.schema)


def _engagement(downloads: pa.Table) -> pa.Table:
    users = downloads.column("anonymous_user_id")
    hashed = {user: user_hash(user) for user in users.unique().to_pylist()}
    columns = {
        "ts": downloads.column("ts"),
        "user_hash": pa.array([hashed[user] for user in users.to_pylist()], pa.string()),
        "query": _tidied(downloads.column("keyword")),
        "query_locale": constant("", downloads.num_rows),
        "pin_id": downloads.column("photo_id"),
        "action": _actions(downloads),
        "board_title": pa.nulls(downloads.num_rows, pa.string()),
        "dwell_s": pa.nulls(downloads.num_rows, pa.float32()),
    }
    return pa.table([columns[name] for name in ENGAGEMENT.schema.names], schema=ENGAGEMENT.schema)


def _actions(downloads: pa.Table) -> pa.ChunkedArray:
    types = downloads.column("conversion_type")
    return pc.if_else(pc.equal(types, DOWNLOAD), SAVE, types)


def _tidied(column: pa.ChunkedArray) -> pa.Array:
    texts = {text: tidy(text) for text in column.unique().to_pylist()}
    return pa.array([texts[text] for text in column.to_pylist()], pa.string())
