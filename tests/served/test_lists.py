"""The log of lists: what a day's files say, whole lines and broken ones."""

import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from pinrank import tables
from pinrank.errors import TableError
from pinrank.served.lists import ServedList, read_day
from tests.served.rows import DAY, served_list, write_log


def test_a_day_is_a_row_a_pin_in_the_order_of_the_lists_whatever_file_they_lie_in(tmp_path: Path) -> None:
    lists = [served_list("b", pins=2), served_list("a", pins=3), served_list("c", pins=1)]
    write_log(tmp_path / "one", *lists)
    write_log(tmp_path / "two", *reversed(lists[:1]), name="first")
    write_log(tmp_path / "two", *lists[1:], name="other")
    one, two = (read_day(tmp_path / name, DAY) for name in ("one", "two"))
    assert one.shown.equals(two.shown) and (one.num_lists, one.bad) == (3, ())
    assert one.shown["list_id"].to_pylist() == ["a", "a", "a", "b", "b", "c"]
    assert one.shown["position"].to_pylist() == [0, 1, 2, 0, 1, 0]
    assert not tables.faults(one.shown, tables.SERVED)


def test_a_file_that_was_copied_counts_once(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write_log(tmp_path, served_list("a", pins=2), name=name)
    assert read_day(tmp_path, DAY).num_lists == 1


def test_a_torn_line_and_lines_that_are_no_lists_are_told(tmp_path: Path) -> None:
    path = write_log(tmp_path, served_list("a", pins=2), name="dead", end=".jsonl.open")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"list_id": "b"}\nno json\n' + whole[:40])
    found = read_day(tmp_path, DAY)
    assert found.num_lists == 1
    assert [(bad.file, bad.line) for bad in found.bad] == [(str(path), line) for line in (2, 3, 4)]
    assert found.bad[0].reason.startswith("ts: Field required") and "the line has no end" in found.bad[2].reason


@pytest.mark.parametrize(
    "changed",
    [{"levels": (1,)}, {"positions": (1, 1)}, {"levels": (0, 6)}, {"scores": (float("nan"), 0.5)}, {"query": ""}],
)
def test_a_list_that_contradicts_itself_is_none(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServedList.model_validate(served_list("a", pins=2).model_dump() | changed)


def test_what_is_wrong_with_a_line_is_told_without_the_query_in_it(tmp_path: Path) -> None:
    path = write_log(tmp_path, served_list("a", pins=1))
    path.write_text('{"query": "my secret illness", "ts": "my secret illness"}\n{"my secret illness\n')
    assert not [bad for bad in read_day(tmp_path, DAY).bad if "secret" in bad.reason]


def test_a_day_without_a_log_is_named(tmp_path: Path) -> None:
    write_log(tmp_path, served_list("a", pins=1))
    with pytest.raises(TableError, match=r"2026-05-05: holds no \*.jsonl"):
        read_day(tmp_path, DAY + datetime.timedelta(days=1))
