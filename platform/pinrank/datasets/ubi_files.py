"""The files of a User Behavior Insights log (UBI of OpenSearch): documents of queries and of events, one by one.

    ubi_queries*, ubi_events*   JSON lines (.ndjson, .jsonl, .json; also .gz) or Parquet, a file or a folder each

A line is a document, one wrapped as {"_index": ..., "_source": ...}, or OpenSearch's bulk form: a line that names the
index, and the document after it. An index that is named goes before the file's name.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from pinrank.errors import TableError
from pinrank.parquet import filesystem_of, one_line

QUERIES = "ubi_queries"
EVENTS = "ubi_events"

_BULK = ("index", "create")
_PARQUET = ".parquet"
_LINES = (".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")


@dataclass(frozen=True)
class Document:
    """A document, its index, and where it stands; `content` is None for a line that is no document."""

    index: str
    file: str
    row: int
    content: dict[str, Any] | None
    line: str = ""


def files_of(folder: str) -> list[str]:
    """The files of a log under a folder, in the order of their names; none when it is no log."""
    filesystem, inner = filesystem_of(folder)
    found = filesystem.get_file_info(pafs.FileSelector(inner, recursive=True, allow_not_found=True))
    kept = []
    for each in found:
        below = each.path[len(inner) :].strip("/")
        is_log = below.startswith((QUERIES, EVENTS)) and below.endswith((_PARQUET, *_LINES))
        if each.is_file and is_log and not each.base_name.startswith((".", "_")):
            kept.append(f"{folder}/{below}")
    return sorted(kept)


def documents(folder: str) -> Iterator[Document]:
    """The documents of all files; a line that is none comes too, without content. TableError for a damaged file."""
    for path in files_of(folder):
        index = QUERIES if path[len(folder) :].strip("/").startswith(QUERIES) else EVENTS
        try:
            yield from _of_parquet(path, index) if path.endswith(_PARQUET) else _of_lines(path, index)
        except (pa.ArrowException, OSError) as cause:
            raise TableError(f"{path}: cannot be read: {one_line(cause)}. Export it again.") from cause


def _of_parquet(path: str, index: str) -> Iterator[Document]:
    filesystem, inner = filesystem_of(path)
    row = 0
    with filesystem.open_input_file(inner) as file:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=65_536):
            for content in batch.to_pylist():
                yield Document(index, path, row, content)
                row += 1


def _of_lines(path: str, index: str) -> Iterator[Document]:
    filesystem, inner = filesystem_of(path)
    named: str | None = None
    with filesystem.open_input_stream(inner) as file:
        for row, line in enumerate(_lines(file)):
            if not line.strip():
                continue
            content = _json(line)
            if content is not None and (action := _bulk_action(content)):
                named = str(action.get("_index", ""))
                continue
            belongs = named if named is not None else str((content or {}).get("_index", index))
            named = None
            if content is not None and isinstance(content.get("_source"), dict):
                content = content["_source"]
            yield Document(_known(belongs, index), path, row, content, line.decode(errors="replace"))


def _lines(file: pa.NativeFile) -> Iterator[bytes]:
    rest = b""
    while block := file.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _json(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _bulk_action(content: dict[str, Any]) -> dict[str, Any] | None:
    """The action of a bulk line, which has nothing but it."""
    name = next(iter(content), None)
    action = content.get(name) if len(content) == 1 and name in _BULK else None
    return action if isinstance(action, dict) else None


def _known(named: str, otherwise: str) -> str:
    return next((index for index in (QUERIES, EVENTS) if named.startswith(index)), otherwise)
