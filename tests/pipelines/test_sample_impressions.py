from pathlib import Path

import pytest

from pinrank.errors import TableError
from pinrank.pipeline import parse
from pinrank.tables import IMPRESSIONS, SAMPLED_PAIRS, read, write
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.sample_impressions import SampleImpressions, main
from tests.job import run_job

WORLD = {"num_pins": 300, "num_queries": 40, "num_impressions": 5_000}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    generate_world(GenerateWorld(output=str(tmp_path), world=WORLD))
    return tmp_path


def test_job_writes_the_pairs_and_counts_what_it_left_out(world: Path, root: Path) -> None:
    done = run_job(root, "sample_impressions", "--tables", str(world), "--size", "200", "--min_per_stratum", "5")
    assert done.code == 0, done.told
    assert read(str(world / "sampled_pairs"), SAMPLED_PAIRS).num_rows == done.summary["rows_out"] == 200
    details = done.summary["details"]
    assert details["impressions_of_held_out_queries"] > 0
    assert details["impressions_already_judged"] > 0
    assert sum(details["strata"].values()) == 200
    assert min(details["strata"].values()) >= 1


def test_same_seed_gives_the_same_pairs_whatever_the_files(world: Path) -> None:
    settings = SampleImpressions(tables=str(world), size=150, seed=3)
    main(settings)
    first = read(str(world / "sampled_pairs"), SAMPLED_PAIRS)
    shown = read(str(world / "impressions"), IMPRESSIONS)
    write(shown.take(list(range(shown.num_rows))[::-1]), str(world / "impressions"), IMPRESSIONS)
    main(settings)
    assert read(str(world / "sampled_pairs"), SAMPLED_PAIRS).equals(first)


def test_no_impressions_are_an_error_that_says_why(world: Path) -> None:
    write(IMPRESSIONS.schema.empty_table(), str(world / "impressions"), IMPRESSIONS)
    with pytest.raises(TableError, match=r"impressions: no pair can be sampled: 0 rows"):
        main(SampleImpressions(tables=str(world)))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(SampleImpressions, ["--config", str(root / f"pipelines/configs/{profile}/sample_impressions.yaml")])
    assert found.size >= {"demo": 5_000, "full": 100_000}[profile]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_chooses_the_same_pairs(world: Path) -> None:
    wanted = {"tables": str(world), "size": 150, "max_per_query": 9, "max_per_pin": 2}
    main(SampleImpressions(**wanted))
    expected = read(str(world / "sampled_pairs"), SAMPLED_PAIRS)
    rows = {"rows_per_piece": 900, "rows_per_partition": 2_000, "rows_without_ray": 0}
    summary = main(SampleImpressions(rows=rows, work=world / "work", **wanted))
    assert summary.details["partitions"] == 3
    assert read(str(world / "sampled_pairs"), SAMPLED_PAIRS).equals(expected)
    assert not (world / "work/partitions").exists()
