"""What a student's bundle says of its origin."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pinrank
from pinrank.errors import ModelError
from pinrank.student.label_files import find
from pinrank.student.lineage import code_version, guideline_of, label_runs, lineage_of, rows_hash
from pinrank.teacher.card import read_card
from tests.labeling.rows import GRADING, labels, pin_texts, sampled, work_rows


@pytest.fixture
def soft_labels() -> pa.Table:
    return labels(work_rows(sampled(("a", "p1"), ("a", "p2"), ("b", "p1")), pin_texts(p1="red", p2="blue")))


JUDGMENTS = pa.table({name: ["x", "y"] for name in ("judgment_id", "query", "pin_id", "split")} | {"level": [1, 5]})


def test_the_origin_of_every_input_is_named(soft_labels: pa.Table, tmp_path: Path) -> None:
    pq.write_table(soft_labels, tmp_path / "part.parquet")
    found = lineage_of(find([str(tmp_path)]), JUDGMENTS, None)
    assert found["teacher"] == [GRADING.teacher] and found["guideline"] is None
    assert found["sample"]["num_pairs"] == 3 and found["judgments"]["num_rows"] == 2
    assert found["label_runs"] == []
    assert found["code"]["pinrank"] == pinrank.__version__


def test_a_hash_changes_with_the_rows_and_not_with_their_order(soft_labels: pa.Table) -> None:
    turned = soft_labels.take([2, 0, 1])
    assert rows_hash(soft_labels, "pair_key") == rows_hash(turned, "pair_key")
    assert rows_hash(soft_labels, "pair_key") != rows_hash(soft_labels.slice(0, 2), "pair_key")
    other = JUDGMENTS.set_column(4, "level", [[5, 1]])
    assert rows_hash(JUDGMENTS, "judgment_id", "level") != rows_hash(other, "judgment_id", "level")


def test_every_day_of_labels_names_its_settings(tmp_path: Path, soft_labels: pa.Table) -> None:
    from pinrank.labeling.manifest import Manifest

    made = Manifest(rows=3, teacher="t@0", settings_hash=GRADING.hash, grading=GRADING, shards=())
    for day in ("2026-05-04", "2026-05-05"):
        (tmp_path / f"date={day}").mkdir()
        (tmp_path / f"date={day}" / "manifest.json").write_text(made.model_dump_json())
    runs = label_runs(str(tmp_path))
    assert [run["day"] for run in runs] == ["2026-05-04", "2026-05-05"]
    assert {run["settings_hash"] for run in runs} == {GRADING.hash}


def test_a_folder_of_another_teacher_is_refused(tiny_teacher_dir: Path) -> None:
    version = read_card(str(tiny_teacher_dir)).version
    assert guideline_of(str(tiny_teacher_dir), [version]) is None
    with pytest.raises(ModelError, match=r"but the labels are of other@0"):
        guideline_of(str(tiny_teacher_dir), ["other@0"])


def test_the_code_is_named_by_version_and_commit() -> None:
    found = code_version()
    assert found["pinrank"] == pinrank.__version__
    assert len(found.get("commit", "0" * 40)) == 40
