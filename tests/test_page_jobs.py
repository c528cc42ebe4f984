"""The jobs of the docs' pages that need no model, copied from the pages and run as they stand on a small world."""

import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pinrank import tables
from tests.conftest import ROOT
from tests.job import run_job
from tests.test_examples import COMMANDS

pytestmark = pytest.mark.slow

WORLD = ("--output", "runs/mine/tables", "--world.num_pins", "300", "--world.num_queries", "40")
PAGES = {
    "docs/bring-your-data.md": ("build_pin_text", "sample_impressions"),
    "docs/data-plane.md": ("build_pin_text", "sample_impressions"),
    "docs/lexical.md": ("fit_lexical",),
    "docs/annotators.md": ("aggregate_judgments",),
}
"""Which jobs of a page. Others need a model, minutes or somebody's data: of those the options are parsed."""


def run(folder: Path, job: str, *options: str) -> dict[str, Any]:
    """The summary of a job that ran in `folder`."""
    done = run_job(folder, job, *options)
    assert done.code == 0, f"{job} {shlex.join(options)}\n{done.told}"
    return done.summary


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the pages' commands name: runs/mine/tables, T for the same, a day's log, scores."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    run(folder, "generate_world", *WORLD)
    world = folder / "runs/mine/tables"
    (folder / "T").symlink_to(world)
    (folder / "LOG").mkdir()
    (folder / "LOG/2026-05-04").symlink_to(world / "engagement")
    write_scores(world)
    run(folder, "build_pin_text", "--tables", "runs/mine/tables")
    (folder / "OLD").mkdir()
    (folder / "OLD/pin_text").symlink_to(world / "pin_text")
    return folder


def write_scores(world: Path) -> None:
    """pair_scores for the first hundred impressions."""
    shown = tables.read(str(world / "impressions"), tables.IMPRESSIONS).slice(0, 100).to_pylist()
    pairs = sorted({(row["query"], row["pin_id"]) for row in shown})
    columns = {
        "query": [query for query, _ in pairs],
        "pin_id": [pin_id for _, pin_id in pairs],
        "uncertainty": pa.array([place / len(pairs) for place in range(len(pairs))], pa.float32()),
        "disagreement": pa.array([0.0] * len(pairs), pa.float32()),
    }
    tables.write(pa.table(columns), str(world / "pair_scores"), tables.PAIR_SCORES)


@pytest.mark.parametrize(
    ("page", "job", "options"),
    [(page, job, options) for page, job, options in COMMANDS if job in PAGES.get(page, ())],
    ids=lambda part: part if isinstance(part, str) else " ".join(part)[:60],
)
def test_a_documented_job_runs_on_a_small_world(page: str, job: str, options: list[str], workplace: Path) -> None:
    summary = run(workplace, job, *options)
    assert summary["name"] == job
    assert summary["rows_out"]


def test_each_of_these_pages_still_shows_its_jobs() -> None:
    shown = {(page, job) for page, job, _ in COMMANDS}
    assert {(page, job) for page, names in PAGES.items() for job in names} <= shown
