import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

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
