"""The towers and the MLP while they train."""

import torch
from transformers import AutoModel

from pinrank.student.encoder import padded
from pinrank.student.features import NAMES as FEATURES
from pinrank.student.features import FeatureSpec
from pinrank.student.loop import build_student
from pinrank.student.settings import StudentSettings


def spec() -> FeatureSpec:
    return FeatureSpec(mean=(0.0,) * len(FEATURES), std=(1.0,) * len(FEATURES))


def test_a_vector_is_the_normalised_mean_over_tokens(tiny_settings: StudentSettings) -> None:
    student = build_student(tiny_settings, spec()).eval()
    ids, mask = padded([[101, 5000, 102], [101, 6000, 7000, 8000, 102]], pad_id=0)
    with torch.inference_mode():
        vectors = student.tower(ids, mask)
        hidden = AutoModel.from_pretrained(tiny_settings.backbone)(input_ids=ids[:1, :3]).last_hidden_state
    wanted = torch.nn.functional.normalize(hidden.mean(dim=1), dim=-1)
    assert torch.allclose(vectors[:1], wanted, atol=1e-5)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(2))


def test_one_encoder_serves_both_sides_and_learns(tiny_settings: StudentSettings) -> None:
    student = build_student(tiny_settings, spec())
    texts = padded([[101, 5000, 102], [101, 6000, 102]], pad_id=0)
    which = torch.tensor([0, 1, 0])
    logits = student(texts, texts, which, which.flip(0), torch.zeros(3, len(FEATURES)))
    logits.square().sum().backward()
    assert logits.shape == (3, 5)
    embeddings = student.tower.encoder.get_input_embeddings().weight.grad
    assert embeddings is not None and embeddings[[5000, 6000]].abs().sum() > 0
    assert len(list(student.tower.parameters())) == len({id(weight) for weight in student.tower.parameters()})


def test_the_first_gradient_reaches_every_part_but_the_hidden_layers(tiny_settings: StudentSettings) -> None:
    student = build_student(tiny_settings, spec())
    texts = padded([[101, 5000, 102], [101, 6000, 102]], pad_id=0)
    which = torch.tensor([0, 1])
    student(texts, texts, which, which.flip(0), torch.ones(2, len(FEATURES)))[:, 4].sum().backward()
    assert student.ranker.shortcut.weight.grad.abs().sum() > 0
    assert student.ranker.layers[-1].weight.grad.abs().sum() > 0
