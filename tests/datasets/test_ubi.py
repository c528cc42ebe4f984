import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets import ubi
from pinrank.datasets.search_log import SearchLog, refuse_too_many_broken, user_hash
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, faults

QUERIES: list[dict[str, Any]] = [
    {
        "application": "shop",
        "query_id": "q1",
        "client_id": "ann",
        "user_query": " Red  shoes",
        "timestamp": "2024-06-01T12:00:00.000Z",
        "query_attributes": {},
        "query_response_hit_ids": ["a", "b", "c"],
    },
    {
        "query_id": "q2",
        "client_id": "bob",
        "user_query": {"query": "lamp"},
        "timestamp": 1717243260000,
        "query_response_hit_ids": ["d", 7],
    },
    {"query_id": "q3", "client_id": "bob", "user_query": "", "timestamp": 1717243260000},
]


def event(action: str, query_id: str | None, pin_id: Any, **others: Any) -> dict[str, Any]:
    attributes = {"object": {"object_id": pin_id, "object_id_field": "sku"}, **others.pop("attributes", {})}
    return {
        "action_name": action,
        "query_id": query_id,
        "client_id": "ann",
        "timestamp": "2024-06-01T12:00:05Z",
        "event_attributes": attributes,
        **others,
    }


EVENTS = [
    event("impression", "q1", "a", attributes={"position": {"ordinal": 1}}),
    event("impression", "q1", "b", attributes={"position": {"ordinal": {"index": 2}}}),
    event("click", "q1", "b", attributes={"position": {"ordinal": 2}, "dwell_time": 12.5}),
    event("add_to_cart", "q1", "b", timestamp="2024-06-01T14:01:00+02:00"),
    event("click", "q2", 7, client_id=None, user_id="bob"),
    event("watch", None, "z"),
    {"action_name": "login", "client_id": "ann", "timestamp": 1717243200000, "event_attributes": {}},
]


def lines(folder: Path, queries: list[Any] = QUERIES, events: list[Any] = EVENTS) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in (("ubi_queries", queries), ("ubi_events", events)):
        (folder / f"{name}.ndjson").write_text("".join(json.dumps(each) + "\n" for each in documents))
    return str(folder)


def shown(log: SearchLog) -> list[tuple[str, str, int | None, list[str]]]:
    rows = log.impressions.to_pylist()
    return [(row["query"], row["pin_id"], row["position"], row["actions"]) for row in rows]


def test_impressions_are_what_events_say_was_seen_and_otherwise_the_hits(tmp_path: Path) -> None:
    log = ubi.read(lines(tmp_path))
    assert shown(log) == [
        ("Red shoes", "a", 1, []),
        ("Red shoes", "b", 2, ["click", "save"]),
        ("lamp", "d", 1, []),
        ("lamp", "7", 2, ["click"]),
    ]
    assert faults(log.impressions, IMPRESSIONS) == []


def test_a_pin_on_which_somebody_acted_was_shown(tmp_path: Path) -> None:
    log = ubi.read(lines(tmp_path, events=[event("click", "q1", "far", attributes={"position": {"ordinal": 40}})]))
    assert ("Red shoes", "far", 40, ["click"]) in shown(log)


def test_events_about_pins_are_engagement_with_times_in_utc(tmp_path: Path) -> None:
    log = ubi.read(lines(tmp_path), locale="en")
    assert faults(log.engagement, ENGAGEMENT) == []
    rows = log.engagement.to_pylist()
    assert [(row["query"], row["pin_id"], row["action"], row["dwell_s"]) for row in rows] == [
        ("Red shoes", "b", "click", 12.5),
        ("Red shoes", "b", "save", None),
        ("lamp", "7", "click", None),
        (None, "z", "watch", None),
    ]
    assert rows[1]["ts"].isoformat() == "2024-06-01T12:01:00+00:00"
    assert [row["user_hash"] for row in rows[1:3]] == [user_hash("ann"), user_hash("bob")]
    assert [row["query_locale"] for row in rows] == ["en", "en", "en", None]


def test_names_of_actions_can_be_mapped(tmp_path: Path) -> None:
    log = ubi.read(lines(tmp_path), actions={"watch": "long_click"})
    assert log.engagement.column("action").to_pylist() == ["click", "add_to_cart", "click", "long_click"]


def test_another_name_of_an_impression_can_be_mapped(tmp_path: Path) -> None:
    log = ubi.read(lines(tmp_path, events=[event("view", "q1", "c", client_id=None)]), actions={"view": "impression"})
    assert shown(log)[0] == ("Red shoes", "c", None, [])
    assert log.engagement.num_rows == 0


def test_what_is_about_no_pin_or_no_search_is_counted(tmp_path: Path) -> None:
    counts = ubi.read(lines(tmp_path, events=[*EVENTS, EVENTS[2]])).counts
    assert counts == {"events_without_object": 1, "queries_without_text": 1, "duplicate_events": 1}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (event("click", "q1", "b", timestamp="soon"), "'timestamp' is no time"),
        (event("", "q1", "b"), "'action_name' is null or empty"),
        (event("click", "q1", "b", client_id="  "), "'client_id' is null or empty"),
    ],
)
def test_bad_event_is_recorded_with_its_row_and_reason(tmp_path: Path, broken: dict[str, Any], reason: str) -> None:
    log = ubi.read(lines(tmp_path, events=[*EVENTS, broken]))
    (row,) = log.broken["ubi_events.ndjson"].record.to_pylist()
    assert row["row"] == len(EVENTS)
    assert reason in row["reason"]
    with pytest.raises(TableError, match=r"ubi_events\.ndjson: 1 of 8 lines are no rows"):
        refuse_too_many_broken(log, 0.01)


def test_line_that_is_no_json_is_recorded(tmp_path: Path) -> None:
    folder = lines(tmp_path)
    with (tmp_path / "ubi_queries.ndjson").open("ab") as file:
        file.write(b'{"query_id": "q9", \xff\n[1]\n')
    record = ubi.read(folder).broken["ubi_queries.ndjson"].record
    assert record.column("reason").to_pylist() == ["is no JSON object"] * 2
    assert record.column("row").to_pylist() == [3, 4]


# The forms in which logs are exported.


def test_bulk_form_in_one_file_says_of_each_document_where_it_belongs(tmp_path: Path) -> None:
    expected = ubi.read(lines(tmp_path / "plain"))
    bulk = []
    for index, documents in (("ubi_queries", QUERIES), ("ubi_events", EVENTS)):
        for each in documents:
            bulk += [{"index": {"_index": index, "_id": "1"}}, each]
    (tmp_path / "bulk").mkdir()
    text = "".join(json.dumps(each) + "\n" for each in bulk)
    (tmp_path / "bulk/ubi_queries_events.ndjson").write_text(text)
    found = ubi.read(str(tmp_path / "bulk"))
    assert found.impressions == expected.impressions
    assert found.engagement == expected.engagement


def test_wrapped_documents_and_compressed_files(tmp_path: Path) -> None:
    expected = ubi.read(lines(tmp_path / "plain"))
    (tmp_path / "export").mkdir()
    for name, documents in (("ubi_queries", QUERIES), ("ubi_events", EVENTS)):
        text = "".join(json.dumps({"_index": name, "_id": "1", "_source": each}) + "\n" for each in documents)
        (tmp_path / f"export/{name}-2024.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    found = ubi.read(str(tmp_path / "export"))
    assert found.impressions == expected.impressions
    assert found.engagement == expected.engagement


def test_parquet_in_files_or_folders(tmp_path: Path) -> None:
    strings = pa.list_(pa.string())
    queries = pa.table(
        {
            "query_id": ["q1", "q2"],
            "user_query": ["red shoes", "lamp"],
            "timestamp": pa.array([1717243200000, 1717243260000], pa.timestamp("ms")),
            "query_response_hit_ids": pa.array([["a", "b"], None], strings),
        }
    )
    attributes = {"object": {"object_id": "b"}, "position": {"ordinal": 2}}
    events = pa.table(
        {
            "action_name": ["click"],
            "query_id": ["q1"],
            "client_id": ["ann"],
            "timestamp": ["2024-06-01T12:00:05Z"],
            "event_attributes": pa.array([attributes]),
        }
    )
    (tmp_path / "ubi_events.parquet").mkdir()
    pq.write_table(queries, tmp_path / "ubi_queries.parquet")
    pq.write_table(events, tmp_path / "ubi_events.parquet/part-0.parquet")
    log = ubi.read(str(tmp_path))
    assert shown(log) == [("red shoes", "a", 1, []), ("red shoes", "b", 2, ["click"])]


def test_bad_rows_of_files_with_one_name_in_two_folders_are_all_recorded(tmp_path: Path) -> None:
    good = "".join(json.dumps(each) + "\n" for each in QUERIES)
    for name, text in (("ubi_queries", good), ("ubi_events", "no document\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-0.ndjson").write_text(text)
    broken = {name: (each.record.num_rows, each.num_lines) for name, each in ubi.read(str(tmp_path)).broken.items()}
    assert broken == {"ubi_events-part-0.ndjson": (1, 1), "ubi_queries-part-0.ndjson": (0, len(QUERIES))}


def test_folder_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"holds no files ubi_queries\* or ubi_events\*"):
        ubi.read(str(tmp_path))


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "ubi_events.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(TableError, match=r"ubi_events\.parquet: cannot be read"):
        ubi.read(str(tmp_path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("query_id", "user_query", "timestamp", "client_id", "action_name", "query_response_hit_ids", "object_id")
ANYTHING = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON)).flatmap(
    lambda content: st.builds(lambda part: {**content, "event_attributes": part}, JSON)
)


@given(st.lists(ANYTHING, max_size=6), st.lists(ANYTHING, max_size=6))
def test_any_documents_become_tables_without_a_fault_or_are_recorded(
    tmp_path_factory: pytest.TempPathFactory, queries: list[Any], events: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = ubi.read(lines(folder, queries, [*EVENTS, *events]))
    assert faults(log.impressions, IMPRESSIONS) == []
    assert faults(log.engagement, ENGAGEMENT) == []
    taken = (
        log.engagement.num_rows + sum(log.counts.values()) + sum(each.record.num_rows for each in log.broken.values())
    )
    assert taken <= log.rows_in == len(queries) + len(EVENTS) + len(events)
