"""The labelling job on a real Ray session: what it writes, what it sets aside, and that a kill changes no byte."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pinrank import tables
from pinrank.errors import CommitError, ModelError, TableError
from pinrank.labeling.job import Opening, WorkerSettings, not_finite
from pinrank.labeling.manifest import read_manifest
from pinrank.parquet import open_dataset
from pinrank.pipeline import Summary
from pinrank.soft_labels import read_labels
from pinrank.teacher.score import EngineSettings, grade_pairs, largest_difference
from pipelines.label_impressions import LabelImpressions, main
from tests.killed_job import contents, kill_after
from tests.labeling import engines
from tests.labeling.rows import pin_texts, sampled
from tests.tiny_models import tiny_bert, tiny_teacher

pytestmark = pytest.mark.ray

TITLES = {f"p{number}": f"{colour} {thing}" for number, (colour, thing) in enumerate(
    (colour, thing) for colour in ("red", "blue", "green", "old", "new") for thing in ("boots", "cake", "house", "boat")
)}  # fmt: skip
QUERIES = [f"{word} {number}" for number in range(6) for word in ("red", "boat")]
ALL_PAIRS = [(query, pin_id) for query in QUERIES for pin_id in TITLES]


@pytest.fixture
def tables_dir(tmp_path: Path) -> Path:
    """240 pairs of 12 queries and 20 pins."""
    tables.write(sampled(*ALL_PAIRS), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**TITLES), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    return tmp_path


def settings_of(tables_dir: Path, teacher: Path, output: str = "soft_labels", **changed: object) -> LabelImpressions:
    given: dict[str, object] = {
        "tables": str(tables_dir),
        "teacher": teacher,
        "output": tables_dir / output,
        "engine": {"name": "transformers"},
        "rows_per_shard": 8,
    }
    return LabelImpressions(**given | changed)


def test_every_pair_is_graded_as_the_engine_grades_it(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path
) -> None:
    summary = main(settings_of(tables_dir, tiny_teacher_dir))
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (240, 240, 0)
    labels = tables.read(str(tables_dir / "soft_labels"), tables.SOFT_LABELS).to_pylist()
    assert {(row["query"], row["pin_id"]) for row in labels} == set(ALL_PAIRS)
    pairs = [(row["query"], TITLES[row["pin_id"]]) for row in labels]
    expected_NL = grade_pairs(str(tiny_teacher_dir), pairs, EngineSettings(name="transformers"))
    assert largest_difference(np.array([row["logits"] for row in labels], np.float32), expected_NL) < 1e-5
    assert {row["teacher"] for row in labels} == {read_manifest(tables_dir / "soft_labels").teacher}
    assert all(row["num_tokens"] > 4 for row in labels)


def test_a_finished_job_returns_without_grading_again(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path
) -> None:
    settings = settings_of(tables_dir, tiny_teacher_dir)
    main(settings)
    before = contents(settings.output)
    assert main(settings).details["resumed_shards"] == 30
    assert contents(settings.output) == before


def test_a_day_on_repeated_pairs_grades_the_others_alone(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path
) -> None:
    def day(number: int, pairs: list[tuple[str, str]], opening: Opening) -> Summary:
        tables.write(sampled(*pairs), str(tables_dir / "sampled_pairs"), tables.SAMPLED_PAIRS)
        return main(settings_of(tables_dir, tiny_teacher_dir, date=f"2026-05-0{number}"), opening)

    def rows_of(number: int) -> dict[str, dict[str, object]]:
        labels = tables.read(str(tables_dir / f"soft_labels/date=2026-05-0{number}"), tables.SOFT_LABELS)
        return {row["pair_key"]: row for row in labels.to_pylist()}

    day(1, ALL_PAIRS[:72], engines.SHIFTED)
    second = day(2, ALL_PAIRS, engines.HASHING)
    assert (second.rows_out, second.details["reused_pairs"]) == (240, 72)
    assert {key: row for key, row in rows_of(2).items() if key in rows_of(1)} == rows_of(1)
    assert (
        max(row["logits"][0] for row in rows_of(1).values())
        > 1
        > max(  # type: ignore[index]
            row["logits"][0]
            for key, row in rows_of(2).items()
            if key not in rows_of(1)  # type: ignore[index]
        )
    )
    # Where every grade is known no engine is opened.
    assert day(3, ALL_PAIRS, Opening(engines.never, engines.words)).details["reused_pairs"] == 240
    assert rows_of(3) == rows_of(2)
    assert read_labels(str(tables_dir / "soft_labels")).num_rows == 240


def test_killed_job_resumes_to_the_same_bytes(ray_session: None, tables_dir: Path, tiny_teacher_dir: Path) -> None:
    whole = settings_of(tables_dir, tiny_teacher_dir, "uninterrupted", rows_per_shard=6)
    main(whole)
    killed = settings_of(tables_dir, tiny_teacher_dir, "killed", rows_per_shard=6)
    kill_after(3, killed.output, "label_impressions", options_of(killed))
    left = list(killed.output.glob("shard-*.parquet"))
    assert 3 <= len(left) < 40
    assert not (killed.output / "manifest.json").exists()
    assert main(killed).details["resumed_shards"] == len(left)
    assert contents(killed.output) == contents(whole.output)


def options_of(settings: LabelImpressions) -> list[str]:
    return [
        *("--tables", settings.tables, "--teacher", str(settings.teacher)),
        *("--output", str(settings.output), "--engine.name", settings.engine.name),
        *("--rows_per_shard", str(settings.rows_per_shard), "--cluster.num_cpus", "2", "--no-cluster.dashboard"),
    ]


def test_pairs_without_a_pin_text_are_set_aside_with_their_reason(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path
) -> None:
    pairs = sampled(("red", "p1"), ("red", "gone"), ("red", "p2"), ("blue", "p1"))
    tables.write(pairs, str(tables_dir / "sampled_pairs"), tables.SAMPLED_PAIRS)
    settings = settings_of(tables_dir, tiny_teacher_dir, max_quarantined_share=0.25)
    summary = main(settings)
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (4, 3, 1)
    aside = open_dataset(str(settings.output / "quarantine" / "sampled_pairs"), "quarantine").to_table()
    assert aside.column("reason").to_pylist() == ["'pin_id' has no row in pin_text"]
    assert aside.column("row").to_pylist() == [1]
    assert tables.read(str(settings.output), tables.SOFT_LABELS).num_rows == 3


def test_too_many_pairs_without_a_pin_text_fail_the_job(tables_dir: Path, tiny_teacher_dir: Path) -> None:
    tables.write(pin_texts(p1="red boots"), str(tables_dir / "pin_text"), tables.PIN_TEXT)
    with pytest.raises(
        TableError, match=r"228 of 240 rows .* more than the allowed share 0.01.*'pin_id' has no row in"
    ):
        main(settings_of(tables_dir, tiny_teacher_dir))


def test_no_pairs_at_all_fail_the_job(tables_dir: Path, tiny_teacher_dir: Path) -> None:
    tables.write(sampled(), str(tables_dir / "sampled_pairs"), tables.SAMPLED_PAIRS)
    with pytest.raises(TableError, match="holds no pairs"):
        main(settings_of(tables_dir, tiny_teacher_dir))


def test_another_setting_on_the_same_output_is_refused(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path
) -> None:
    main(settings_of(tables_dir, tiny_teacher_dir))
    with pytest.raises(CommitError, match="rows_per_shard 8 → 16"):
        main(settings_of(tables_dir, tiny_teacher_dir, rows_per_shard=16))


def test_a_stages_own_error_arrives_as_it_is(ray_session: None, tables_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "teacher"
    broken.mkdir()
    with pytest.raises(ModelError, match=r"no card\.json"):
        main(settings_of(tables_dir, broken))


def test_a_teacher_that_lost_its_head_ends_the_job_with_its_name(
    ray_session: None, tables_dir: Path, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    beheaded = tmp_path / "teacher"
    shutil.copytree(tiny_teacher_dir, beheaded)
    (beheaded / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="a layer of the teacher's head is missing"):
        main(settings_of(tables_dir, beheaded))
    assert not list((tables_dir / "soft_labels").glob(".work-*"))


@pytest.mark.slow
def test_vllm_in_an_actor_grades_as_transformers_does(ray_session: None, tables_dir: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    tiny_teacher(teacher, tiny_bert(tmp_path / "bert", hidden=64))  # vLLM's attention wants heads of 32 or more
    settings = settings_of(tables_dir, teacher, engine={"name": "vllm", "kv_cache_bytes": 2**26})
    assert main(settings).rows_out == 240
    labels = tables.read(str(settings.output), tables.SOFT_LABELS).to_pylist()
    pairs = [(row["query"], TITLES[row["pin_id"]]) for row in labels]
    expected_NL = grade_pairs(str(teacher), pairs, EngineSettings(name="transformers"))
    assert largest_difference(np.array([row["logits"] for row in labels], np.float32), expected_NL) < 1e-4


def test_logits_that_are_not_finite_are_found() -> None:
    logits_NL = np.zeros((3, 5), np.float32)
    logits_NL[1, 4] = np.nan
    logits_NL[2, 0] = -np.inf
    assert [fault.rows.tolist() for fault in not_finite(logits_NL)] == [[1, 2]]
    assert not_finite(logits_NL[:1]) == []


@pytest.mark.parametrize("concurrency", [(0, 1), (3, 2)])
def test_a_pool_that_cannot_grow_is_refused(concurrency: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="least, most"):
        WorkerSettings(concurrency=concurrency)


def test_an_output_without_rename_is_refused() -> None:
    with pytest.raises(ValueError, match="mounted disk"):
        LabelImpressions(output=Path("s3://bucket/soft_labels"))
