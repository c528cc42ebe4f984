from pathlib import Path

import pytest

from pinrank.errors import TableError
from pinrank.pipeline import parse
from pinrank.tables import JUDGMENTS, PIN_TEXT, SAMPLED_PAIRS, SOFT_LABELS, read, write
from pinrank.teacher.card import read_card
from pinrank.unseen import held_out_queries
from pipelines.build_pin_text import BuildPinText
from pipelines.build_pin_text import main as build_pin_text
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.grade_weakly import GradeWeakly, main
from pipelines.sample_impressions import SampleImpressions
from pipelines.sample_impressions import main as sample_impressions
from pipelines.train_teacher import TrainTeacher
from pipelines.train_teacher import main as train_teacher
from tests.job import run_job

WORLD = {"num_pins": 200, "num_queries": 40, "num_impressions": 3_000}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    generate_world(GenerateWorld(output=str(tmp_path), world=WORLD))
    build_pin_text(BuildPinText(tables=str(tmp_path)))
    sample_impressions(SampleImpressions(tables=str(tmp_path), size=150))
    return tmp_path


def test_job_grades_judged_and_sampled_pairs_and_no_query_of_dev_or_test(world: Path, root: Path) -> None:
    done = run_job(root, "grade_weakly", "--tables", str(world))
    assert done.code == 0, done.told
    labels = read(str(world / "weak_labels"), SOFT_LABELS)
    assert labels.num_rows == done.summary["rows_out"] == sum(done.summary["details"]["pairs"].values())
    sampled = read(str(world / "sampled_pairs"), SAMPLED_PAIRS)
    assert set(sampled["pair_key"].to_pylist()) <= set(labels["pair_key"].to_pylist())
    assert not set(labels["query"].to_pylist()) & held_out(world)


def test_a_pin_without_text_is_an_error_that_says_the_mend(world: Path) -> None:
    write(read(str(world / "pin_text"), PIN_TEXT).slice(100), str(world / "pin_text"), PIN_TEXT)
    with pytest.raises(TableError, match=r"pins have no row in pin_text.*build_pin_text"):
        main(GradeWeakly(tables=str(world)))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    assert parse(GradeWeakly, ["--config", str(root / f"pipelines/configs/{profile}/grade_weakly.yaml")])


def test_a_teacher_learns_from_weak_labels_before_the_judgments(
    world: Path, tiny_bert_dir: Path, tmp_path: Path
) -> None:
    main(GradeWeakly(tables=str(world), max_pairs_per_source=40))
    tiny = {"backbone": str(tiny_bert_dir), "epochs": 1, "cpus_per_worker": 1, "num_workers": 0, "precision": "float32"}
    summary = train_teacher(
        TrainTeacher(
            tables=str(world), weak_labels=str(world / "weak_labels"), output=tmp_path / "teacher", teacher=tiny
        )
    )
    card = read_card(str(tmp_path / "teacher"))
    assert card.lineage["weak_labels"] == str(world / "weak_labels")
    assert card.metrics["epoch"] in (1, 2)  # one weak epoch, one of judgments: dev chose
    weak = read(str(world / "weak_labels"), SOFT_LABELS)
    assert summary.rows_in == read(str(world / "judgments"), JUDGMENTS).num_rows + weak.num_rows


def held_out(world: Path) -> set[str]:
    return set(held_out_queries(read(str(world / "judgments"), JUDGMENTS)))
