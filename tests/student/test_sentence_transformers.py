"""A tower opens in sentence-transformers and gives the same vectors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from pinrank.errors import ModelError
from pinrank.student.encoder import TextEncoder
from pinrank.student.export import StudentBundle
from pinrank.student.hashed import HashedWords
from pinrank.student.sentence_transformers import write, write_sides
from pinrank.student.settings import StudentSettings
from pinrank.student.towers import HashedTower, Tower
from pinrank.teacher.families import Pooling
from pinrank.teacher.model import open_backbone
from pipelines.embed_texts import EmbedTexts
from pipelines.embed_texts import main as embed_texts
from tests.student.conftest import published

TEXTS = ["pasta", "a small red lamp for a sofa " * 5, "寿司屋", "boots"]


def opened(folder: Path, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return np.asarray(SentenceTransformer(str(folder), device="cpu").encode(texts))


def test_both_sides_give_the_vectors_of_the_student(tiny_student: StudentBundle, tmp_path: Path) -> None:
    assert write_sides(tiny_student, tmp_path / "st") == ["query", "pin"]
    np.testing.assert_allclose(opened(tmp_path / "st/query", TEXTS), tiny_student.encode_queries(TEXTS), atol=1e-5)
    wanted = tiny_student.encode_pins(TEXTS, "float32")
    np.testing.assert_allclose(opened(tmp_path / "st/pin", TEXTS), wanted, atol=1e-5)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_projection_becomes_a_dense_layer(tiny_bert_dir: Path, pooling: Pooling, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tower = Tower(open_backbone(str(tiny_bert_dir)), 12, pooling)
    encoder = TextEncoder(tower, AutoTokenizer.from_pretrained(str(tiny_bert_dir)))
    write(encoder, 16, tmp_path / "tower")
    kinds = [module["type"].rpartition(".")[2] for module in json.loads((tmp_path / "tower/modules.json").read_text())]
    assert kinds == ["Transformer", "Pooling", "Dense", "Normalize"]
    np.testing.assert_allclose(opened(tmp_path / "tower", TEXTS), encoder.encode(TEXTS, 16), atol=1e-5)


def test_a_tower_that_is_no_hugging_face_model_is_refused(tiny_bert_dir: Path, tmp_path: Path) -> None:
    tower = Tower(open_backbone(str(tiny_bert_dir)))
    encoder = TextEncoder(tower, AutoTokenizer.from_pretrained(str(tiny_bert_dir)))
    tower.encoder = torch.nn.Identity()  # type: ignore[assignment]
    with pytest.raises(ModelError, match="no Hugging Face model"):
        write(encoder, 16, tmp_path / "tower")


def test_a_student_without_a_backbone_is_refused_before_anything_is_read_or_encoded(
    tiny_settings: StudentSettings, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    words = HashedWords(100)
    with pytest.raises(ModelError, match="--no-towers"):
        write(TextEncoder(HashedTower(words, 8), words), 16, tmp_path / "tower")
    published(tiny_settings.model_copy(update={"backbone": "hashed/100"}), rows, tmp_path / "student", None)
    settings = EmbedTexts(tables=str(tmp_path / "none"), student=tmp_path / "student", output=tmp_path / "texts")
    with pytest.raises(ModelError, match=r"encoder: this tower is no Hugging Face model\..*--no-towers"):
        embed_texts(settings)
