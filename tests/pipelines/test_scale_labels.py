"""pipelines.scale_labels from end to end on a tiny generated world."""

import shutil
from pathlib import Path

import pytest

from pinrank.evaluation.by_segment import figures_of
from pinrank.evaluation.report import segments
from pinrank.evaluation.scaling import HUMAN_ONLY
from pinrank.evaluation.student_trial import read
from pinrank.evaluation.systems import Systems, grade_student
from pinrank.pipeline import parse
from pinrank.student.export import open_student
from pipelines.scale_labels import ScaleLabels, main
from tests.pipelines.tiny_comparison import read_report
from tests.pipelines.tiny_students import write_settings, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, num_labels=150)
    return folder


def test_every_row_is_trained_once_and_its_figures_are_those_of_its_students(
    world: Path, tiny_bert_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    config = write_settings(tmp_path, tiny_bert_dir, base=40, multiples=[3, 10], seeds=[0, 1])
    settings = parse(ScaleLabels, ["--config", config])
    done = main(settings)
    assert done.details["labels"] == {"3x": 120, "3.8x, all": 150}
    rows = [HUMAN_ONLY, "3x", "3.8x, all"]
    assert done.details["trained"] == [f"{row}, seed {seed}" for row in rows for seed in (0, 1)]
    found = read_report(tmp_path, "test")
    overall = found["sections"][0]
    assert list(overall["figures"]) == rows and overall["num_pairs"] == done.rows_out
    assert overall["contrasts"][0]["against"] == dict.fromkeys(rows[1:], HUMAN_ONLY)
    assert any("10x" in note for note in found["notes"]) and any("generated" in note for note in found["notes"])
    assert "by number of labels" in (tmp_path / "out/report-test.html").read_text()

    data = read(settings)
    assert len(list(segments(data.task.judged, ()))) == len(found["sections"])
    alone = []
    for seed in (0, 1):
        folder = tmp_path / f"out/students/labels-120/seed-{seed}"
        systems = Systems()
        grade_student(data.task, str(folder), systems)
        alone.append(figures_of(data.task.judged, systems.graded["student"]).by_source["overall"]["spearman"])
        assert open_student(folder).card.lineage["num_soft_labels"] == 120
    assert alone[0] != alone[1]
    assert overall["figures"]["3x"]["spearman"]["value"] == pytest.approx(sum(map(float, alone)) / 2, abs=2e-6)

    shutil.rmtree(tmp_path / "out/students/labels-120/seed-1")
    again = main(parse(ScaleLabels, ["--config", config, "--split", "dev"]))
    assert again.details["trained"] == ["3x, seed 1"] and len(again.details["not_trained"]) == 5
    assert any("Measured on dev" in note for note in read_report(tmp_path, "dev")["notes"])


def test_other_settings_train_anew(world: Path, tiny_bert_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    config = write_settings(tmp_path, tiny_bert_dir, base=40, multiples=[1])
    main(parse(ScaleLabels, ["--config", config]))
    again = main(parse(ScaleLabels, ["--config", config, "--student.ranker_learning_rate", "0.01"]))
    assert again.details["trained"] == [f"{HUMAN_ONLY}, seed 0", "1x, seed 0"]


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(root: Path, profile: str) -> None:
    settings = parse(ScaleLabels, ["--config", str(root / f"pipelines/configs/{profile}/scale_labels.yaml")])
    assert settings.output == Path(f"runs/{profile}/label_scale").absolute()
