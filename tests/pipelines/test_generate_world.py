from pathlib import Path

import pytest

from pinrank.pipeline import parse
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, TRUTH, read
from pipelines.generate_world import GenerateWorld, main
from pipelines.import_judgments import ImportJudgments
from pipelines.import_judgments import main as import_judgments
from tests import tidy_folder as tidy
from tests.job import run_job


def test_job_writes_five_tables_and_says_that_they_are_generated(tmp_path: Path, root: Path) -> None:
    size = ("--world.num_pins", "100", "--world.num_queries", "20", "--world.num_impressions", "500")
    done = run_job(root, "generate_world", "--output", str(tmp_path), "--world.images", "7", *size)
    assert done.code == 0, done.told
    assert "prove nothing" in done.told
    tables = (PINS, JUDGMENTS, IMPRESSIONS, ENGAGEMENT, TRUTH)
    rows = {table.name: read(str(tmp_path / table.name), table).num_rows for table in tables}
    assert (rows["pins"], rows["impressions"], rows["truth"]) == (100, 500, 500)
    assert done.summary["details"] == {**rows, "images": 7, "resumed_files": 0}
    assert len(list(tmp_path.rglob("*.png"))) == 7
    assert (tmp_path / "generated.json").exists()


def test_import_into_a_generated_world_leaves_nothing_of_it(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    main(
        GenerateWorld(
            output=str(tables), world={"num_pins": 50, "num_queries": 10, "num_impressions": 100, "images": 1}
        )
    )
    import_judgments(ImportJudgments(data=tidy.write(tmp_path / "data"), output=str(tables)))
    assert sorted(path.name for path in tables.iterdir()) == ["impressions", "judgments", "pins"]


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(GenerateWorld, ["--config", str(root / f"pipelines/configs/{profile}/generate_world.yaml")])
    assert found.output == f"runs/{profile}/tables"
