"""The teacher's folder."""

import json
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from pinrank.errors import ModelError
from pinrank.teacher.card import read_card
from pinrank.teacher.export import open_teacher
from pinrank.teacher.tokens import PairTokenizer, padded
from tests.tiny_models import tiny_teacher


def test_an_opened_teacher_grades_like_the_one_that_was_published(tiny_bert_dir: Path, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    tiny_teacher(first, tiny_bert_dir)
    tiny_teacher(second, tiny_bert_dir)
    prompts = PairTokenizer.open(str(first), read_card(str(first)).text).prompts([("red shoe", "a boot"), ("cat", "")])
    batch = padded(prompts, 0, uses_types=True)
    with torch.inference_mode():
        torch.testing.assert_close(open_teacher(str(first))(**batch), open_teacher(str(second))(**batch))


def test_the_version_names_the_weights(tiny_bert_dir: Path, tmp_path: Path):
    one = tiny_teacher(tmp_path / "one", tiny_bert_dir)
    same = tiny_teacher(tmp_path / "same", tiny_bert_dir)
    assert one.version == same.version
    assert one.version.startswith("tiny@")


def test_sentence_transformers_opens_the_folder_with_its_head(tiny_teacher_dir: Path):
    model = SentenceTransformer(str(tiny_teacher_dir), device="cpu")
    assert model.get_embedding_dimension() == 5


def test_a_folder_without_card_is_no_teacher(tmp_path: Path):
    with pytest.raises(ModelError, match=r"no card\.json.*train_teacher"):
        read_card(str(tmp_path))


def test_a_damaged_card_is_named(tmp_path: Path):
    (tmp_path / "card.json").write_text(json.dumps({"version": "x"}))
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(str(tmp_path))


def test_a_missing_layer_of_the_head_is_named(tiny_bert_dir: Path, tmp_path: Path):
    tiny_teacher(tmp_path / "teacher", tiny_bert_dir)
    (tmp_path / "teacher/3_Dense/model.safetensors").unlink()
    with pytest.raises(ModelError, match="3_Dense"):
        open_teacher(str(tmp_path / "teacher"))
