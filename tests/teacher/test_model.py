"""Pooling, head and backbone of the teacher."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pinrank.errors import ModelError
from pinrank.teacher.model import Teacher, build_head, open_backbone, pool
from pinrank.teacher.settings import HeadSettings

HIDDEN_NTD = torch.tensor([[[1.0], [2.0], [9.0]], [[3.0], [5.0], [7.0]]])
MASK_NT = torch.tensor([[1, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize(("pooling", "expected"), [("first", [1, 3]), ("last", [2, 7]), ("mean", [1.5, 5])])
def test_pooling_ignores_padding(pooling, expected):
    assert pool(HIDDEN_NTD, MASK_NT, pooling).flatten().tolist() == expected


def test_the_mean_of_no_token_is_zero():
    assert pool(HIDDEN_NTD, torch.zeros_like(MASK_NT), "mean").flatten().tolist() == [0, 0]


def test_the_head_ends_in_five_logits():
    head = build_head(8, HeadSettings(hidden=(6, 4)))
    assert head(torch.zeros(3, 8)).shape == (3, 5)
    assert [layer.out_features for layer in head if isinstance(layer, torch.nn.Linear)] == [6, 4, 5]


def test_a_head_without_hidden_layer_is_refused():
    with pytest.raises(ModelError, match="hidden layer"):
        build_head(8, HeadSettings(hidden=()))


def test_logits_do_not_depend_on_padding(tiny_bert_dir: Path):
    teacher = Teacher(open_backbone(str(tiny_bert_dir)), "first", HeadSettings(hidden=(8,))).eval()
    ids = torch.tensor([[101, 2417, 102, 9573, 102]])
    short = teacher(ids, torch.ones_like(ids))
    padding = torch.zeros((1, 4), dtype=torch.long)
    long = teacher(torch.cat([ids, padding], 1), torch.cat([torch.ones_like(ids), padding], 1))
    torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)


def test_a_backbone_folder_that_lacks_weights_is_refused(tiny_bert_dir: Path, tmp_path: Path):
    for path in tiny_bert_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks weights"):
        open_backbone(str(tmp_path))
