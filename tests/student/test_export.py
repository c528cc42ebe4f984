"""A student's folder, and the bundle that grades with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pinrank import lexical
from pinrank.embeddings import store
from pinrank.embeddings.store import PinStore
from pinrank.errors import ModelError
from pinrank.evaluation.by_segment import figures_of
from pinrank.evaluation.systems import Systems, grade_student
from pinrank.evaluation.task import Task
from pinrank.levels import probabilities
from pinrank.student.calibration import LevelCalibration, losses
from pinrank.student.export import StudentBundle, open_student, read_card
from pinrank.student.manifest import MANIFEST, read_manifest, write_manifest
from pinrank.student.settings import StudentSettings, TowerSettings
from tests.student.conftest import published

QUERIES = ("pasta", "a red sofa", "寿司", "")


@pytest.fixture
def copy(tiny_student: StudentBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_student.folder, tmp_path / "student"))


def test_offline_grades_equal_serving_from_the_pin_store(
    tiny_student: StudentBundle, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    pin_ids = [row["pin_id"] for row in rows]
    vectors = tiny_student.encode_pins(tiny_student.pin_texts(rows), "float32").astype(np.float16)
    store.build(
        tmp_path / "pin_store", pin_ids, tiny_student.pin_rows(vectors), lexical.field_terms(rows), tiny_student.version
    )
    pins = PinStore.open(tmp_path / "pin_store")
    assert pins.student_version == tiny_student.version
    pairs = [(query, row) for row in rows for query in QUERIES]
    offline = tiny_student.grade(pairs, "float32").reshape(len(rows), len(QUERIES), 5)
    for number, query in enumerate(QUERIES):
        vector = tiny_student.encode_queries([query])[0]
        found = pins.gather(pin_ids)
        served = tiny_student.logits(vector, found.rows_NR, tiny_student.features(query, pins.terms(pin_ids)))
        np.testing.assert_allclose(probabilities(served), probabilities(offline[:, number]), atol=2e-3)


def test_grades_do_not_depend_on_the_other_pairs(tiny_student: StudentBundle, rows: list[dict[str, str]]) -> None:
    pairs = [(query, row) for query in QUERIES for row in rows]
    together = tiny_student.grade(pairs, "float32")
    alone = np.concatenate([tiny_student.grade([pair], "float32") for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=1e-2)


def test_grading_nothing_gives_nothing(tiny_student: StudentBundle) -> None:
    assert tiny_student.grade([]).shape == (0, 5)
    assert tiny_student.encode_queries([]).shape == (0, tiny_student.vector_dim)


def test_texts_are_cut_at_their_budget(tiny_student: StudentBundle) -> None:
    long, longer = " ".join(["pasta"] * 40), " ".join(["pasta"] * 60)
    np.testing.assert_array_equal(tiny_student.encode_queries([long]), tiny_student.encode_queries([longer]))
    np.testing.assert_array_equal(tiny_student.encode_pins([long]), tiny_student.encode_pins([longer]))


def test_a_version_names_the_weights(tiny_student: StudentBundle, copy: Path) -> None:
    name, _, digest = tiny_student.version.partition("@")
    assert (name, len(digest)) == ("tiny", 8)
    assert read_card(copy).version == tiny_student.version
    assert read_card(copy).vector_dim == tiny_student.vector_dim == 32
    assert tiny_student.pin_rows(np.zeros((2, 32))).shape == (2, 32 + 16)


def test_a_student_with_dev_pairs_is_published_calibrated_and_measured(
    tiny_student: StudentBundle, calibrated_student: StudentBundle, dev_task: Task
) -> None:
    calibration, figures = calibrated_student.calibration, calibrated_student.card.dev.by_source["overall"]
    assert calibration.num_pairs == len(dev_task.pairs) and calibration.temperature != 1.0
    assert figures["ece"] == pytest.approx(calibration.ece_after, abs=1e-5)
    assert figures["ece_raw"] == pytest.approx(calibration.ece_before, abs=1e-5)
    assert list(calibrated_student.card.dev.by_locale) == ["en"]
    systems = Systems()
    grade_student(dev_task, str(calibrated_student.folder), systems)
    again = figures_of(dev_task.judged, systems.graded["student"]).by_source["overall"]
    assert again["ece"] == pytest.approx(figures["ece"], abs=1e-3) and again["accuracy"] == figures["accuracy"]
    assert calibrated_student.version != tiny_student.version


def test_a_student_is_calibrated_and_measured_at_every_width_to_which_it_is_cut(
    tiny_settings: StudentSettings, rows: list[dict[str, str]], dev_task: Task, tmp_path: Path
) -> None:
    narrow = tiny_settings.model_copy(update={"tower": TowerSettings(dims=(8, 16))})
    whole = published(narrow, rows, tmp_path / "student", dev_task)
    assert sorted(whole.card.dev_at) == [8, 16]
    systems = Systems()
    grade_student(dev_task, str(whole.folder), systems)
    for dim, said in whole.card.dev_at.items():
        cut, figures = whole.as_version(f"{whole.version}:{dim}"), said.by_source["overall"]
        as_graded_N = losses(LevelCalibration(), cut.grade(dev_task.pairs), dev_task.judged.levels_N)
        assert cut.calibration.loss_before == pytest.approx(as_graded_N.mean(), rel=1e-3)
        assert cut.calibration.loss_before != pytest.approx(whole.calibration.loss_before, rel=1e-2)
        assert figures["ece"] == pytest.approx(cut.calibration.ece_after, abs=1e-5)
        again = figures_of(dev_task.judged, systems.graded[f"student:{dim}"]).by_source["overall"]
        assert again["ece"] == pytest.approx(figures["ece"], abs=1e-3)
    (whole.folder / "calibration-8.json").write_text("{}")
    with pytest.raises(ModelError, match=r"calibration-8\.json was altered"):
        open_student(whole.folder)


def test_opening_a_student_loads_no_encoder(copy: Path) -> None:
    opened = open_student(copy)
    assert opened.hidden == 16 and "encoder" not in vars(opened)


def test_nothing_but_safetensors_json_and_text_is_published(copy: Path) -> None:
    kinds = {path.suffix for path in copy.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".txt"}


PARTS = ("calibration.json", "feature_spec.json", "lexical.safetensors", "ranker.safetensors")


@pytest.mark.parametrize("name", ["card.json", MANIFEST, *PARTS])
@pytest.mark.parametrize("damage", ["remove", "empty"])
def test_a_damaged_folder_is_refused(copy: Path, name: str, damage: str) -> None:
    (copy / name).unlink()
    if damage == "empty":
        (copy / name).touch()
    with pytest.raises(ModelError, match=r"student"):
        open_student(copy)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_listed_and_is_none_is_refused(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"")
    sealed(copy)
    with pytest.raises(ModelError, match=r"[Tt]rain|student"):
        open_student(copy)


def sealed(folder: Path) -> None:
    """Write the manifest anew, as if the folder had been published as it is now."""
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.version, manifest.lineage)


def test_parts_of_two_students_are_refused(copy: Path) -> None:
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"feature_spec": "0" * 16}))
    sealed(copy)
    with pytest.raises(ModelError, match="do not belong together"):
        open_student(copy)
