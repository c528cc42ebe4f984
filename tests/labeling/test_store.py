"""Which earlier jobs' grades are taken, and that a damaged one's are not."""

import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import CommitError, TableError
from pinrank.labeling.manifest import read_manifest, survey
from pinrank.labeling.shards import Grading
from pinrank.labeling.store import finished, num_rows, read
from pinrank.shard_folder import commit_shard, publish, shard_path
from pinrank.soft_labels import day_folder
from tests.labeling.rows import GRADING, labels, pin_texts, sampled, work_rows, write


def job(folder: Path, *queries: str, grading: Grading = GRADING) -> Path:
    """A finished folder of one pair a query."""
    folder.mkdir(parents=True)
    rows = work_rows(sampled(*((query, "p1") for query in queries)), pin_texts(p1="red"), grading)
    work = write(folder, rows, grading)
    for shard in work.shards:
        taken = rows.slice(shard.start, shard.stop - shard.start)
        commit_shard(labels(taken, grading), folder, shard.name, grading)
    publish(folder, survey(folder, work.shards, grading))
    work.path.unlink()
    return folder


def day(root: Path, number: int, *queries: str) -> Path:
    return job(root / day_folder(datetime.date(2026, 5, number)), *queries)


def test_days_come_the_latest_first(tmp_path: Path) -> None:
    first, second = day(tmp_path, 4, "a", "b", "c"), day(tmp_path, 5, "b")
    found = finished([tmp_path], tmp_path / "own", GRADING)
    assert [each.folder for each in found] == [second, first]
    assert num_rows(found) == 4
    assert pa.concat_tables(read(found)).num_rows == 4


def test_a_job_does_not_reuse_itself_nor_a_folder_twice(tmp_path: Path) -> None:
    own, other = day(tmp_path, 4, "a"), day(tmp_path, 5, "b")
    assert [each.folder for each in finished([tmp_path, other], own, GRADING)] == [other]


def test_an_unfinished_job_is_not_in_the_store(tmp_path: Path) -> None:
    (day(tmp_path, 4, "a") / "manifest.json").unlink()
    assert finished([tmp_path], tmp_path / "own", GRADING) == []


def test_grades_of_another_teacher_are_not_reused(tmp_path: Path) -> None:
    job(tmp_path / "other", "a", grading=GRADING.model_copy(update={"teacher": "tiny@11111111"}))
    job(tmp_path / "cut_in_another_way", "a", grading=GRADING.model_copy(update={"rows_per_shard": 7}))
    folders = [tmp_path / "other", tmp_path / "cut_in_another_way"]
    assert [each.folder for each in finished(folders, tmp_path / "own", GRADING)] == folders[1:]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such folder of soft labels to reuse"):
        finished([tmp_path / "mistyped"], tmp_path / "own", GRADING)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_shard_is_named_and_nothing_of_it_is_taken(tmp_path: Path, damage: str) -> None:
    folder = job(tmp_path / "earlier", "a")
    path = shard_path(folder, read_manifest(folder).shards[0].name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink() if damage == "remove" else path.write_bytes(content if damage == "flip" else content[:100])
    with pytest.raises(CommitError, match=f"{path.name}: .* leave it out of --reuse"):
        list(read(finished([folder], tmp_path / "own", GRADING)))
