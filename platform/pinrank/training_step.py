"""What every training loop does around its loss, so that a run that was killed and resumed ends as one that was not:
chance and rates are functions of the step, and a step whose gradient is no number is not taken.
"""

from collections.abc import Sequence

import torch
from torch import nn


class Diverged(ArithmeticError):
    """A loss or gradient that is no number."""


def attention_on(device: torch.device) -> str | None:
    """The attention that trains fastest; None leaves the choice to transformers.

    Eager on CPUs: the backward pass of the fused one is several times slower there (docs/decisions).
    """
    return "eager" if device.type == "cpu" else None


def seed_step(seed: int, step: int, rank: int, num_ranks: int) -> None:
    """Make what is random in a step (dropout) depend on seed, step and rank alone."""
    torch.manual_seed((seed * 1_000_003 + step) * num_ranks + rank)


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float], share: float) -> None:
    """Give every group of parameters a share of its full learning rate."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * share


def take_step(
    module: nn.Module, optimizer: torch.optim.Optimizer, loss: float, largest_gradient: float, step: int, mend: str
) -> None:
    """Clip the gradients and step; raises Diverged, with what to do about it, when they are no numbers.

    After the gradients were averaged: so on one rank if and only if on all.
    """
    norm = nn.utils.clip_grad_norm_(module.parameters(), largest_gradient)
    if not torch.isfinite(norm):
        raise Diverged(
            f"the loss is {loss} and the gradient's norm {norm.item()} at step {step}, so nothing was published. {mend}"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
