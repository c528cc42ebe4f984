"""Soft labels of any number of folders and days: which rows are learnt, and which are refused."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.errors import TableError
from pinrank.keys import column_hashes
from pinrank.soft_labels import day_folder
from pinrank.student import label_files
from pinrank.student.label_files import LabelFiles, find, rows_of
from pinrank.tables import SOFT_LABELS, write


def labels(*keys: str, last: float = 0.0, teacher: str = "teacher@0", weight: float | None = 1.0) -> pa.Table:
    known = {"pin_id": "p", "source": "s", "teacher": teacher, "fingerprint": "0", "weight": weight}
    rows = [{"pair_key": key, "query": key, "logits": [0, 0, 0, 0, last], **known} for key in keys]
    return pa.Table.from_pylist(rows, schema=SOFT_LABELS.schema)


def kept(files: LabelFiles) -> dict[str, float]:
    rows = pa.concat_tables([rows for stretch in files.stretches for rows in rows_of(stretch)])
    return {row["pair_key"]: row["logits"][4] for row in rows.filter(pa.array(files.kept_N)).to_pylist()}


def day(number: int) -> str:
    return day_folder(datetime.date(2026, 5, number))


def test_of_a_pair_labelled_again_the_latest_day_of_the_last_folder_counts(tmp_path: Path):
    write(labels("a", "b", "c", last=1.0), str(tmp_path / "one" / day(9)), SOFT_LABELS)
    write(labels("b", "d", last=2.0), str(tmp_path / "one" / day(10)), SOFT_LABELS)
    write(labels("a", last=3.0), str(tmp_path / "two"), SOFT_LABELS)
    files = find([str(tmp_path / "one"), str(tmp_path / "two")])
    assert kept(files) == {"a": 3.0, "b": 2.0, "c": 1.0, "d": 2.0}
    assert files.num_rows == 4
    assert sorted(files.sample["pair_key"].to_pylist()) == ["a", "b", "c", "d"]


def test_a_limit_keeps_the_same_rows_however_they_lie(tmp_path: Path):
    keys = [f"key {number}" for number in range(100)]
    write(labels(*keys), str(tmp_path / "one"), SOFT_LABELS)
    write(labels(*keys[50:]), str(tmp_path / "two" / day(1)), SOFT_LABELS)
    write(labels(*keys[:50]), str(tmp_path / "two" / day(2)), SOFT_LABELS)
    few, fewer = find([str(tmp_path / "one")], most=10), find([str(tmp_path / "one")], most=5)
    assert len(kept(few)) == 10
    assert kept(few) == kept(find([str(tmp_path / "two")], most=10))
    assert kept(fewer).keys() < kept(few).keys()
    assert set(few.sample["pair_key"].to_pylist()) == set(kept(few))


def test_a_sample_is_of_the_kept_rows_with_the_smallest_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(label_files, "SAMPLED_ROWS", 20)
    keys = [f"key {number}" for number in range(200)]
    write(labels(*keys), str(tmp_path), SOFT_LABELS)
    ordered = np.argsort(column_hashes(pa.array(keys)))
    assert find([str(tmp_path)]).sample["pair_key"].to_pylist() == [keys[place] for place in ordered[:20]]


def test_labels_of_two_teachers_are_refused_unless_that_is_said(tmp_path: Path):
    write(labels("a", "b"), str(tmp_path / day(1)), SOFT_LABELS)
    write(labels("c", teacher="teacher@1"), str(tmp_path / day(2)), SOFT_LABELS)
    with pytest.raises(TableError, match=r"teacher@0 \(2 rows\), teacher@1 \(1 rows\).*say --allow_mixed_teachers"):
        find([str(tmp_path)])
    assert find([str(tmp_path)], allow_mixed_teachers=True).teachers == ("teacher@0", "teacher@1")


def test_no_label_at_all_is_refused(tmp_path: Path):
    write(labels(), str(tmp_path), SOFT_LABELS)
    with pytest.raises(TableError, match=r"holds no soft label, so there is nothing to learn\. Run label_impressions"):
        find([str(tmp_path)])


def test_a_folder_that_holds_no_label_adds_nothing_to_another(tmp_path: Path):
    write(labels("a", "b"), str(tmp_path / "graded"), SOFT_LABELS)
    write(labels(), str(tmp_path / "shared"), SOFT_LABELS)
    files = find([str(tmp_path / "graded"), str(tmp_path / "shared")])
    assert (kept(files), files.num_rows) == ({"a": 0.0, "b": 0.0}, 2)


def test_a_row_that_breaks_a_rule_is_refused_with_its_place(tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    rows = labels("a", "b").set_column(3, "pin_id", pa.array(["p", None]))
    write(rows, str(tmp_path / "empty"), SOFT_LABELS)
    with pytest.raises(TableError, match=r"part-00000\.parquet: column 'pin_id' is null or empty in 1 row \(rows 1\)"):
        find([str(tmp_path / "empty")])


def test_a_key_twice_in_a_folder_is_refused(tmp_path: Path):
    write(labels("a"), str(tmp_path), SOFT_LABELS)
    (tmp_path / "part-00000.parquet").rename(tmp_path / "shard-0.parquet")
    again = tmp_path.parent / "again"
    write(labels("a"), str(again), SOFT_LABELS)
    (again / "part-00000.parquet").rename(tmp_path / "shard-1.parquet")
    with pytest.raises(TableError, match="column 'pair_key' repeats a folder's key in 1 rows"):
        find([str(tmp_path)])


def test_the_stamp_changes_with_any_value_and_not_with_the_path(tmp_path: Path):
    for number, changes in enumerate([{}, {}, {"last": 1.0}, {"weight": 2.0}]):
        write(labels("a", "b", **changes), str(tmp_path / str(number)), SOFT_LABELS)
    stamps = [find([str(tmp_path / str(number))]).stamp for number in range(4)]
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


def test_nothing_is_learnt_of_a_query_that_has_come_to_dev_or_test_since(tmp_path: Path):
    write(labels("a", " B ", "c"), str(tmp_path), SOFT_LABELS)
    files = find([str(tmp_path)], held_out=frozenset({"b"}))
    assert (kept(files).keys(), files.num_held_out) == ({"a", "c"}, 1)
    assert files.sample["query"].to_pylist() and " B " not in files.sample["query"].to_pylist()
    assert files.stamp != find([str(tmp_path)]).stamp == find([str(tmp_path)], held_out=frozenset({"z"})).stamp
    with pytest.raises(TableError, match="every soft label is of a query of dev or test"):
        find([str(tmp_path)], held_out=frozenset({"a", "b", "c"}))
