"""The loop over days as it runs on a cluster: every job its own process, all of them on one Ray session."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pinrank import registry
from pinrank.embeddings.store import PinStore
from pinrank.pipeline import parse
from pinrank.soft_labels import read_labels
from pipelines.compare_students import CompareStudents
from pipelines.daily import Daily
from tests.daily.tiny_loop import write_configs, write_log, write_root

SATURDAY, SUNDAY = datetime.date(2026, 1, 3), datetime.date(2026, 1, 4)


def run_daily(root: Path, repository: Path, configs: Path, date: datetime.date) -> "subprocess.CompletedProcess[str]":
    import ray

    command = [sys.executable, "-m", "pipelines.daily", "--root", root, "--configs", configs, "--date", str(date)]
    joined = {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    return subprocess.run(command, cwd=repository, env=os.environ | joined, capture_output=True, text=True)


def summary_of(root: Path, day: datetime.date) -> dict[str, Any]:
    return dict(json.loads((root / f"days/{day}/summary.json").read_text()))


@pytest.mark.ray
@pytest.mark.slow
def test_two_days_from_logs_to_a_promoted_student_and_a_day_that_is_done_does_nothing(
    ray_session: None, tmp_path: Path, root: Path, tiny_bert_dir: Path, tiny_teacher_dir: Path
) -> None:
    loop, configs = tmp_path / "loop", write_configs(tmp_path / "configs", tiny_bert_dir)
    world = write_root(loop)
    (loop / "teacher").symlink_to(tiny_teacher_dir)
    write_log(loop, SATURDAY, world, 0, 1_000)
    first = run_daily(loop, root, configs, SATURDAY)
    assert first.returncode == 0, first.stderr[-3_000:]
    saturday = summary_of(loop, SATURDAY)
    assert saturday["decision"]["reason"] == "there is no current student yet"
    assert saturday["student"] == registry.promoted(loop / "registry")[-1]

    write_log(loop, SUNDAY, world, 500, 1_500)
    second = run_daily(loop, root, configs, SUNDAY)
    assert second.returncode == 0, second.stderr[-3_000:]
    sunday = summary_of(loop, SUNDAY)
    steps = {step["name"]: step for step in sunday["steps"]}
    labels = steps["label_impressions"]
    assert 0 < labels["details"]["reused_pairs"] < labels["rows_out"]
    assert sunday["decision"]["promote"] and sunday["student"] != saturday["student"]
    assert sunday["student_before"] == saturday["student"] == sunday["decision"]["current"]
    assert registry.promoted(loop / "registry") == [saturday["student"], sunday["student"]]
    assert PinStore.open(loop / "pin_store" / sunday["student"]).num_pins == world.pins.num_rows
    assert {row["pair_key"] for row in read_labels(str(loop / "soft_labels")).to_pylist()} >= {
        row["pair_key"] for row in pq.read_table(loop / "tables/sampled_pairs").to_pylist()
    }
    assert (loop / f"days/{SUNDAY}/summary.html").read_text().count("nDCG@20") > 1

    before = {path: path.stat().st_mtime_ns for path in loop.rglob("*") if path.is_file() and path.name[0] != "."}
    third = run_daily(loop, root, configs, SUNDAY)
    assert third.returncode == 0
    assert json.loads(third.stdout.splitlines()[-1])["details"]["days"] == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(profile: str, root: Path) -> None:
    settings = parse(Daily, ["--config", str(root / f"pipelines/configs/{profile}/daily.yaml")])
    assert settings.configs == f"pipelines/configs/{profile}"
    parse(CompareStudents, ["--config", str(root / f"pipelines/configs/{profile}/compare_students.yaml")])
