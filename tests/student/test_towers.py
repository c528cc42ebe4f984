"""Texts to vectors: by one tower or two, pooled and projected as the settings say, and the same again from a folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel, AutoTokenizer

from pinrank.errors import ModelError
from pinrank.student.encoder import TextEncoder, padded
from pinrank.student.settings import TowerSettings
from pinrank.student.tower_folder import PROJECTION, save_tower
from pinrank.student.towers import build_towers, encoded
from pinrank.teacher.families import Pooling


class CountedTokens:
    """How many tokens, padding included, a tower reads meanwhile."""

    def __init__(self, tower: torch.nn.Module) -> None:
        self.tokens = 0
        self.hook = tower.register_forward_pre_hook(self.count)

    def count(self, tower: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.tokens += inputs[0].numel()

    def __enter__(self) -> "CountedTokens":
        return self

    def __exit__(self, *raised: object) -> None:
        self.hook.remove()


TEXTS = ["red sofa", "a very small lamp for a red sofa"]


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_a_vector_is_the_pooled_and_normalised_last_layer(tiny_bert_dir: Path, pooling: Pooling):
    tower = build_towers(str(tiny_bert_dir), TowerSettings(pooling=pooling)).query.eval()
    ids, mask = padded([[101, 5000, 102], [101, 6000, 7000, 8000, 102]], pad_id=0)
    with torch.inference_mode():
        vectors = tower(ids, mask)
        hidden = AutoModel.from_pretrained(tiny_bert_dir)(input_ids=ids[:1, :3]).last_hidden_state[0]
    wanted = {"mean": hidden.mean(dim=0), "first": hidden[0], "last": hidden[2]}[pooling]
    assert torch.allclose(vectors[0], torch.nn.functional.normalize(wanted, dim=0), atol=1e-5)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2))


def test_texts_that_are_encoded_in_groups_of_like_length_get_the_vectors_and_gradients_of_one_padded_batch(
    tiny_bert_dir: Path,
):
    torch.manual_seed(0)
    texts = sorted((torch.randint(1_000, 9_000, (length,)).tolist() for length in range(1, 40)), key=len)
    ids, mask = padded(texts, pad_id=0)
    tower = build_towers(str(tiny_bert_dir), TowerSettings(), dropout=0.0).query
    with CountedTokens(tower) as counted:
        vectors = encoded(tower, ids, mask)
    assert counted.tokens < 0.7 * ids.numel()
    torch.testing.assert_close(vectors, tower(ids, mask), rtol=0, atol=1e-5)
    towards = torch.randn_like(vectors)
    found = torch.autograd.grad((vectors * towards).sum(), list(tower.parameters()), allow_unused=True)
    wanted = torch.autograd.grad((tower(ids, mask) * towards).sum(), list(tower.parameters()), allow_unused=True)
    for each, other in zip(found, wanted, strict=True):
        if each is not None:
            torch.testing.assert_close(each, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_towers_are_one_or_two(tiny_bert_dir: Path, shared: bool):
    towers = build_towers(str(tiny_bert_dir), TowerSettings(shared=shared))
    one = sum(weight.numel() for weight in towers.query.parameters())
    assert towers.shared is shared
    assert sum(weight.numel() for weight in towers.parameters()) == (one if shared else 2 * one)


def test_a_saved_tower_gives_the_same_vectors(tiny_bert_dir: Path, tmp_path: Path):
    torch.manual_seed(1)
    tower = build_towers(str(tiny_bert_dir), TowerSettings(pooling="last", output_dim=8)).query
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert_dir)
    save_tower(tower, tokenizer, tmp_path / "tower")
    wanted = TextEncoder(tower, tokenizer).encode(TEXTS, 16)
    np.testing.assert_allclose(TextEncoder.open(tmp_path / "tower").encode(TEXTS, 16), wanted, atol=1e-6)
    assert wanted.shape == (2, 8)


def test_a_width_that_is_not_smaller_is_refused(tiny_bert_dir: Path):
    with pytest.raises(ModelError, match="64 is no smaller width of vectors of 32 numbers"):
        build_towers(str(tiny_bert_dir), TowerSettings(dims=(16, 64)))
    with pytest.raises(ValidationError, match="ascending order"):
        TowerSettings(dims=(16, 8))


def test_a_damaged_tower_is_refused(tiny_bert_dir: Path, tmp_path: Path):
    tower = build_towers(str(tiny_bert_dir), TowerSettings(output_dim=8)).query
    save_tower(tower, AutoTokenizer.from_pretrained(tiny_bert_dir), tmp_path)
    (tmp_path / PROJECTION).write_text("no weights")
    with pytest.raises(ModelError, match="no tower"):
        TextEncoder.open(tmp_path)
