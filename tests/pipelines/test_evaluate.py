"""pipelines.evaluate from end to end: a generated world, a tiny teacher and student, the real frozen MiniLM."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pinrank.datasets.world import WorldSettings, generate
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.errors import PinrankError, SettingsError
from pinrank.evaluation.report import METRICS
from pinrank.pipeline import parse
from pinrank.tables import JUDGMENTS, PIN_TEXT, write
from pinrank.unseen import NOTHING
from pipelines.evaluate import Evaluate, main
from tests import tidy_folder
from tests.serve_apps.shop import make_shop
from tests.tiny_models import tiny_search_embedding

SMALL = WorldSettings(num_pins=300, num_queries=120, judged_per_query=8, num_impressions=0)


@pytest.fixture(scope="module")
def tables_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a run on a generated world."""
    folder = tmp_path_factory.mktemp("run") / "tables"
    world = generate(SMALL)
    write(world.judgments, f"{folder}/judgments", JUDGMENTS)
    write(pin_text(world.pins, None, NOTHING, EngagementSettings()), f"{folder}/pin_text", PIN_TEXT)
    return folder


@pytest.fixture(scope="module")
def student_dir(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Path:
    """A published student with random weights."""
    return make_shop(tmp_path_factory.mktemp("shop"), tiny_bert_dir).student


def evaluate(*arguments: object) -> dict[str, Any]:
    """Run the job with a command line and read what it wrote."""
    settings = parse(Evaluate, [str(argument) for argument in (*arguments, "--report.num_resamples", 40)])
    main(settings)
    return dict(json.loads(settings.output.read_text()))


def test_a_runs_test_split_is_measured_for_all_systems(
    tables_dir: Path, tiny_teacher_dir: Path, student_dir: Path, tiny_bert_dir: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run" / "evaluation.json"
    search = tiny_search_embedding(tmp_path / "search", tiny_bert_dir)
    found = evaluate(
        "--tables", tables_dir, "--teacher", tiny_teacher_dir, "--student", student_dir,
        "--search_embedding", tmp_path / "search", "--output", output,
    )  # fmt: skip
    test_rows = [row for row in generate(SMALL).judgments.to_pylist() if row["split"] == "test"]
    overall = found["metrics"]["overall"]
    assert list(overall) == ["bm25", "frozen", "search embedding", "teacher", "student", "student:8"]
    assert {"student-search embedding", "teacher-search embedding"} <= set(found["differences"]["overall"])
    assert found["versions"]["search embedding"] == search.version
    for entry in overall.values():
        assert entry["num_pairs"] == len(test_rows)
        assert all(entry[name] is not None for name in METRICS if "ece" not in name)
    assert overall["teacher"]["ece"] is not None and overall["bm25"]["ece"] is None
    assert set(found["metrics"]) == {"overall", *(row["source"] for row in test_rows)}
    assert overall["bm25"]["spearman"] > 0.2 and overall["frozen"]["spearman"] > 0.2
    assert found["counts"]["pairs"] == len(test_rows) and found["counts"]["pairs_with_a_train_query"] == 0
    assert found["versions"]["teacher"].startswith("tiny@") and found["versions"]["student"].startswith("tiny@")
    assert found["notes"] == {}
    assert list(tmp_path.rglob("*.tmp")) == []


def test_any_public_folder_is_measured_and_baselines_without_dev_say_why_they_lack_levels(tmp_path: Path) -> None:
    found = evaluate("--judgments", tidy_folder.write(tmp_path / "given"), "--output", tmp_path / "out.json")
    overall = found["metrics"]["overall"]
    assert list(overall) == ["bm25", "frozen"] and overall["bm25"]["num_pairs"] == 5
    assert overall["bm25"]["accuracy"] is None and overall["bm25"]["qwk"] is None
    assert overall["bm25"]["spearman"] is not None
    assert "--tables" in found["notes"]["bm25"]


def test_a_runs_dev_split_gives_baselines_levels_on_other_judgments(
    tables_dir: Path, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    judgements = tidy_folder.changed(tidy_folder.JUDGEMENTS, "item_id", ["a", "lost", "b", "c", "c"])
    folder = tidy_folder.write(tmp_path / "given", judgements=judgements)
    found = evaluate(
        "--judgments", folder, "--tables", tables_dir, "--teacher", tiny_teacher_dir, "--output", tmp_path / "out.json",
        "--max_quarantined_share", 0.5,
    )  # fmt: skip
    assert list(found["metrics"]["overall"]) == ["bm25", "frozen", "teacher"]
    assert found["metrics"]["overall"]["bm25"]["accuracy"] is not None
    assert found["counts"]["pairs"] == 4 and found["counts"]["quarantined"]["judgements"] == 1
    assert (tmp_path / "quarantine/judgements").is_dir()


def test_nothing_to_measure_is_refused_with_the_mend(tables_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give --tables"):
        parse(Evaluate, ["--output", "out.json"])
    with pytest.raises(PinrankError, match="add --tables"):
        evaluate("--judgments", tables_dir / "judgments", "--output", tmp_path / "out.json")
    with pytest.raises(PinrankError, match="there is no such"):
        evaluate("--judgments", tmp_path / "nowhere", "--output", tmp_path / "out.json")
    with pytest.raises(PinrankError, match="so this is no teacher"):
        evaluate("--tables", tables_dir, "--teacher", tmp_path, "--output", tmp_path / "out.json")
    with pytest.raises(PinrankError, match="so this is no search embedding"):
        evaluate("--tables", tables_dir, "--search_embedding", tmp_path, "--output", tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_the_configs_hold_settings_that_exist(root: Path) -> None:
    for profile in ("demo", "full"):
        settings = parse(Evaluate, ["--config", str(root / f"pipelines/configs/{profile}/evaluate.yaml")])
        assert settings.output == Path(f"runs/{profile}/evaluation.json")


@pytest.mark.slow
def test_as_a_program_it_ends_with_one_line_of_summary(root: Path, tmp_path: Path) -> None:
    folder = tidy_folder.write(tmp_path / "given")
    command = [
        sys.executable,
        "-m",
        "pipelines.evaluate",
        "--judgments",
        folder,
        "--output",
        str(tmp_path / "out.json"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "platform"), str(root)])}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["name"], summary["rows_in"], summary["rows_out"]) == ("evaluate", 5, 5)
    assert "nDCG@10" in done.stderr
