"""What a training run says of itself, and where its course is kept."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pinrank.tracking import Tracked, TrackingSettings, tracked
from pinrank.training_record import STEPS_BETWEEN_LOGS, TrainingRecord


class Inner(BaseModel):
    """Settings in settings."""

    rate: float = 0.1


class Outer(BaseModel):
    """Settings of a training."""

    epochs: int = 2
    tower: Inner = Inner()


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def followed(folder: Path, **where: Any) -> Tracked:
    folder.mkdir(exist_ok=True)
    return tracked(TrackingSettings(**where), "3f2a", "student", folder / "student", folder, Outer())


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "student.training.jsonl").read_text().splitlines()]


def test_the_first_worker_alone_logs_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    records = [TrainingRecord("student", 100, rank) for rank in (0, 1)]
    with caplog.at_level(logging.INFO):
        for step in range(STEPS_BETWEEN_LOGS + 1):
            for record in records:
                record.step(step, 0, loss=0.5, samples=8)
        records[0].epoch(26, 0, {"dev_spearman": 0.61234, "dev_loss": 1.0})
    assert caplog.messages == [
        "student step 0 of 100, epoch 1, loss 0.5000",
        f"student step {STEPS_BETWEEN_LOGS} of 100, epoch 1, loss 0.5000",
        "student epoch 1: {'dev_spearman': 0.6123, 'dev_loss': 1.0}",
    ]


def test_lines_hold_settings_losses_speed_and_dev_metrics(tmp_path: Path) -> None:
    clock = Clock()
    run = followed(tmp_path)
    with TrainingRecord("student", 40, num_ranks=2, tracked=run, clock=clock) as record:
        for step in range(STEPS_BETWEEN_LOGS + 1):
            clock.now += 2
            record.step(step, 0, loss=float(step), samples=8)
        clock.now += 1_000  # an evaluation
        record.epoch(26, 0, {"dev_spearman": 0.5})
    first, *numbers, last = lines_of(tmp_path)
    assert {line["run"] for line in lines_of(tmp_path)} == {"3f2a"}
    assert (first["model"], first["steps"], first["settings"]) == ("student", 40, Outer().model_dump())
    assert first["settings_hash"] == run.settings_hash and len(run.settings_hash) == 16
    assert [(line["step"], line.get("loss"), line.get("samples_per_second")) for line in numbers] == [
        (0, 0.0, 8.0),
        (25, 13.0, 8.0),
        (26, None, None),
    ]
    assert numbers[-1]["dev_spearman"] == 0.5 and last["ended"] == "finished"


def test_other_workers_keep_nothing(tmp_path: Path) -> None:
    with TrainingRecord("student", 1, rank=1, num_ranks=2, tracked=followed(tmp_path)) as record:
        record.step(0, 0, 1.0, 1)
    assert not (tmp_path / "student.training.jsonl").exists()


def test_a_run_that_goes_on_says_from_where_and_one_that_fails_says_so(tmp_path: Path) -> None:
    run = followed(tmp_path)
    with pytest.raises(ArithmeticError), TrainingRecord("student", 10, tracked=run) as record:
        record.step(0, 0, 1.0, 1)
        raise ArithmeticError
    with TrainingRecord("student", 10, from_step=5, tracked=run):
        pass
    told = [(line.get("from_step"), line.get("ended")) for line in lines_of(tmp_path)]
    assert told == [(0, None), (None, None), (None, "failed"), (5, None), (None, "finished")]


def test_the_settings_hash_is_that_of_the_settings_alone(tmp_path: Path) -> None:
    one = followed(tmp_path)
    assert one.model_copy(update={"run": "other data"}).settings_hash == one.settings_hash
    assert one.model_copy(update={"settings": {"epochs": 3}}).settings_hash != one.settings_hash


def test_mlflow_holds_the_run_and_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/runs.db"
    run = followed(tmp_path, mlflow_uri=uri, lines=False, experiment="relevance")
    with pytest.raises(ArithmeticError), TrainingRecord("student", 40, tracked=run) as record:
        record.step(0, 0, loss=2.0, samples=8)
        raise ArithmeticError
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("relevance").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]
    with TrainingRecord("student", 40, from_step=25, tracked=run) as record:
        record.step(25, 0, loss=1.0, samples=8)
        record.epoch(26, 0, {"dev_spearman": 0.5})
    (kept,) = client.search_runs([experiment])
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "student")
    assert kept.data.params == {"epochs": "2", "tower.rate": "0.1"}
    assert kept.data.tags["pinrank.run"] == "3f2a"
    losses = [(metric.step, metric.value) for metric in client.get_metric_history(kept.info.run_id, "loss")]
    assert losses == [(0, 2.0), (25, 1.0)]
    assert kept.data.metrics["dev_spearman"] == 0.5
    assert not (tmp_path / "student.training.jsonl").exists()


def test_a_training_goes_on_without_its_mlflow_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("mlflow")
    run = followed(tmp_path, mlflow_uri="sqlite:////proc/nowhere/runs.db")
    with caplog.at_level(logging.WARNING), TrainingRecord("student", 1, tracked=run) as record:
        record.step(0, 0, loss=2.0, samples=8)
    assert len([message for message in caplog.messages if message.startswith("MLflow did not take it")]) == 1
    assert [line.get("loss") for line in lines_of(tmp_path)] == [None, 2.0, None]
