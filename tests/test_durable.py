"""Folders that are replaced whole, and locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from pinrank import durable
from pinrank.durable import MountedFolder, exclusive, refuse_other_content, replace_folder, staging_of, write_text
from pinrank.errors import CommitError, TableError


def finished(target: Path, content: str) -> Path:
    staging = staging_of(target)
    (staging / "card.json").write_text(content)
    return staging


def test_a_finished_folder_takes_the_place_of_the_old_one_and_nothing_stays_behind(tmp_path: Path):
    target = tmp_path / "model"
    for content in ("old", "new"):
        replace_folder(finished(target, content), target)
    assert (target / "card.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"work: holds no card\.json.*left alone"):
        replace_folder(finished(tmp_path / "work", "new"), tmp_path / "work")
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years"


def test_a_table_with_a_folder_a_day_is_a_table(tmp_path: Path):
    (tmp_path / "log/2026-01-31").mkdir(parents=True)
    (tmp_path / "log/2026-01-31/part.parquet").write_text("rows")
    refuse_other_content(tmp_path / "log", "*.parquet")
    (tmp_path / "log/2026-01-31").rename(tmp_path / "log/work")
    with pytest.raises(TableError, match=r"log: holds no \*\.parquet.*left alone"):
        refuse_other_content(tmp_path / "log", "*.parquet")


def test_an_empty_folder_is_filled(tmp_path: Path):
    (tmp_path / "model").mkdir()
    replace_folder(finished(tmp_path / "model", "new"), tmp_path / "model")
    assert (tmp_path / "model/card.json").exists()


def test_what_a_killed_process_left_goes_with_the_next_replacement(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".model.{ended.pid}.tmp").mkdir()
    (tmp_path / f".model.{os.getppid()}.tmp").mkdir()
    replace_folder(finished(tmp_path / "model", "new"), tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".model.{os.getppid()}.tmp", "model"]


def test_a_small_file_is_replaced(tmp_path: Path):
    for text in ("one", "two"):
        write_text(tmp_path / "record.json", text)
    assert (tmp_path / "record.json").read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path):
    with exclusive(tmp_path / ".lock"):
        with pytest.raises(CommitError, match=f"another job writes here \\(process {os.getpid()} on "):
            with exclusive(tmp_path / ".lock"):
                pass
    with exclusive(tmp_path / ".lock"):
        pass


def test_a_child_that_inherited_the_lock_holds_it_on(tmp_path: Path):
    with exclusive(tmp_path / ".lock") as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    with pytest.raises(CommitError):
        with exclusive(tmp_path / ".lock"):
            pass
    child.communicate(b"\n")
    with exclusive(tmp_path / ".lock"):
        pass


def test_a_uri_is_no_mounted_folder():
    with pytest.raises(ValidationError, match="mounted disk"):
        TypeAdapter(MountedFolder).validate_python("s3://bucket/teacher")


def test_a_folder_that_takes_the_place_of_a_checkpoint_is_on_the_disk_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, target = tmp_path / "new", tmp_path / "model"
    (staging / "inner").mkdir(parents=True)
    (staging / "card.json").write_text("{}")
    (staging / "inner/weights").write_text("1")
    done: list[str] = []
    monkeypatch.setattr(durable, "sync", lambda path: done.append(str(path.relative_to(tmp_path))))
    monkeypatch.setattr(durable, "replace_folder", lambda staging, target: done.append("replaced"))
    durable.put_folder_in_place(staging, target)
    assert set(done[:4]) == {"new", "new/card.json", "new/inner", "new/inner/weights"}
    assert done[4:] == ["replaced", "."]
