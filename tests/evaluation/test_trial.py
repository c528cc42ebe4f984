"""pinrank.evaluation.trial and .ray_grading: what a row is, what it costs, and that pairs keep their order."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.errors import CommitError
from pinrank.evaluation.ray_grading import grade_apart, grade_timed
from pinrank.evaluation.trial import (
    ComparisonSettings,
    alone,
    dollars_per_million,
    num_parameters,
    read,
    try_teacher,
)
from pinrank.teacher.export import open_teacher
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.teacher.settings import TeacherSettings
from pinrank.text import TextSettings
from tests.pipelines.tiny_comparison import write_tables
from tests.tiny_models import tiny_decoder

ENGINE = EngineSettings(name="transformers", batch_size=4)
TEXTS = [("red shoes", "shoes"), ("soup", "a bowl of soup"), ("red shoes", "shoes"), ("cake", "")]


def test_parameters_are_those_of_backbone_and_head(tiny_teacher_dir: Path) -> None:
    expected = sum(parameter.numel() for parameter in open_teacher(str(tiny_teacher_dir)).parameters())
    assert num_parameters(str(tiny_teacher_dir)) == expected


def test_a_folder_without_weights_has_an_unknown_size(tmp_path: Path) -> None:
    assert num_parameters(str(tmp_path)) is None


def test_cost_follows_from_speed_and_price() -> None:
    assert dollars_per_million(pairs_per_s=100.0, dollars_per_hour=3.6) == pytest.approx(10.0)
    assert dollars_per_million(pairs_per_s=100.0, dollars_per_hour=None) is None


def test_repeated_pairs_are_graded_once_and_come_back_in_order(tiny_teacher_dir: Path) -> None:
    found = grade_timed(str(tiny_teacher_dir), TEXTS, ENGINE)
    np.testing.assert_allclose(found.logits_NL, grade_pairs(str(tiny_teacher_dir), TEXTS, ENGINE), atol=1e-5)
    np.testing.assert_array_equal(found.logits_NL[0], found.logits_NL[2])
    assert found.pairs_per_s > 0


@pytest.mark.ray
def test_a_process_of_its_own_grades_the_same(ray_session: None, tiny_teacher_dir: Path) -> None:
    found = grade_apart(str(tiny_teacher_dir), TEXTS, ENGINE, num_cpus=1, use_gpu=False)
    here = grade_timed(str(tiny_teacher_dir), TEXTS, ENGINE)
    np.testing.assert_allclose(found.logits_NL, here.logits_NL, atol=1e-5)


@pytest.mark.ray
def test_a_judge_is_a_row_that_nothing_is_trained_for(ray_session: None, tmp_path: Path) -> None:
    judge = TeacherSettings(
        kind="judge",
        backbone=str(tiny_decoder(tmp_path / "model")),
        text=TextSettings(max_query_tokens=8, max_tokens=32),
        cpus_per_worker=1,
    )
    settings = ComparisonSettings(
        tables=write_tables(tmp_path / "tables"),
        output=tmp_path / "out",
        teacher=judge,
        max_measured_pairs_per_source=2,
        engine=ENGINE,
    )
    data = read(settings)
    trial = try_teacher("judge", judge, data, settings)
    assert len(trial.graded.scores_N) == len(data.task.pairs) and not trial.is_new
    assert trial.facts.version and trial.facts.version.startswith("judge@")
    assert trial.facts.train_pairs is None and (trial.facts.parameters or 0) > 1000


def test_a_second_comparison_on_the_same_output_is_refused(tmp_path: Path) -> None:
    settings = ComparisonSettings(output=tmp_path / "out")
    with alone(settings):
        with pytest.raises(CommitError, match="another job writes here"):
            with alone(settings):
                pass
