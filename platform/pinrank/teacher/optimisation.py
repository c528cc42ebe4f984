"""Which parameters learn at which rate."""

import re
from typing import Any

import torch
from torch import nn

from pinrank.teacher.model import Teacher
from pinrank.teacher.settings import TeacherSettings

LAYER = re.compile(r"\.(?:layer|layers|block|blocks|h)\.(\d+)\.")
"""How the families number their layers in parameter names."""


def optimizer_of(teacher: Teacher, settings: TeacherSettings) -> torch.optim.Optimizer:
    """AdamW over the parameters that are trained; biases and norms are not decayed.

    With adapters on 4-bit weights on a GPU, its states are paged to the host when memory is short (Dettmers et al.
    2023).
    """
    groups = parameter_groups(teacher, settings)
    if settings.lora and settings.lora.quantise and next(teacher.head.parameters()).is_cuda:
        import bitsandbytes

        paged: torch.optim.Optimizer = bitsandbytes.optim.PagedAdamW32bit(groups)
        return paged
    return torch.optim.AdamW(groups, fused=True)


def parameter_groups(teacher: Teacher, settings: TeacherSettings) -> list[dict[str, Any]]:
    """Groups of parameters with `lr` and `weight_decay`: the head, and the backbone by layer from the top down.

    A layer's rate is layer_decay times that of the layer above it; the embeddings lie below the first layer.
    """
    by_layer: dict[int, list[nn.Parameter]] = {}
    for name, weight in teacher.backbone.named_parameters():
        if weight.requires_grad:
            by_layer.setdefault(layer_of(name), []).append(weight)
    top = max(by_layer, default=0)
    groups = _with_and_without_decay(list(teacher.head.parameters()), settings.head_learning_rate, settings)
    for layer in sorted(by_layer, reverse=True):
        rate = settings.learning_rate * settings.layer_decay ** (top - layer)
        groups += _with_and_without_decay(by_layer[layer], rate, settings)
    return groups


def layer_of(name: str) -> int:
    """The layer, from 1 up, that a parameter of a backbone belongs to; 0 for embeddings and whatever has no number."""
    found = LAYER.search(f".{name}")
    return int(found.group(1)) + 1 if found else 0


def _with_and_without_decay(
    weights: list[nn.Parameter], rate: float, settings: TeacherSettings
) -> list[dict[str, Any]]:
    matrices = [weight for weight in weights if weight.dim() > 1]
    vectors = [weight for weight in weights if weight.dim() <= 1]
    groups = [
        {"params": matrices, "lr": rate, "weight_decay": settings.weight_decay},
        {"params": vectors, "lr": rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
