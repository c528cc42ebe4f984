import datetime
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.dirt import Report, clean
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT
from pinrank.text import normalise_id, normalise_query

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
GOOD = {"ts": NOON, "user_hash": "u", "query": "red", "pin_id": "p", "action": "click", "dwell_s": 3.0}


def piece(*rows: dict, **types: pa.DataType) -> pa.Table:
    """Rows of ENGAGEMENT, GOOD but for what they say, in the types of the schema but for `types`."""
    columns = {
        field.name: pa.array([{**GOOD, **row}.get(field.name) for row in rows], types.get(field.name, field.type))
        for field in ENGAGEMENT.schema
    }
    return pa.table(columns)


def cleaned(*rows: dict, **types: pa.DataType) -> Any:
    return clean(piece(*rows, **types), ENGAGEMENT, "log/a.parquet", start=100)


@pytest.mark.parametrize(
    "row",
    [{"pin_id": None}, {"pin_id": ""}, {"pin_id": " \t"}, {"pin_id": "\x00"}, {"user_hash": "\u200f"}, {"ts": None}],
)
def test_required_value_that_is_empty_sets_the_row_aside(row: dict) -> None:
    found = cleaned({}, row, {})
    assert found.rows.num_rows == 2
    (column,) = row
    (record,) = found.quarantined.to_pylist()
    assert (record["file"], record["row"], record["reason"]) == ("log/a.parquet", 101, f"'{column}' is null or empty")
    assert found.report.faults == Counter({(column, "is null or empty"): 1})


@pytest.mark.parametrize("year", [1970, 1999, 2100, 9999])
def test_impossible_time_sets_the_row_aside(year: int) -> None:
    found = cleaned({}, {"ts": NOON.replace(year=year)})
    assert found.rows.num_rows == 1
    assert found.quarantined["reason"].to_pylist() == ["'ts' is no possible time"]


def test_rows_after_the_last_day_are_set_aside() -> None:
    late = piece({}, {"ts": NOON + datetime.timedelta(days=1)})
    found = clean(late, ENGAGEMENT, "f", last_day=NOON.date())
    assert (found.rows.num_rows, found.report.bad_rows) == (1, 1)


def test_times_with_any_zone_or_none_become_utc() -> None:
    local = datetime.timezone(datetime.timedelta(hours=9))
    for kind in (pa.timestamp("ms"), pa.timestamp("ns", tz="Asia/Tokyo"), pa.timestamp("s", tz="UTC")):
        naive = kind.tz is None
        found = cleaned({"ts": NOON.replace(tzinfo=None) if naive else NOON.astimezone(local)}, ts=kind)
        assert found.rows["ts"].to_pylist() == [NOON]
        name = "times_without_zone" if naive else "times_of_another_zone"
        assert found.report.mended == (Counter() if kind.tz == "UTC" else Counter({name: 1}))


def test_times_in_text_are_read_row_by_row() -> None:
    texts = ["2026-03-01T12:00:00Z", "2026-03-01 21:00:00+09:00", "2026-03-01T12:00:00", "yesterday", "", None]
    found = cleaned(*({"ts": text} for text in texts), ts=pa.string())
    assert found.rows["ts"].to_pylist() == [NOON] * 3
    assert sorted(found.quarantined["row"].to_pylist()) == [103, 104, 105]
    assert found.report.faults == Counter({("ts", "is no possible time"): 2, ("ts", "is null or empty"): 1})


def test_bytes_that_are_no_text_set_their_row_aside() -> None:
    queries = pa.array([b"red", b"\xff\xfe", "\u05d0".encode()]).view(pa.string())
    dirty = piece({}, {}, {})
    found = clean(dirty.set_column(2, "query", queries), ENGAGEMENT, "f")
    assert found.rows["query"].to_pylist() == ["red", "\u05d0"]
    assert found.quarantined["reason"].to_pylist() == ["'query' is no UTF-8 text"]


def test_two_spellings_of_an_id_are_one_and_counted() -> None:
    spellings = ["caf\u00e9:1", "cafe\u0301:1", " caf\u00e9:1", "caf\u00e9\x00:1", "\u200fcaf\u00e9:1\n"]
    found = cleaned(*({"pin_id": each} for each in spellings))
    assert set(found.rows["pin_id"].to_pylist()) == {"caf\u00e9:1"}
    assert found.report.mended["pin_id_respelled"] == 4


def test_case_and_inner_spaces_of_an_id_count() -> None:
    assert cleaned({"pin_id": "A 1"}, {"pin_id": "a 1"}, {"pin_id": "a1"}).rows["pin_id"].to_pylist() == [
        "A 1",
        "a 1",
        "a1",
    ]


def test_impossible_stay_is_unknown() -> None:
    found = cleaned({"dwell_s": -1.0}, {"dwell_s": float("nan")}, {"dwell_s": 0.0}, {"dwell_s": None})
    assert found.rows["dwell_s"].to_pylist() == [None, None, 0.0, None]
    assert found.report.mended == Counter(dwell_s_impossible=2)


def test_column_of_another_kind_is_an_error_that_names_it() -> None:
    with pytest.raises(TableError, match=r"log/a.parquet: column 'dwell_s' has type string where float is needed"):
        cleaned({"dwell_s": "long"}, dwell_s=pa.string())


def test_too_many_bad_rows_are_refused_with_examples() -> None:
    report = Report()
    for start in (0, 2):
        report.add(clean(piece({}, {"pin_id": None}), ENGAGEMENT, "log/a.parquet", start).report)
    report.refuse_too_many(0.5, "log")
    with pytest.raises(
        TableError, match=r"log: 2 of 4 rows .* 'pin_id' is null or empty in 2 rows \(a.parquet:1, a.parquet:3\)"
    ):
        report.refuse_too_many(0.4, "log")


TEXT = st.one_of(
    st.none(), st.text(max_size=4), st.sampled_from(["p", " p", "p\x00", "\u200fp", "\U0001f44d\ufe0f", "שלום"])
)
ROW = st.fixed_dictionaries(
    {
        "ts": st.one_of(st.none(), st.datetimes(timezones=st.just(datetime.UTC))),
        "user_hash": TEXT,
        "query": TEXT,
        "pin_id": TEXT,
        "action": st.sampled_from(["click", "save", "", None]),
        "dwell_s": st.one_of(st.none(), st.floats(width=32)),
    }
)


@given(st.lists(ROW, max_size=8))
def test_any_row_is_used_or_set_aside_with_a_reason(rows: list[dict]) -> None:
    found = cleaned(*rows)
    assert found.rows.num_rows + found.quarantined.num_rows == len(rows) == found.report.rows
    assert found.report.bad_rows == found.quarantined.num_rows
    assert found.rows.schema == ENGAGEMENT.schema
    assert all(record["reason"] for record in found.quarantined.to_pylist())
    for row in found.rows.to_pylist():
        assert all(row[name] for name in ("user_hash", "pin_id", "action"))
        assert row["pin_id"] == normalise_id(row["pin_id"])
        assert row["dwell_s"] is None or row["dwell_s"] >= 0


@given(st.lists(ROW, max_size=8))
def test_cleaning_twice_changes_nothing(rows: list[dict]) -> None:
    once = cleaned(*rows)
    twice = clean(once.rows, ENGAGEMENT, "f")
    assert twice.rows.equals(once.rows)
    assert (twice.report.bad_rows, twice.report.mended) == (0, Counter())


@given(st.text(max_size=6))
def test_spelling_an_id_twice_changes_nothing(name: str) -> None:
    assert normalise_id(normalise_id(name)) == normalise_id(name)


def test_direction_marks_and_drawing_marks_make_no_other_query() -> None:
    assert normalise_query("\u200f\u05de\u05d8\u05d1\u05d7\u200e") == normalise_query("\u05de\u05d8\u05d1\u05d7")
    assert normalise_query("\u2764\ufe0f Tattoo") == "\u2764 tattoo"
    assert "\u200d" in normalise_query("\U0001f468\u200d\U0001f373")
