"""Adapters: what is trained, what is merged, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pinrank.errors import ParityError
from pinrank.teacher.checkpoint import trained_weights
from pinrank.teacher.lora import merged, open_trainable, refuse_if_changed
from pinrank.teacher.losses import loss_of
from pinrank.teacher.model import Teacher
from pinrank.teacher.settings import HeadSettings, LoraSettings, TeacherSettings
from tests.tiny_models import tiny_backbone

CPU = torch.device("cpu")
IDS_NT = torch.arange(1, 33).reshape(4, 8)
BATCH = {"input_ids": IDS_NT, "attention_mask": torch.ones_like(IDS_NT)}
TARGETS_NL = torch.eye(5)[[0, 1, 3, 4]]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone("llama", tmp_path_factory.mktemp("llama"))


def opened(llama: Path, **changes: object) -> Teacher:
    settings = TeacherSettings(backbone=str(llama), precision="float32", **changes)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return Teacher(open_trainable(settings, CPU), "last", HeadSettings(hidden=(8,), dropout=0.0))


def step(teacher: Teacher, rate: float = 0.05) -> float:
    loss = loss_of("cross_entropy", teacher(**BATCH), TARGETS_NL)
    loss.backward()
    with torch.no_grad():
        for weight in teacher.parameters():
            if weight.grad is not None:
                weight -= rate * weight.grad
                weight.grad = None
    return float(loss.detach())


@pytest.mark.parametrize("quantise", [True, False])
def test_adapters_and_head_are_trained_and_nothing_else(llama: Path, quantise: bool):
    teacher = opened(llama, lora=LoraSettings(rank=2, dropout=0.0, quantise=quantise))
    names = list(trained_weights(teacher))
    assert names and all("lora_" in name or name.startswith("head.") for name in names)
    linear_layers = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert all(any(layer in name for name in names) for layer in linear_layers)


@pytest.mark.parametrize("quantise", [True, False])
def test_the_merged_teacher_grades_as_the_trained_one(llama: Path, quantise: bool):
    lora = LoraSettings(rank=2, alpha=8, dropout=0.0, quantise=quantise)
    teacher = opened(llama, lora=lora)
    losses = [step(teacher) for _ in range(10)]
    assert losses[-1] < losses[0]
    teacher.eval()
    with torch.no_grad():
        trained_NL = teacher(**BATCH).numpy()
        found_NL = merged(teacher, lora, CPU).eval()(**BATCH).numpy()
    refuse_if_changed(trained_NL, found_NL)
    assert teacher.backbone.dtype == torch.bfloat16
    assert not any("lora" in name for name, _ in teacher.named_parameters())


def test_evaluating_between_steps_does_not_stop_a_quantised_teacher_from_learning(llama: Path):
    teacher = opened(llama, lora=LoraSettings(rank=2, dropout=0.0))
    with torch.no_grad():
        teacher.eval()(**BATCH)
    teacher.train()
    loss_of("cross_entropy", teacher(**BATCH), TARGETS_NL).backward()
    gradients = [float(w.grad.abs().max()) for name, w in teacher.named_parameters() if "lora_B" in name]
    assert all(gradient > 0 for gradient in gradients)


def test_a_merged_teacher_that_grades_otherwise_is_refused():
    trained_NL = np.log(np.array([[0.1, 0.1, 0.1, 0.1, 0.6]], np.float32))
    changed_NL = np.log(np.array([[0.1, 0.1, 0.1, 0.13, 0.57]], np.float32))
    with pytest.raises(ParityError, match=r"changed by 0\.03.*100\.0% of 1 pairs kept their level"):
        refuse_if_changed(trained_NL, changed_NL)


def test_gradient_checkpointing_changes_no_gradient(llama: Path):
    gradients = []
    for checkpointing in (False, True):
        teacher = opened(llama, gradient_checkpointing=checkpointing).train()
        loss_of("cross_entropy", teacher(**BATCH), TARGETS_NL).backward()
        gradients.append([weight.grad for weight in teacher.parameters() if weight.grad is not None])
    assert gradients[0]
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_rates_by_layer_do_not_go_with_adapters():
    with pytest.raises(ValidationError, match="layer_decay is for a backbone that is trained whole"):
        TeacherSettings(lora=LoraSettings(), layer_decay=0.9)
