"""A generated world on disk: written piece by piece, and again where it broke off."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.datasets.world import WorldSettings, forget_generated, generate, mark_generated, write_world
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, TRUTH, Table, read, write
from tests.killed_job import contents, kill_after

SMALL = WorldSettings(
    num_pins=250, num_queries=30, judged_per_query=4, num_impressions=1_500, num_days=3, images=3, rows_per_chunk=100
)
TABLES = (PINS, JUDGMENTS, IMPRESSIONS, ENGAGEMENT, TRUTH)


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    write_world(SMALL, str(tmp_path / "whole"))
    return contents(tmp_path / "whole")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_files_hold_what_the_world_in_memory_holds(tmp_path: Path, table: Table) -> None:
    settings = SMALL.model_copy(update={"rows_per_chunk": 100_000})
    written = write_world(settings, str(tmp_path))
    found = read(str(tmp_path / table.name), table)
    assert found == getattr(generate(settings), table.name)
    assert written.rows[table.name] == found.num_rows


def test_no_file_is_larger_than_a_chunk_and_a_day_has_a_folder(tmp_path: Path, whole: dict[str, bytes]) -> None:
    found = {name: pq.read_table(tmp_path / "whole" / name) for name in whole if name.endswith(".parquet")}
    logged = [(name, table) for name, table in found.items() if not name.startswith("judgments")]
    assert max(table.num_rows for _, table in logged) <= 100
    assert sum(name.startswith("pins/") for name in found) == 3
    for name, table in logged:
        if "ts" in table.column_names:
            day = date.fromisoformat(name.split("/")[1])
            assert {ts.date() for ts in table.column("ts").to_pylist()} == {day}
    assert {name.split("/")[1] for name in found if name.startswith("truth/")} == {
        f"2026-01-0{day}" for day in (1, 2, 3)
    }


def test_ids_are_unique_through_all_files(tmp_path: Path, whole: dict[str, bytes]) -> None:
    for table in TABLES:
        read(str(tmp_path / "whole" / table.name), table)  # refuses repeated keys


def test_a_finished_world_is_left_as_it_is(tmp_path: Path, whole: dict[str, bytes]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*.parquet")}
    again = write_world(SMALL, str(tmp_path / "whole"))
    assert again.resumed_files == len(before)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*.parquet")} == before


def test_what_is_missing_is_made_again_to_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    folder = tmp_path / "whole"
    for name in (
        "pins/part-00000.parquet",
        "truth/2026-01-02/part-00003.parquet",
        "impressions/2026-01-03/part-00001.parquet",
    ):
        (folder / name).unlink()
    (folder / "images/00000/1.png").write_bytes(b"half a picture, as the file of its pins is not there yet")
    (folder / "pins/.part-00000.parquet.1.tmp").write_bytes(b"half a file")
    assert write_world(SMALL, str(folder)).resumed_files == len([name for name in whole if "parquet" in name]) - 3
    assert contents(folder) == whole


@pytest.mark.chaos
def test_a_killed_job_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    settings = {"num_pins": 2_000, "num_impressions": 100_000, "rows_per_chunk": 2_000, "images": 20}
    output = tmp_path / "killed"
    options = [argument for name, value in settings.items() for argument in (f"--world.{name}", str(value))]
    kill_after(3, output / "impressions", "generate_world", ["--output", str(output), *options], "*/part-*.parquet")
    there = len(list(output.rglob("part-*.parquet")))
    resumed = write_world(WorldSettings(**settings), str(output))
    assert 0 < resumed.resumed_files <= there < 3 * 56
    write_world(WorldSettings(**settings), str(tmp_path / "whole"))
    assert contents(output) == contents(tmp_path / "whole")


@pytest.mark.parametrize("change", [{"seed": 1}, {"num_impressions": 500}, {"images": 0}], ids=str)
def test_other_settings_leave_nothing_of_the_old_world(
    tmp_path: Path, whole: dict[str, bytes], change: dict[str, int]
) -> None:
    changed = SMALL.model_copy(update=change)
    assert write_world(changed, str(tmp_path / "whole")).resumed_files == 0
    write_world(changed, str(tmp_path / "fresh"))
    assert contents(tmp_path / "whole") == contents(tmp_path / "fresh")


def test_a_table_of_something_else_is_replaced_and_so_is_the_rest(tmp_path: Path, whole: dict[str, bytes]) -> None:
    folder = tmp_path / "whole"
    write(read(str(folder / "pins"), PINS).slice(0, 10), str(folder / "pins"), PINS)
    (folder / "impressions/2026-01-02/part-00001.parquet").write_bytes(b"no Parquet")
    assert write_world(SMALL, str(folder)).resumed_files == 0
    assert contents(folder) == whole


def test_a_folder_that_holds_no_table_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins/thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"pins: holds no \*\.parquet.*left alone"):
        write_world(SMALL, str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["pins", "thesis.txt"]


def test_a_forgotten_world_leaves_nothing_but_what_others_wrote(tmp_path: Path, whole: dict[str, bytes]) -> None:
    folder = tmp_path / "whole"
    write(PINS.schema.empty_table(), str(folder / "pins"), PINS)
    assert forget_generated(str(folder))
    assert list(contents(folder)) == ["pins/part-00000.parquet"]
    assert not forget_generated(str(folder))


def test_without_the_mark_nothing_is_forgotten(tmp_path: Path) -> None:
    write_world(SMALL, str(tmp_path))
    (tmp_path / "generated.json").unlink()
    before = contents(tmp_path)
    assert not forget_generated(str(tmp_path))
    assert contents(tmp_path) == before


def test_the_mark_holds_the_settings(tmp_path: Path) -> None:
    mark_generated(str(tmp_path / "new"), SMALL)
    said = json.loads((tmp_path / "new/generated.json").read_text())
    assert {name: said[name] for name in said if name != "generator"} == SMALL.model_dump()


def test_a_log_over_a_daily_one_takes_its_place(tmp_path: Path, whole: dict[str, bytes]) -> None:
    folder = str(tmp_path / "whole/engagement")
    first = read(folder, ENGAGEMENT).slice(0, 5)
    write(pa.table(first), folder, ENGAGEMENT)
    assert read(folder, ENGAGEMENT) == first
