"""What lies there of a day's log."""

import datetime
import os
from pathlib import Path

import pytest

from pinrank.daily.arrivals import arrived, compared, refuse_missing
from pinrank.datasets.world import WorldSettings, write_world
from pinrank.errors import CommitError, TableError

DAY = datetime.date(2026, 5, 4)


def log_file(logs: Path, name: str, content: str = "rows") -> Path:
    """A file of a log. Nobody reads it as Parquet here."""
    path = logs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("folder", ["2026-05-04", "date=2026-05-04"])
def test_a_day_is_found_under_either_name(folder: str, tmp_path: Path) -> None:
    log_file(tmp_path, f"impressions/{folder}/a.parquet")
    log_file(tmp_path, "impressions/2026-05-05/b.parquet")
    found = arrived(str(tmp_path), DAY)
    assert found.folders == {"impressions": f"{tmp_path}/impressions/{folder}"}
    assert [(file.table, file.name) for file in found.files] == [("impressions", "a.parquet")]


def test_the_logs_of_a_generated_world_are_found(tmp_path: Path) -> None:
    write_world(WorldSettings(num_pins=50, num_queries=10, num_impressions=2_000), str(tmp_path))
    assert set(arrived(str(tmp_path), datetime.date(2026, 1, 1)).folders) == {"impressions", "engagement"}


def test_a_day_under_both_names_is_refused(tmp_path: Path) -> None:
    log_file(tmp_path, "impressions/2026-05-04/a.parquet")
    log_file(tmp_path, "impressions/date=2026-05-04/a.parquet")
    with pytest.raises(TableError, match="the same day twice"):
        arrived(str(tmp_path), DAY)


def test_a_log_that_is_not_cut_into_days_is_refused(tmp_path: Path) -> None:
    log_file(tmp_path, "impressions/part-00000.parquet")
    with pytest.raises(TableError, match="holds all days in one folder"):
        arrived(str(tmp_path), DAY)


def test_a_file_that_was_copied_again_is_the_same(tmp_path: Path) -> None:
    path = log_file(tmp_path, "impressions/2026-05-04/a.parquet")
    before = arrived(str(tmp_path), DAY)
    os.utime(path, (1, 1))
    now = arrived(str(tmp_path), DAY, before.files)
    assert compared(DAY, before.files, now) == "same"
    assert now.hash == before.hash


def test_a_file_that_came_late_is_noticed(tmp_path: Path) -> None:
    log_file(tmp_path, "impressions/2026-05-04/a.parquet")
    before = arrived(str(tmp_path), DAY)
    log_file(tmp_path, "engagement/2026-05-04/late.parquet")
    now = arrived(str(tmp_path), DAY, before.files)
    assert compared(DAY, before.files, now) == "more"
    assert now.hash != before.hash


def test_a_file_that_changed_or_went_after_it_was_read_is_refused(tmp_path: Path) -> None:
    paths = [log_file(tmp_path, f"impressions/2026-05-04/{name}.parquet") for name in "ab"]
    before = arrived(str(tmp_path), DAY)
    paths[0].write_text("swor")
    os.utime(paths[0], (1, 1))
    with pytest.raises(CommitError, match=r"2026-05-04: 1 files .*impressions/a\.parquet"):
        compared(DAY, before.files, arrived(str(tmp_path), DAY, before.files))
    paths[0].unlink()
    with pytest.raises(CommitError, match=r"impressions/a\.parquet"):
        compared(DAY, before.files, arrived(str(tmp_path), DAY, before.files))


def test_a_log_that_was_pruned_changes_nothing(tmp_path: Path) -> None:
    path = log_file(tmp_path, "impressions/2026-05-04/a.parquet")
    before = arrived(str(tmp_path), DAY)
    path.unlink()
    assert compared(DAY, before.files, arrived(str(tmp_path), DAY, before.files)) == "same"


def test_a_day_without_impressions_has_not_arrived(tmp_path: Path) -> None:
    log_file(tmp_path, "engagement/2026-05-04/a.parquet")
    with pytest.raises(TableError, match="impressions: no folder 2026-05-04 or date=2026-05-04"):
        refuse_missing(DAY, str(tmp_path), arrived(str(tmp_path), DAY))


def test_a_day_without_engagement_has_not_arrived_where_other_days_have_some(tmp_path: Path) -> None:
    log_file(tmp_path, "impressions/2026-05-04/a.parquet")
    refuse_missing(DAY, str(tmp_path), arrived(str(tmp_path), DAY))
    log_file(tmp_path, "engagement/2026-05-03/a.parquet")
    with pytest.raises(TableError, match="engagement: no folder 2026-05-04"):
        refuse_missing(DAY, str(tmp_path), arrived(str(tmp_path), DAY))
