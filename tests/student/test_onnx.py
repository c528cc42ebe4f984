"""The query tower as ONNX: equal to torch, and published only when dev does not speak against it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pinrank.errors import ModelError
from pinrank.evaluation.task import Task
from pinrank.student import onnx, onnx_choice
from pinrank.student.encoder import TextEncoder
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.hashed import HashedWords
from pinrank.student.manifest import read_manifest
from pinrank.student.onnx import OnnxEncoder, chosen_form, file_of
from pinrank.student.onnx_choice import Remembered, choose
from pinrank.student.publish import Sealing, seal
from pinrank.student.tower_folder import ENCODER, save_tower
from pinrank.student.towers import HashedTower, Tower
from serve_apps.rerank.releases import open_version
from serve_apps.rerank.settings import RerankSettings

TEXTS = ("pasta", "", "a much longer query about red sofas and lamps for small rooms", "寿司屋", "pasta")


@pytest.fixture(scope="module")
def exported(
    calibrated_student: StudentBundle, dev_task: Task, tmp_path_factory: pytest.TempPathFactory
) -> StudentBundle:
    """The student sealed with both formats, of which dev may refuse none."""
    folder = Path(shutil.copytree(calibrated_student.folder, tmp_path_factory.mktemp("onnx") / "student"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_choice, "LARGEST_LOSS", 1.0)
        seal(folder, Sealing(dev_task, ("fp32", "int8")))
    return open_student(folder, thorough=True)


def test_onnx_gives_the_vectors_of_torch(exported: StudentBundle) -> None:
    wanted = exported.encode_queries(TEXTS)
    for form, tolerance in (("fp32", 1e-4), ("int8", 0.2)):
        encoder = OnnxEncoder.open(file_of(exported.folder, form), exported.folder / ENCODER, num_threads=1)
        found = encoder.encode(TEXTS, exported.text.max_query_tokens)
        assert found.dtype == np.float32 and encoder.vector_dim == exported.vector_dim
        np.testing.assert_allclose(found, wanted, atol=tolerance)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-4)
        assert encoder.encode([], 8).shape == (0, exported.vector_dim)


def test_what_was_published_is_on_the_card_and_in_the_manifest(
    exported: StudentBundle, calibrated_student: StudentBundle
) -> None:
    figures = exported.card.onnx["fp32"]
    assert figures.published and figures.loss == pytest.approx(0.0, abs=1e-6)
    assert figures.largest_difference is not None and figures.largest_difference < 1e-4
    assert {"onnx/query-fp32.onnx", "onnx/query-int8.onnx"} <= {
        file.path for file in read_manifest(exported.folder).files
    }
    assert exported.version == calibrated_student.version


def test_a_format_that_loses_too_much_on_dev_is_not_published(
    exported: StudentBundle, dev_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "student"))
    monkeypatch.setattr(onnx_choice, "LARGEST_LOSS", -1.0)
    monkeypatch.setattr(onnx, "write", lambda encoder, path: shutil.copytree(exported.folder / "onnx", path.parent))
    card = seal(folder, Sealing(dev_task, ("fp32",)))
    assert not card.onnx["fp32"].published and "more than -1.0 is lost" in card.onnx["fp32"].reason
    assert not (folder / "onnx").exists()
    assert open_student(folder).version == card.version


def test_a_tower_that_is_exported_stays_on_its_device(
    exported: StudentBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[Tower] = []
    to = Tower.to

    def noted(tower: Tower, *where: Any) -> Tower:
        moved.append(tower)
        return to(tower, *where)

    monkeypatch.setattr(Tower, "to", noted)
    onnx.write(exported.encoder, tmp_path / "query.onnx")
    assert moved and all(tower is not exported.encoder.tower for tower in moved)


def test_a_tower_without_a_backbone_is_opened_as_onnx_too(tmp_path: Path) -> None:
    words = HashedWords(500)
    torch_encoder = TextEncoder(HashedTower(words, 32), words)
    save_tower(torch_encoder.tower, words, tmp_path / ENCODER)
    onnx.write(torch_encoder, tmp_path / "query.onnx")
    found = OnnxEncoder.open(tmp_path / "query.onnx", tmp_path / ENCODER)
    np.testing.assert_allclose(found.encode(TEXTS, 16), torch_encoder.encode(TEXTS, 16), atol=1e-5)


def test_without_dev_pairs_nothing_is_published(exported: StudentBundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "student"))
    found = choose(open_student(folder), None, ("fp32",))
    assert "no dev pairs" in found["fp32"].reason and not (folder / "onnx").exists()


def test_a_file_that_is_no_model_is_refused(exported: StudentBundle, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no ONNX model"):
        OnnxEncoder.open(tmp_path / "x.onnx", exported.folder / ENCODER)


def test_a_remembered_text_is_encoded_once(exported: StudentBundle) -> None:
    class Counting:
        asked = 0

        def encode(self, texts: list[str], max_tokens: int, precision: str = "float32") -> np.ndarray:
            self.asked += len(texts)
            return exported.encode_queries(texts)

    encoder = Counting()
    remembered = Remembered(encoder)
    first, again = remembered.encode(TEXTS, 8), remembered.encode(TEXTS[:2], 8)
    assert encoder.asked == len(set(TEXTS))
    np.testing.assert_array_equal(again, first[:2])


def test_a_bundle_is_served_with_the_fastest_form_that_it_holds_or_the_one_that_is_wanted(
    exported: StudentBundle, calibrated_student: StudentBundle, tmp_path: Path
) -> None:
    assert chosen_form(exported.folder, "auto") == "int8"
    assert chosen_form(exported.folder, "fp32") == "fp32"
    assert chosen_form(exported.folder, "torch") is None
    assert chosen_form(calibrated_student.folder, "auto") is None
    with pytest.raises(ModelError, match="holds no query tower as int8 ONNX"):
        chosen_form(calibrated_student.folder, "int8")


def test_queries_are_encoded_by_the_chosen_form_and_pins_are_not(exported: StudentBundle) -> None:
    served = exported.with_query_form("fp32")
    np.testing.assert_allclose(served.encode_queries(TEXTS), exported.encode_queries(TEXTS), atol=1e-4)
    assert isinstance(served.query_encoder, OnnxEncoder) and not isinstance(served.pin_encoder, OnnxEncoder)
    assert (served.encoder_version, exported.encoder_version) == (f"{exported.version}+fp32", exported.version)
    assert served.query_encoder.tokens(TEXTS, 8) == served.encoder.tokens(TEXTS, 8)
    assert served.with_query_form(None).query_encoder is served.encoder


def test_the_service_opens_a_student_in_the_form_that_its_settings_name(exported: StudentBundle) -> None:
    folder = str(exported.folder)
    for tower, form in (("auto", "int8"), ("fp32", "fp32"), ("torch", None)):
        settings = RerankSettings.model_validate({"student": folder, "pin_store": "none", "query_tower": tower})
        assert open_version(settings, exported.version).query_form == form
