from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.errors import SettingsError, TableError
from pinrank.pipeline import parse
from pinrank.tables import IMPRESSIONS, JUDGMENTS, PINS, read
from pipelines.import_judgments import ImportJudgments, main
from tests import tidy_folder as tidy
from tests.datasets import test_wands
from tests.job import run_job


def settings(data: str, output: Path, **others: object) -> ImportJudgments:
    return ImportJudgments(data=data, output=str(output), **others)


def test_job_writes_the_three_tables_and_its_summary(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "tables"
    done = run_job(root, "import_judgments", "--data", tidy.write(tmp_path / "data"), "--output", str(output))
    assert done.code == 0, done.told
    rows = {table.name: read(str(output / table.name), table).num_rows for table in (PINS, JUDGMENTS, IMPRESSIONS)}
    assert rows == {"pins": 4, "judgments": 5, "impressions": 4}
    assert done.summary["name"] == "import_judgments"
    assert (done.summary["rows_in"], done.summary["rows_out"], done.summary["quarantined"]) == (17, 13, 0)
    assert done.summary["details"]["judgments_by_split"] == {"train": 3, "dev": 1, "test": 1}


def test_bad_input_is_one_line_and_code_two_and_nothing_is_written(tmp_path: Path, root: Path) -> None:
    data = tidy.write(tmp_path / "data", queries=tidy.QUERIES.drop_columns(["query"]))
    done = run_job(root, "import_judgments", "--data", data, "--output", str(tmp_path / "tables"))
    assert done.code == 2
    assert "Traceback" not in done.told
    assert f"TableError: {data}/queries.parquet: table 'queries' lacks column 'query'" in done.told.splitlines()[-1]
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(ImportJudgments, ["--config", str(root / f"pipelines/configs/{profile}/import_judgments.yaml")])
    assert found.output == f"runs/{profile}/tables"


def test_level_map_comes_from_the_command_line(tmp_path: Path) -> None:
    data = tidy.write(tmp_path / "data", judgements=tidy.JUDGEMENTS.drop_columns(["level"]))
    arguments = ["--data", data, "--output", str(tmp_path / "tables"), "--level-map", "0:1,1:3,2:5"]
    main(parse(ImportJudgments, arguments))
    assert read(str(tmp_path / "tables/judgments"), JUDGMENTS).column("level").to_pylist() == [5, 1, 5, 3, 1]


def test_bad_level_map_is_a_bad_setting() -> None:
    with pytest.raises(SettingsError, match=r"level_map: .*grade:level"):
        parse(ImportJudgments, ["--level_map", "0-1"])


def test_quarantine_is_written_counted_and_forgotten_when_mended(tmp_path: Path) -> None:
    output = tmp_path / "tables"
    broken = tidy.changed(tidy.JUDGEMENTS, "level", [5, 1, 5, 3, 7])
    summary = main(settings(tidy.write(tmp_path / "data", judgements=broken), output, max_quarantined_share=0.5))
    assert summary.quarantined == 1
    (row,) = pq.read_table(output / "quarantine/judgements").to_pylist()
    assert (row["row"], row["reason"]) == (4, "'level' is outside 1..5")
    assert main(settings(tidy.write(tmp_path / "data"), output)).quarantined == 0
    assert not (output / "quarantine/judgements").exists()


def test_demo_reduces_impressions_and_unused_pins_and_counts_both(tmp_path: Path) -> None:
    summary = main(settings(tidy.write(tmp_path / "data"), tmp_path / "tables", max_impressions=0, pins_used_only=True))
    assert (summary.details["impressions"], summary.details["impressions_left_out"]) == (0, 4)
    assert (summary.details["pins"], summary.details["pins_unused"]) == (3, 1)
    assert read(str(tmp_path / "tables/pins"), PINS).column("pin_id").to_pylist() == ["a", "b", "c"]


def test_running_again_gives_the_same_tables(tmp_path: Path) -> None:
    data = tidy.write(tmp_path / "data")
    both = [tmp_path / "first", tmp_path / "second"]
    for output in both:
        main(settings(data, output, max_impressions=2))
    tables: list[list[pa.Table]] = [
        [read(str(output / table.name), table) for table in (PINS, JUDGMENTS, IMPRESSIONS)] for output in both
    ]
    assert tables[0] == tables[1]


def test_data_set_in_its_owners_layout_is_recognised_and_its_licence_logged(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "tables"
    done = run_job(
        root, "import_judgments", "--data", test_wands.write(tmp_path / "WANDS/dataset"), "--output", str(output)
    )
    assert done.code == 0, done.told
    assert "Its licence: MIT (github.com/wayfair/WANDS)" in done.told
    assert read(str(output / "judgments"), JUDGMENTS).column("level").to_pylist() == [5, 1, 3]
    assert read(str(output / "impressions"), IMPRESSIONS).num_rows == 0


def test_level_map_of_the_command_line_goes_before_the_layouts(tmp_path: Path) -> None:
    data = test_wands.write(tmp_path / "data")
    main(settings(data, tmp_path / "tables", level_map="Exact:5,Partial:4,Irrelevant:1"))
    assert read(str(tmp_path / "tables/judgments"), JUDGMENTS).column("level").to_pylist() == [5, 1, 4]


def test_layout_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not have the layout home_depot"):
        main(settings(test_wands.write(tmp_path / "data"), tmp_path / "tables", layout="home_depot"))


def test_unknown_layout_is_a_bad_setting() -> None:
    with pytest.raises(SettingsError, match="layout: Input should be 'auto', 'tidy', 'esci'"):
        parse(ImportJudgments, ["--layout", "excel"])
