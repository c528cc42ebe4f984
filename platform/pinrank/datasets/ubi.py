"""A User Behavior Insights log (UBI of OpenSearch) → impressions and engagement.

A query's impressions are the pins for which an event `impression` says so, and without such events the hits that the
query's document lists; a pin on which somebody acted was shown in any case. An event about a pin that is no impression
is engagement. The files: pinrank.datasets.ubi_files; the fields: the mappings of the plugin
opensearch-project/user-behavior-insights and the JSON schema of o19s/ubi.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets.search_log import CLICK, SAVE, TIME, SearchLog, time_of, user_hash
from pinrank.datasets.tidy_form import Broken
from pinrank.datasets.ubi_files import QUERIES, Document, documents, files_of
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT, IMPRESSIONS
from pinrank.text import tidy

SOURCE = "ubi"
LICENCE = "your own log"
IMPRESSION = "impression"

ACTIONS = {
    **dict.fromkeys(("click", "click_through", "item_click"), CLICK),
    **dict.fromkeys(("add_to_cart", "purchase", "save", "bookmark"), SAVE),
}
"""Names of UBI → the actions that pin text is made of. Other names stay as they are and become no pin text."""

HIT_LISTS = ("query_response_hit_ids", "query_response_object_ids", "query_response_objects_ids")
"""Where a query's document lists what it returned, by version of the schema."""

_QUERIES = pa.schema([("query_id", pa.string()), ("query", pa.string()), ("ts", TIME), ("hits", pa.list_(pa.string()))])
_EVENTS = pa.schema(
    [
        ("query_id", pa.string()),
        ("pin_id", pa.string()),
        ("action", pa.string()),
        ("ts", TIME),
        ("user_hash", pa.string()),
        ("position", pa.int32()),
        ("dwell_s", pa.float32()),
    ]
)
_BATCH = 65_536
_PAIR = ["query_id", "pin_id"]


@dataclass
class _Rows:
    """Rows that are put away as Arrow batches, which take a tenth of the memory."""

    schema: pa.Schema
    waiting: list[dict[str, Any]] = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.waiting.append(row)
        if len(self.waiting) == _BATCH:
            self._put_away()

    def table(self) -> pa.Table:
        self._put_away()
        return pa.Table.from_batches(self.batches, schema=self.schema)

    def _put_away(self) -> None:
        self.batches.append(pa.RecordBatch.from_pylist(self.waiting, schema=self.schema))
        self.waiting = []


@dataclass
class _Reading:
    """What has been read of the files so far."""

    queries: _Rows = field(default_factory=lambda: _Rows(_QUERIES))
    events: _Rows = field(default_factory=lambda: _Rows(_EVENTS))
    broken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    num_rows: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def read(folder: str, *, locale: str = "", actions: Mapping[str, str] | None = None) -> SearchLog:
    """Read a folder of UBI files; locale: of all queries, as UBI does not know it; actions: instead of ACTIONS.

    Rows that break a rule are recorded; an event that stands twice counts once. The log is held in memory: a day at a
    time, for a large one. Raises TableError when the folder has no such files, or one is damaged.
    """
    if not files_of(folder):
        raise TableError(f"{folder}: holds no files ubi_queries* or ubi_events* (.ndjson, .jsonl, .json, .parquet).")
    reading = _Reading()
    for document in documents(folder):
        reading.num_rows[document.file] = reading.num_rows.get(document.file, 0) + 1
        if reason := _take(document, reading, ACTIONS if actions is None else actions):
            text = document.line or str(document.content)
            row = {"file": document.file, "row": document.row, "reason": reason, "content": _storable(text)}
            reading.broken.setdefault(document.file, []).append(row)
    queries = _first_of_each(reading.queries.table(), ["query_id"])
    logged = reading.events.table()
    events = _first_of_each(logged, _EVENTS.names)
    counts = reading.counts | {"duplicate_events": logged.num_rows - events.num_rows}
    return SearchLog(
        _impressions(queries, events, locale),
        _engagement(queries, events, locale),
        broken=_records(reading, folder),
        counts=counts,
        rows_in=sum(reading.num_rows.values()),
    )


def _take(document: Document, reading: _Reading, actions: Mapping[str, str]) -> str | None:
    """Take a document up; the reason when it cannot be used."""
    if document.content is None:
        return "is no JSON object"
    if document.index == QUERIES:
        return _take_query(document.content, reading)
    return _take_event(document.content, reading, actions)


def _take_query(content: dict[str, Any], reading: _Reading) -> str | None:
    query_id, asked = _text(content.get("query_id")), content.get("user_query")
    if not query_id:
        return "'query_id' is null or empty"
    query = _text(asked.get("query") if isinstance(asked, dict) else asked)
    if not query:
        reading.count("queries_without_text")
        return None
    if (ts := time_of(content.get("timestamp"))) is None:
        return "'timestamp' is no time: RFC 3339 or milliseconds since 1970"
    listed: list[Any] = next((content[name] for name in HIT_LISTS if isinstance(content.get(name), list)), [])
    hits = [hit for each in listed if (hit := _text(each))]
    reading.queries.add({"query_id": query_id, "query": query, "ts": ts, "hits": list(dict.fromkeys(hits))})
    return None


def _take_event(content: dict[str, Any], reading: _Reading, actions: Mapping[str, str]) -> str | None:
    attributes = _part(content, "event_attributes")
    pin_id = _text(_part(attributes, "object").get("object_id")) or _text(content.get("object_id"))
    if not pin_id:
        reading.count("events_without_object")
        return None
    name = _text(content.get("action_name"))
    client = next((who for key in ("client_id", "user_id", "session_id") if (who := _text(content.get(key)))), "")
    ts = time_of(content.get("timestamp"))
    if not name:
        return "'action_name' is null or empty"
    if ts is None:
        return "'timestamp' is no time: RFC 3339 or milliseconds since 1970"
    action = actions.get(name, name)
    if not client and action != IMPRESSION:
        return "'client_id' is null or empty, and so are user_id and session_id"
    reading.events.add(
        {
            "query_id": _text(content.get("query_id")) or None,
            "pin_id": pin_id,
            "action": action,
            "ts": ts,
            "user_hash": user_hash(client),
            "position": _ordinal(_part(attributes, "position").get("ordinal")),
            "dwell_s": _seconds(attributes.get("dwell_time")),
        }
    )
    return None


def _impressions(queries: pa.Table, events: pa.Table, locale: str) -> pa.Table:
    said = events.filter(pc.equal(events.column("action"), IMPRESSION))
    acted = events.filter(pc.not_equal(events.column("action"), IMPRESSION))
    listed = _listed(queries.filter(pc.invert(_in(queries, said, "query_id"))))
    shown = pa.concat_tables([each.select([*_PAIR, "position"]) for each in (said, listed, acted)])
    shown = _first_of_each(shown.filter(_in(shown, queries, "query_id")), _PAIR)
    place = pc.index_in(shown.column("query_id"), queries.column("query_id").combine_chunks())
    num_rows = shown.num_rows
    columns = {
        "impression_id": pc.binary_join_element_wise(*(shown.column(name) for name in _PAIR), "/"),
        "ts": queries.column("ts").take(place),
        "query": queries.column("query").take(place),
        "query_locale": pa.repeat(pa.scalar(locale), num_rows),
        "country": pa.nulls(num_rows, pa.string()),
        "pin_id": shown.column("pin_id"),
        "position": shown.column("position"),
        "actions": _actions_on(shown, acted),
        "source": pa.repeat(pa.scalar(SOURCE), num_rows),
    }
    return pa.table([columns[name] for name in IMPRESSIONS.schema.names], schema=IMPRESSIONS.schema)


def _listed(queries: pa.Table) -> pa.Table:
    """One row a hit; the first hit has position 1."""
    hits = queries.column("hits").combine_chunks()
    parents = pc.list_parent_indices(hits)
    positions = [number for each in hits.to_pylist() for number in range(1, len(each or ()) + 1)]
    columns = [queries.column("query_id").take(parents), pc.list_flatten(hits), pa.array(positions, pa.int32())]
    return pa.table(dict(zip((*_PAIR, "position"), columns, strict=True)))


def _actions_on(shown: pa.Table, acted: pa.Table) -> pa.Array:
    """What was done with each pin that was shown for a query, in the order in which it was logged."""
    actions_of: dict[tuple[str | None, str], list[str]] = {}
    for query_id, pin_id, action in zip(*(acted.column(name).to_pylist() for name in (*_PAIR, "action")), strict=True):
        actions_of.setdefault((query_id, pin_id), []).append(action)
    pairs = zip(*(shown.column(name).to_pylist() for name in _PAIR), strict=True)
    return pa.array([actions_of.get(pair, []) for pair in pairs], pa.list_(pa.string()))


def _engagement(queries: pa.Table, events: pa.Table, locale: str) -> pa.Table:
    acted = events.filter(pc.not_equal(events.column("action"), IMPRESSION))
    place = pc.index_in(acted.column("query_id"), queries.column("query_id").combine_chunks())
    query = queries.column("query").take(place)
    columns = {
        "query": query,
        "query_locale": pc.if_else(pc.is_valid(query), locale, None),
        "board_title": pa.nulls(acted.num_rows, pa.string()),
    }
    taken = [columns[name] if name in columns else acted.column(name) for name in ENGAGEMENT.schema.names]
    return pa.table(taken, schema=ENGAGEMENT.schema)


def _first_of_each(rows: pa.Table, key: list[str]) -> pa.Table:
    """The first row of each key, in the order of the rows."""
    numbered = rows.append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
    first = numbered.group_by(key).aggregate([("_row", "min")]).column("_row_min")
    return rows.take(first.combine_chunks().sort()) if rows.num_rows else rows


def _in(rows: pa.Table, others: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.is_in(rows.column(name), others.column(name).unique(), skip_nulls=True)


def _records(reading: _Reading, folder: str) -> dict[str, Broken]:
    schema = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("content", pa.string())])
    return {
        path.removeprefix(folder).strip("/").replace("/", "-"): Broken(
            pa.Table.from_pylist(reading.broken.get(path, []), schema=schema), num_rows
        )
        for path, num_rows in reading.num_rows.items()
    }


def _part(content: dict[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    """Text or a whole number as tidied text; '' for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return tidy(value) if isinstance(value, str) else ""


def _ordinal(value: Any) -> int | None:
    """A place in the list of results: a number, or an object that holds it as `index`."""
    number = value.get("index") if isinstance(value, dict) else value
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31
    return number if known else None


def _seconds(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if known else None


def _storable(text: str) -> str:
    """Text as UTF-8 can hold it."""
    return text.encode(errors="replace").decode()
