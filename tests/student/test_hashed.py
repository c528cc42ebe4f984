"""A tower without a backbone: words as rows of a table."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pinrank.errors import ModelError
from pinrank.student.encoder import TextEncoder, text_template, tokenise
from pinrank.student.hashed import HashedWords, hashed_words
from pinrank.student.settings import TowerSettings
from pinrank.student.tower_folder import save_tower
from pinrank.student.towers import HashedTower, build_towers


def encoder() -> TextEncoder:
    torch.manual_seed(0)
    words = HashedWords(1000)
    return TextEncoder(HashedTower(words, 64), words)


def test_a_word_has_one_row_in_every_text_and_none_is_the_paddings():
    words = HashedWords(50)
    ids = tokenise(words, text_template(words), ["red sofa", "a RED lamp", " ".join(map(str, range(500)))], 200)
    assert ids[0][0] == ids[1][1]
    assert min(min(row) for row in ids) >= 1
    assert max(max(row) for row in ids) == 49
    assert len(ids[2]) == 200


def test_before_training_the_cosine_grows_with_the_words_in_common():
    query, same, some, none = encoder().encode(["red sofa", "sofa, red", "red lamp", "birthday cake"], 16)
    assert query @ same == pytest.approx(1.0, abs=1e-5)
    assert 0.25 < query @ some < 0.75
    assert abs(query @ none) < 0.35


def test_a_text_without_words_is_a_zero_vector():
    np.testing.assert_array_equal(encoder().encode(["", "..."], 16), np.zeros((2, 64)))


def test_a_saved_hashed_tower_gives_the_same_vectors(tmp_path: Path):
    made = encoder()
    with torch.no_grad():
        made.tower.log_weight.weight.normal_()
    save_tower(made.tower, made.tokenizer, tmp_path / "tower")
    texts = ["red sofa", "a small red lamp"]
    np.testing.assert_array_equal(TextEncoder.open(tmp_path / "tower").encode(texts, 16), made.encode(texts, 16))
    assert {path.name for path in (tmp_path / "tower").iterdir()} == {"tower.json", "hashed.safetensors"}


def test_a_backbones_name_says_how_many_rows():
    assert hashed_words("hashed/65536") == HashedWords(65536)
    assert hashed_words("all-MiniLM-L6-v2") is None
    with pytest.raises(ModelError, match="needs two rows or more"):
        hashed_words("hashed/1")
    towers = build_towers("hashed/100", TowerSettings(shared=False, output_dim=16))
    assert (towers.vector_dim, towers.shared) == (16, False)
