"""The towers and the MLP while they train."""

import torch

from pinrank.student.declaration import Declaration
from pinrank.student.encoder import padded
from pinrank.student.features import FeatureSpec, order_of
from pinrank.student.inputs import Features, Side
from pinrank.student.model import build_student
from pinrank.student.settings import StudentSettings


def spec() -> FeatureSpec:
    declared = Declaration(lexical={"bm25": ("title", "all")})
    order = order_of(declared)
    return FeatureSpec(declared=declared, order=order, statistics=dict.fromkeys(order.pair, (0.0, 1.0)))


def features(pair: torch.Tensor) -> Features[torch.Tensor]:
    none = Side(torch.zeros(len(pair), 0), torch.zeros(len(pair), 0, dtype=torch.int32))
    return Features(pair, none, none)


def test_one_encoder_serves_both_sides_and_learns(tiny_settings: StudentSettings) -> None:
    student = build_student(tiny_settings, spec())
    texts = padded([[101, 5000, 102], [101, 6000, 102]], pad_id=0)
    which = torch.tensor([0, 1, 0])
    logits = student(texts, texts, which, which.flip(0), features(torch.zeros(3, 2)))
    logits.square().sum().backward()
    assert logits.shape == (3, 5)
    embeddings = student.towers.query.encoder.get_input_embeddings().weight.grad
    assert embeddings is not None and embeddings[[5000, 6000]].abs().sum() > 0
    assert len(list(student.towers.parameters())) == len({id(weight) for weight in student.towers.parameters()})


def test_the_first_gradient_reaches_every_part_but_the_hidden_layers(tiny_settings: StudentSettings) -> None:
    student = build_student(tiny_settings, spec())
    texts = padded([[101, 5000, 102], [101, 6000, 102]], pad_id=0)
    which = torch.tensor([0, 1])
    student(texts, texts, which, which.flip(0), features(torch.ones(2, 2)))[:, 4].sum().backward()
    assert student.ranker.shortcut.weight.grad.abs().sum() > 0
    assert student.ranker.layers[-1].weight.grad.abs().sum() > 0
