"""Training the teacher on Ray Train: that it learns, and that no kill changes what comes out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from pinrank.durable import exclusive
from pinrank.errors import CommitError, ModelError, TableError
from pinrank.teacher.card import TeacherCard, read_card
from pinrank.teacher.examples import EXAMPLES
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.teacher.settings import HeadSettings, LoraSettings, TeacherSettings
from pinrank.teacher.train import train
from pinrank.text import TextSettings
from pinrank.training_run import dashboard_told
from tests.killed_job import training_worker_killed
from tests.tiny_models import tiny_backbone

WORDS = ("cat", "dog", "sofa", "lamp", "cake", "tree")
KILL_DEADLINE_S = 180


def examples() -> pa.Table:
    """A relation that a tiny model learns in a few steps: L5 where the pin is good, L1 where it is bad.

    A few pairs have no judgment but a weak label: every run has two phases.
    """
    rows = [
        {"query_id": query, "query": query, "pin_id": f"{kind} {pin}", "pin": f"{kind} {pin}", "level": level}
        | {"source": "words", "split": split, "query_locale": "en"}
        for query in WORDS
        for pin in WORDS
        for kind, level in (("good", 5), ("bad", 1))
        for split in ("train", "dev")
    ]
    weak = [
        {
            "query_id": query,
            "query": query,
            "pin_id": f"good {query}",
            "pin": f"good {query}",
            "level": 5,
            "split": "weak",
        }
        | {"source": "words", "query_locale": "en", "target": [0.0, 0.0, 0.1, 0.2, 0.7]}
        for query in WORDS
    ]
    return pa.Table.from_pylist(weak + rows, schema=EXAMPLES)


def settings(backbone: Path, **changes: object) -> TeacherSettings:
    """A few epochs of a tiny teacher."""
    return TeacherSettings(
        backbone=str(backbone),
        head=HeadSettings(hidden=(16,), dropout=0.1),
        text=TextSettings(max_query_tokens=4, max_tokens=16),
        batch_size=8,
        precision="float32",
        cpus_per_worker=1,
        **{"epochs": 4, "learning_rate": 1e-3, "head_learning_rate": 5e-3, **changes},
    )


def here(backbone: Path, **changes: object) -> TeacherSettings:
    """The same, trained in this process: for what does not depend on who trains."""
    return settings(backbone, num_workers=0, **changes)


def trained(chosen: TeacherSettings, folder: Path) -> TeacherCard:
    return train(examples(), chosen, "words", str(folder), {"note": "test"})


@pytest.mark.ray
def test_two_workers_train_a_teacher_that_learnt_and_is_published(
    ray_session: None, tiny_bert_dir: Path, tmp_path: Path
):
    folder = tmp_path / "teacher"
    card = trained(settings(tiny_bert_dir, num_workers=2, accumulation=2), folder)
    assert card == read_card(str(folder))
    assert card.version.startswith("words@")
    assert card.lineage["note"] == "test"
    assert card.metrics["dev_spearman"] > 0.5
    assert card.calibration.num_pairs == 72
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
    good, bad = grade_pairs(str(folder), [("cat", "good cat"), ("cat", "bad cat")], EngineSettings(name="transformers"))
    assert good[4] - good[0] > bad[4] - bad[0]


@pytest.mark.ray
def test_ray_trains_own_actors_look_for_no_dashboard(ray_session: None, monkeypatch: pytest.MonkeyPatch):
    from ray.train.v2._internal.constants import get_env_vars_to_propagate

    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    with dashboard_told():
        assert get_env_vars_to_propagate()["RAY_API_SERVER_ADDRESS"] == "http://127.0.0.1:9"
    assert "RAY_API_SERVER_ADDRESS" not in {**os.environ, **get_env_vars_to_propagate()}


def test_a_loss_that_is_no_number_publishes_nothing(tiny_bert_dir: Path, tmp_path: Path):
    with pytest.raises(ModelError, match=r"at step \d, so nothing was published.*learning_rate"):
        trained(here(tiny_bert_dir, learning_rate=1e30, largest_gradient=1e30), tmp_path / "teacher")
    assert not list(tmp_path.iterdir())


def test_training_stops_when_dev_gets_no_better(tiny_bert_dir: Path, tmp_path: Path):
    still = here(tiny_bert_dir, epochs=50, patience=1, learning_rate=1e-12, head_learning_rate=1e-12)
    card = trained(still, tmp_path / "teacher")
    assert card.metrics["epoch"] == 1


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.chaos
def test_a_run_whose_worker_and_then_driver_are_killed_ends_with_the_same_weights(
    ray_session: None, tiny_bert_dir: Path, tmp_path: Path, root: Path
):
    chosen = settings(tiny_bert_dir, checkpoint_every_steps=3, epochs=8)
    whole = trained(chosen.model_copy(update={"num_workers": 0}), tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.teacher.trained_on", chosen.model_dump_json(), str(folder)]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, cwd=root, env=alone, start_new_session=True) as driver:
        wait_for_checkpoint(folder, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
        os.killpg(driver.pid, signal.SIGKILL)
        for process in family:
            if process.is_running():
                process.kill()
    assert not folder.exists()
    (work,) = tmp_path.glob(".killed.training-*")
    with training_worker_killed((work / "checkpoint.safetensors").stat().st_mtime_ns, tmp_path):
        resumed = trained(chosen, folder)
    assert resumed.version == whole.version
    assert resumed.metrics == whole.metrics


def test_qlora_trains_merges_and_vllm_would_open_what_it_published(tmp_path: Path):
    backbone = tiny_backbone("llama", tmp_path / "llama")
    lora = LoraSettings(rank=4, alpha=8, dropout=0.0)
    card = trained(here(backbone, lora=lora, epochs=3, head_learning_rate=1e-2), tmp_path / "teacher")
    assert card.metrics["dev_spearman"] > 0.5
    config = json.loads((tmp_path / "teacher/config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    good, bad = grade_pairs(
        str(tmp_path / "teacher"), [("cat", "good cat"), ("cat", "bad cat")], EngineSettings(name="transformers")
    )
    assert good[4] - good[0] > bad[4] - bad[0]


def test_a_folder_of_other_things_is_refused_before_training_starts(tiny_bert_dir: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"holds no card\.json"):
        trained(here(tiny_bert_dir), tmp_path)


def test_a_folder_into_which_another_process_trains_is_refused(tiny_bert_dir: Path, tmp_path: Path):
    with exclusive(tmp_path / ".teacher.training-0123/.lock"):
        with pytest.raises(CommitError, match="another job writes here"):
            trained(here(tiny_bert_dir), tmp_path / "teacher")


def wait_for_checkpoint(folder: Path, driver: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + KILL_DEADLINE_S
    while not list(folder.parent.glob(f".{folder.name}.training-*/checkpoint.safetensors")):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
