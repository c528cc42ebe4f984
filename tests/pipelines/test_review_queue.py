"""From disagreement to a queue, through Label Studio's export, back to judgments."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pinrank.errors import JudgmentError, ModelError, TableError
from pinrank.levels import expected_level, most_likely_level, probabilities
from pinrank.pipeline import parse
from pinrank.student.export import open_student
from pinrank.tables import JUDGMENTS, read
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.text import packed
from pipelines.build_review_queue import BuildReviewQueue
from pipelines.build_review_queue import main as build
from pipelines.import_reviews import ImportReviews
from pipelines.import_reviews import main as import_reviews
from tests.job import run_job
from tests.review.small_tables import pin_text, soft_labels, write_labels, write_tables

LABELS = soft_labels(("red boots", "b", 5), ("altes haus", "c", 5), ("boat", "d", 1))


def settings(folder: Path, **others: object) -> BuildReviewQueue:
    return BuildReviewQueue(**{"tables": write_tables(folder), "output": folder / "review"} | others)


def tasks(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "review/tasks.json").read_text())
    return found


def answered(task: dict[str, Any], number: int, *levels: int) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation a level, each by another person."""
    annotations = [
        {
            "id": 100 * number + person,
            "completed_by": {"id": person, "email": f"person{person}@example.com"},
            "result": [
                {
                    "value": {"choices": [str(level)]},
                    "id": "Dx_aB91ISN",
                    "from_name": "level",
                    "to_name": "query",
                    "type": "choices",
                    "origin": "manual",
                }
            ],
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2026-03-09T22:16:08.728353Z",
            "updated_at": "2026-03-09T22:16:08.728378Z",
            "lead_time": 4.288,
        }
        for person, level in enumerate(levels, start=1)
    ]
    outer = {
        "id": number,
        "inner_id": number,
        "project": 83,
        "drafts": [],
        "meta": {},
        "total_annotations": len(levels),
    }
    return outer | task | {"annotations": annotations, "created_at": "2026-03-09T21:52:49.513742Z"}


def test_job_queues_the_pairs_furthest_apart_and_says_between_whom(tmp_path: Path, root: Path) -> None:
    labels = write_labels(tmp_path, "soft_labels", LABELS)
    arguments = ["--tables", write_tables(tmp_path), "--output", str(tmp_path / "review"), "--teacher.labels", labels]
    done = run_job(root, "build_review_queue", *arguments)
    assert done.code == 0, done.told
    first, second = tasks(tmp_path)
    assert (first["data"]["query"], first["data"]["pin_id"], first["data"]["gap"]) == ("Red Boots", "a", 4.0)
    assert (first["data"]["title"], first["data"]["image_url"]) == ("red boots", "https://pictures.example/a.png")
    assert first["predictions"] == []
    assert (second["data"]["pin_id"], second["data"]["between"]) == ("b", "annotators, teacher")
    assert second["predictions"][0]["model_version"] == "teacher tiny@0"
    assert second["predictions"][0]["result"][0]["value"] == {"choices": ["5"]}
    assert (done.summary["rows_in"], done.summary["rows_out"]) == (4, 2)
    details = done.summary["details"]
    assert (details["strata"], details["pairs_of_one_voice"]) == ({"en/shop": 2}, 1)
    assert details["between"] == {"annotators": 1, "annotators, teacher": 1}
    assert details["graded_now"] == {"teacher": 0, "student": 0}


def test_what_annotators_said_and_the_split_are_in_no_task(tmp_path: Path) -> None:
    build(settings(tmp_path))
    assert not {"split", "level", "levels", "annotator_id"} & set(tasks(tmp_path)[0]["data"])


def test_predictions_can_be_left_out(tmp_path: Path) -> None:
    labels = write_labels(tmp_path, "soft_labels", LABELS)
    build(settings(tmp_path, teacher={"labels": labels}, with_predictions=False))
    assert all(task["predictions"] == [] for task in tasks(tmp_path))


def test_running_again_gives_the_same_bytes(tmp_path: Path) -> None:
    build(settings(tmp_path))
    before = (tmp_path / "review/tasks.json").read_bytes()
    build(settings(tmp_path))
    assert (tmp_path / "review/tasks.json").read_bytes() == before


def test_labels_of_another_text_are_set_aside_and_not_believed(tmp_path: Path) -> None:
    stale = LABELS.set_column(LABELS.column_names.index("fingerprint"), "fingerprint", [["old"] * 3])
    summary = build(settings(tmp_path, teacher={"labels": write_labels(tmp_path, "soft_labels", stale)}))
    assert [task["data"]["pin_id"] for task in tasks(tmp_path)] == ["a"]
    assert pq.read_table(tmp_path / "review/quarantine/teacher_labels").num_rows == 3
    assert summary.details["pairs_of_one_voice"] == 2


def test_the_teacher_grades_what_its_labels_lack_and_nothing_else(tmp_path: Path, tiny_teacher_dir: Path) -> None:
    card = read_card(str(tiny_teacher_dir))
    labels = write_labels(tmp_path, "soft_labels", soft_labels(("red boots", "b", 5), teacher=card.version))
    voice = {"labels": labels, "model": tiny_teacher_dir}
    summary = build(settings(tmp_path, teacher=voice, engine={"name": "transformers"}, choice={"min_gap": 0}))
    assert summary.details["graded_now"] == {"teacher": 2, "student": 0}
    by_pin = {task["data"]["pin_id"]: task for task in tasks(tmp_path)}
    assert by_pin["b"]["predictions"][0]["score"] == pytest.approx(1, abs=1e-3)
    pins = {row["pin_id"]: packed(row, card.text) for row in pin_text().to_pylist()}
    logits_NL = grade_pairs(str(tiny_teacher_dir), [("altes haus", pins["c"])], EngineSettings(name="transformers"))
    graded_NL = probabilities(logits_NL)
    (prediction,) = by_pin["c"]["predictions"]
    assert prediction["result"][0]["value"]["choices"] == [str(most_likely_level(graded_NL)[0])]
    assert by_pin["c"]["data"]["gap"] == pytest.approx(5 - expected_level(graded_NL)[0], abs=1e-3)


def test_the_student_grades_the_pairs(tmp_path: Path, tiny_bert_dir: Path) -> None:
    from tests.serve_apps.shop import make_shop

    folder = make_shop(tmp_path / "shop", tiny_bert_dir).student
    summary = build(settings(tmp_path, student={"model": folder}, choice={"min_gap": 0}))
    assert summary.details["graded_now"] == {"teacher": 0, "student": 3}
    rows = {row["pin_id"]: row for row in pin_text().to_pylist()}
    expected = probabilities(open_student(folder).grade([("altes haus", rows["c"])]))
    (task,) = [task for task in tasks(tmp_path) if task["data"]["pin_id"] == "c"]
    assert task["predictions"][0]["score"] == pytest.approx(expected.max(), abs=0.02)
    assert task["data"]["gap"] == pytest.approx(5 - expected_level(expected)[0], abs=0.1)


def test_labels_of_another_version_than_the_model_are_refused(tmp_path: Path, tiny_teacher_dir: Path) -> None:
    voice = {"labels": write_labels(tmp_path, "soft_labels", LABELS), "model": tiny_teacher_dir}
    with pytest.raises(ModelError, match="the teacher's labels are of tiny@0, its folder holds tiny@"):
        build(settings(tmp_path, teacher=voice))


def test_nothing_to_review_is_said(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"of 1 pairs none has two grades 1 levels apart.*--choice\.min_gap"):
        build(settings(tmp_path, splits=("dev",)))


def test_a_queue_comes_back_as_judgments(tmp_path: Path, root: Path) -> None:
    build(settings(tmp_path, teacher={"labels": write_labels(tmp_path, "soft_labels", LABELS)}, choice={"min_gap": 0}))
    queued = tasks(tmp_path)
    assert len(queued) == 3
    answers = [answered(task, number, 4, 3) for number, task in enumerate(queued, start=1)]
    answers[1]["annotations"][1]["was_cancelled"] = True
    answers[2]["annotations"][0]["result"] = []
    export = tmp_path / "export.json"
    export.write_text(json.dumps(answers))
    arguments = ["--export", str(export), "--tables", str(tmp_path), "--output", str(tmp_path / "reviewed")]
    done = run_job(root, "import_reviews", *arguments)
    assert done.code == 0, done.told
    assert (done.summary["rows_in"], done.summary["rows_out"], done.summary["quarantined"]) == (4, 4, 0)
    assert (done.summary["details"]["skipped"], done.summary["details"]["empty"]) == (1, 1)
    before = read(str(tmp_path / "judgments"), JUDGMENTS).to_pylist()
    after = read(str(tmp_path / "reviewed/judgments"), JUDGMENTS).to_pylist()
    assert after[: len(before)] == before
    ids = {(row["query_id"], row["pin_id"], row["split"]) for row in before}
    reviews = after[len(before) :]
    assert {(row["query_id"], row["pin_id"], row["split"]) for row in reviews} <= ids
    assert sorted((row["pin_id"], row["annotator_id"], row["level"]) for row in reviews) == sorted(
        (task["data"]["pin_id"], f"label-studio-{person}", level)
        for task, people in zip(queued, ((1, 2), (1,), (2,)), strict=True)
        for person, level in ((1, 4), (2, 3))
        if person in people
    )


def test_a_pair_that_nobody_has_judged_comes_back_with_a_split(tmp_path: Path) -> None:
    labels = [write_labels(tmp_path, name, soft_labels(("boat", "d", level))) for name, level in (("t", 1), ("s", 5))]
    build(settings(tmp_path, teacher={"labels": labels[0]}, student={"labels": labels[1]}))
    (task,) = [task for task in tasks(tmp_path) if task["data"]["query"] == "boat"]
    assert (task["data"]["between"], len(task["predictions"])) == ("student, teacher", 2)
    (tmp_path / "export.json").write_text(json.dumps([answered(task, 1, 5)]))
    both = ImportReviews(export=str(tmp_path / "export.json"), tables=str(tmp_path), output=str(tmp_path))
    summaries = [import_reviews(both) for _ in range(2)]
    assert [summary.details["replaced"] for summary in summaries] == [0, 1]
    (review,) = [row for row in read(str(tmp_path / "judgments"), JUDGMENTS).to_pylist() if row["query"] == "boat"]
    assert (review["pin_id"], review["level"], review["source"]) == ("d", 5, "shop")
    assert review["split"] in ("train", "dev", "test")


def test_levels_outside_the_scale_are_set_aside_or_end_the_job(tmp_path: Path) -> None:
    build(settings(tmp_path))
    (tmp_path / "export.json").write_text(json.dumps([answered(tasks(tmp_path)[0], 1, 4, 9)]))
    some = {"export": str(tmp_path / "export.json"), "tables": str(tmp_path), "output": str(tmp_path / "reviewed")}
    with pytest.raises(JudgmentError, match=r"1 of 2 rows cannot be used.*'choice' is outside"):
        import_reviews(ImportReviews(**some))
    summary = import_reviews(ImportReviews(**some, max_quarantined_share=0.5))
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (2, 1, 1)
    (aside,) = pq.read_table(tmp_path / "reviewed/quarantine/reviews").to_pylist()
    assert aside["reason"] == "'choice' is outside 1..5"
    assert json.loads(aside["content"])["choice"] == "9"


@pytest.mark.parametrize("profile", ["demo", "full"])
@pytest.mark.parametrize("job", [BuildReviewQueue, ImportReviews])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str, job: Any) -> None:
    name = {"BuildReviewQueue": "build_review_queue", "ImportReviews": "import_reviews"}[job.__name__]
    found = parse(job, ["--config", str(root / f"pipelines/configs/{profile}/{name}.yaml")])
    assert found.tables == f"runs/{profile}/tables"
