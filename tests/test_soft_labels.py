"""Soft labels are read from one job's folder or from one a day."""

import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import TableError
from pinrank.soft_labels import day_folder, read_labels
from pinrank.tables import SOFT_LABELS, write
from tests.labeling.rows import labels, pin_texts, sampled, work_rows


def graded(*queries: str, last: float = 4.0) -> pa.Table:
    return labels(work_rows(sampled(*((query, "p1") for query in queries)), pin_texts(p1="red")), last=last)


def day(number: int) -> str:
    return day_folder(datetime.date(2026, 5, number))


def read(folder: Path) -> dict[str, float]:
    found = read_labels(str(folder))
    assert found.schema.equals(SOFT_LABELS.schema)
    return {row["query"]: row["logits"][4] for row in found.to_pylist()}


def test_one_jobs_folder_reads_as_it_is(tmp_path: Path) -> None:
    write(graded("a", "b"), str(tmp_path), SOFT_LABELS)
    assert read(tmp_path) == {"a": 4, "b": 4}


def test_of_a_pair_of_several_days_the_latest_counts(tmp_path: Path) -> None:
    write(graded("a", "b", last=1.0), str(tmp_path / day(9)), SOFT_LABELS)
    write(graded("b", "c", last=2.0), str(tmp_path / day(10)), SOFT_LABELS)
    assert read(tmp_path) == {"a": 1, "b": 2, "c": 2}
    assert read(tmp_path / day(9)) == {"a": 1, "b": 1}


def test_a_day_with_nothing_yet_and_other_folders_are_passed_over(tmp_path: Path) -> None:
    write(graded("a"), str(tmp_path / day(9)), SOFT_LABELS)
    write(graded("x"), str(tmp_path / day(9) / "quarantine" / "sampled_pairs"), SOFT_LABELS)
    (tmp_path / day(10)).mkdir()
    (tmp_path / day(10) / ".lock").touch()
    (tmp_path / "reports").mkdir()
    assert read(tmp_path) == {"a": 4}


def test_no_labels_at_all_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no Parquet file"):
        read_labels(str(tmp_path))
    with pytest.raises(TableError, match="no such file or folder"):
        read_labels(str(tmp_path / "mistyped"))
