import datetime
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pinrank.daily.arrivals import arrived, refuse_missing
from pinrank.errors import SettingsError, TableError
from pinrank.pipeline import parse
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, read
from pipelines.import_logs import ImportLogs, main
from tests.datasets import test_ubi, test_unsplash
from tests.job import run_job


def test_ubi_log_becomes_impressions_and_engagement(tmp_path: Path, root: Path) -> None:
    data, output = test_ubi.lines(tmp_path / "logs"), tmp_path / "tables"
    done = run_job(root, "import_logs", "--data", data, "--output", str(output), "--locale", "en")
    assert done.code == 0, done.told
    assert read(str(output / "impressions"), IMPRESSIONS).num_rows == 4
    assert read(str(output / "engagement"), ENGAGEMENT).num_rows == 4
    assert not (output / "pins").exists()
    assert done.summary["details"]["events_without_object"] == 1


def test_unsplash_brings_pins_and_no_judgments(tmp_path: Path) -> None:
    summary = main(ImportLogs(data=test_unsplash.write(tmp_path / "lite"), output=str(tmp_path / "tables")))
    assert summary.details["pins"] == read(str(tmp_path / "tables/pins"), PINS).num_rows == 2
    assert read(str(tmp_path / "tables/judgments"), JUDGMENTS).num_rows == 0


def test_judgments_that_are_there_stay(tmp_path: Path) -> None:
    kept = tmp_path / "tables/judgments"
    kept.mkdir(parents=True)
    (kept / "mine.txt").write_text("mine")
    main(ImportLogs(data=test_unsplash.write(tmp_path / "lite"), output=str(tmp_path / "tables")))
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]


def test_licence_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    main(ImportLogs(data=test_unsplash.write(tmp_path / "lite"), output=str(tmp_path / "tables")))
    assert "Its licence: Unsplash's data licence terms" in caplog.text


def test_bad_rows_are_quarantined_when_few_and_an_error_when_many(tmp_path: Path) -> None:
    broken = [*test_ubi.EVENTS, test_ubi.event("click", "q1", "a", timestamp="soon")]
    data, output = test_ubi.lines(tmp_path / "logs", events=broken), tmp_path / "tables"
    with pytest.raises(TableError, match="1 of 8 lines are no rows"):
        main(ImportLogs(data=data, output=str(output)))
    assert not output.exists()
    assert main(ImportLogs(data=data, output=str(output), max_quarantined_share=0.5)).quarantined == 1
    assert pq.read_table(output / "quarantine/ubi_events.ndjson").num_rows == 1


def test_actions_come_from_the_command_line(tmp_path: Path) -> None:
    given = ["--data", test_ubi.lines(tmp_path / "logs"), "--output", str(tmp_path / "tables")]
    main(parse(ImportLogs, [*given, "--actions", json.dumps({"watch": "long_click"})]))
    actions = read(str(tmp_path / "tables/engagement"), ENGAGEMENT).column("action").to_pylist()
    assert actions == ["click", "add_to_cart", "click", "long_click"]


JUNE_1, JUNE_2 = datetime.date(2024, 6, 1), datetime.date(2024, 6, 2)


def two_days(folder: Path) -> str:
    """The log of test_ubi on June 1, and a query with one hit on June 2."""
    late = test_ubi.QUERIES[0] | {
        "query_id": "q9",
        "timestamp": "2024-06-02T00:00:01Z",
        "query_response_hit_ids": ["late"],
    }
    return test_ubi.lines(folder, queries=[*test_ubi.QUERIES, late])


def days_in(table: Path) -> list[str]:
    return sorted(path.name for path in table.iterdir())


def test_a_log_that_is_cut_into_days_is_what_the_daily_loop_reads(tmp_path: Path) -> None:
    output = tmp_path / "tables"
    settings = ImportLogs(data=two_days(tmp_path / "logs"), output=str(output), by_day=True)
    main(settings)
    assert days_in(output / "impressions") == days_in(output / "engagement") == [str(JUNE_1), str(JUNE_2)]
    for day in (JUNE_1, JUNE_2):
        refuse_missing(day, str(output), arrived(str(output), day))
    assert read(str(output / f"impressions/{JUNE_2}"), IMPRESSIONS).column("pin_id").to_pylist() == ["late"]
    assert read(str(output / f"engagement/{JUNE_2}"), ENGAGEMENT).num_rows == 0
    before = arrived(str(output), JUNE_1).files
    main(settings)
    assert arrived(str(output), JUNE_1).files == before


def test_a_day_that_holds_other_rows_is_not_changed_by_cutting(tmp_path: Path) -> None:
    output = tmp_path / "tables"
    main(ImportLogs(data=test_ubi.lines(tmp_path / "first"), output=str(output), by_day=True))
    more = [*test_ubi.EVENTS, test_ubi.event("click", "q1", "c", timestamp="2024-06-01T15:00:00Z")]
    data = test_ubi.lines(tmp_path / "more", events=more)
    before = arrived(str(output), JUNE_1).files
    with pytest.raises(
        TableError, match=f"holds other rows of that day. Import the day as a whole with --date {JUNE_1}"
    ):
        main(ImportLogs(data=data, output=str(output), by_day=True))
    assert arrived(str(output), JUNE_1).files == before
    main(ImportLogs(data=data, output=str(output), date=JUNE_1))
    assert arrived(str(output), JUNE_1).files != before


def test_the_log_of_a_day_stays_together_over_midnight(tmp_path: Path) -> None:
    output = tmp_path / "tables"
    main(ImportLogs(data=two_days(tmp_path / "logs"), output=str(output), date=JUNE_1))
    assert days_in(output / "impressions") == [str(JUNE_1)]
    assert "late" in read(str(output / f"impressions/{JUNE_1}"), IMPRESSIONS).column("pin_id").to_pylist()


def test_days_are_not_put_beside_a_log_that_is_not_cut(tmp_path: Path) -> None:
    data, output = test_ubi.lines(tmp_path / "logs"), str(tmp_path / "tables")
    main(ImportLogs(data=data, output=output))
    with pytest.raises(TableError, match="holds a log that is not cut into days"):
        main(ImportLogs(data=data, output=output, by_day=True))


def test_a_log_is_of_one_day_or_cut_into_days() -> None:
    with pytest.raises(SettingsError, match="give one of them"):
        parse(ImportLogs, ["--data", "LOGS", "--by_day", "--date", "2024-06-01"])


def test_folder_without_a_log_says_what_each_layout_needs(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"holds no log of searches\. ubi needs ubi_queries\*.*unsplash needs photos"):
        main(ImportLogs(data=str(tmp_path), output=str(tmp_path / "tables")))


def test_data_must_be_named() -> None:
    with pytest.raises(SettingsError, match="data: Field required"):
        parse(ImportLogs, [])


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    config = str(root / f"pipelines/configs/{profile}/import_logs.yaml")
    assert parse(ImportLogs, ["--config", config, "--data", "LOGS"]).output == f"runs/{profile}/tables"
