"""The loop over days as it runs on a cluster: every job its own process, all of them on one Ray session."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from pinrank import registry
from pinrank.embeddings.store import PinStore
from pinrank.pipeline import Summary, parse
from pinrank.soft_labels import read_labels
from pipelines.compare_students import CompareStudents
from pipelines.daily import Daily, main
from tests.daily.tiny_loop import write_configs, write_log, write_root
from tests.serve_apps.shop import make_shop

SATURDAY, SUNDAY = datetime.date(2026, 1, 3), datetime.date(2026, 1, 4)


def summary_of(loop: Path, day: datetime.date) -> dict[str, Any]:
    """A day's summary, with its steps by name."""
    found: dict[str, Any] = json.loads((loop / f"days/{day}/summary.json").read_text())
    return found | {"steps": {step["name"]: step for step in found["steps"]}}


@pytest.mark.ray
@pytest.mark.slow
def test_two_days_from_logs_to_a_promoted_student_and_a_day_that_is_done_does_nothing(
    ray_session: None,
    tmp_path: Path,
    root: Path,
    tiny_bert_dir: Path,
    tiny_teacher_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    monkeypatch.chdir(root)
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)  # as in a submitted job
    loop, configs = tmp_path / "loop", write_configs(tmp_path / "configs", tiny_bert_dir)
    world = write_root(loop)
    (loop / "teacher").symlink_to(tiny_teacher_dir)
    first = registry.add(loop / "registry", make_shop(tmp_path / "shop", tiny_bert_dir).student, {}).version
    registry.promote(loop / "registry", first, "made by hand")

    def run(day: datetime.date) -> Summary:
        return main(Daily(root=loop, configs=str(configs), date=day))

    write_log(loop, SATURDAY, world, 0, 1_000)
    run(SATURDAY)
    assert summary_of(loop, SATURDAY)["decision"] is None
    assert PinStore.open(loop / "pin_store" / first).num_pins == world.pins.num_rows

    write_log(loop, SUNDAY, world, 500, 1_500)
    run(SUNDAY)
    sunday = summary_of(loop, SUNDAY)
    labels, decision = sunday["steps"]["label_impressions"], sunday["decision"]
    assert 0 < labels["details"]["reused_pairs"] < labels["rows_out"]
    assert decision["promote"] and decision["current"] == sunday["student_before"] == first
    assert registry.promoted(loop / "registry") == [first, sunday["student"]]
    assert PinStore.open(loop / "pin_store" / sunday["student"]).student_version == sunday["student"]
    assert labels["rows_in"] == labels["rows_out"] + labels["quarantined"] == 150
    assert read_labels(f"{loop}/soft_labels/date={SUNDAY}").num_rows == labels["rows_out"]
    assert decision["reason"] in (loop / f"days/{SUNDAY}/summary.html").read_text()

    before = {
        path: path.stat().st_mtime_ns for path in loop.rglob("*") if path.is_file() and path.name != ".daily.lock"
    }
    assert run(SUNDAY).details["days"] == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(profile: str, root: Path) -> None:
    settings = parse(Daily, ["--config", str(root / f"pipelines/configs/{profile}/daily.yaml")])
    assert settings.configs == f"pipelines/configs/{profile}"
    parse(CompareStudents, ["--config", str(root / f"pipelines/configs/{profile}/compare_students.yaml")])
