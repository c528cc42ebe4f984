"""Learning rates by layer."""

from pathlib import Path

import pytest

from pinrank.teacher.model import Teacher, open_backbone
from pinrank.teacher.optimisation import layer_of, parameter_groups
from pinrank.teacher.settings import HeadSettings, TeacherSettings


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("embeddings.word_embeddings.weight", 0),
        ("encoder.layer.0.output.dense.weight", 1),
        ("base_model.model.layers.11.mlp.up_proj.lora_A.default.weight", 12),
        ("encoder.block.3.layer.0.SelfAttention.q.weight", 4),
        ("h.2.attn.weight", 3),
    ],
)
def test_a_parameters_layer_is_in_its_name(name: str, layer: int):
    assert layer_of(name) == layer


def test_each_layer_learns_at_its_share_of_the_one_above_and_vectors_do_not_decay(tiny_bert_dir: Path):
    settings = TeacherSettings(learning_rate=1.0, head_learning_rate=9.0, layer_decay=0.5, weight_decay=0.1)
    teacher = Teacher(open_backbone(str(tiny_bert_dir)), "first", HeadSettings(hidden=(8,)))
    groups = parameter_groups(teacher, settings)
    assert sorted({group["lr"] for group in groups}) == [0.25, 0.5, 1.0, 9.0]
    for group in groups:
        assert {weight.dim() > 1 for weight in group["params"]} == {group["weight_decay"] > 0}
    assert sum(len(group["params"]) for group in groups) == len(list(teacher.parameters()))
