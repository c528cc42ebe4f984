"""How far the student's distribution is from its target. Letters: N pairs, L = 5 levels.

With teacher t and student s (probabilities at temperature T where it says so), a row costs

    T^2 H(t_T, s_T)  +  kl_weight KL(t_1 || s_1)  +  hard_weight H(argmax t, s_1)

The first term is the distillation of Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015,
section 2; T^2 keeps its gradient's size at every temperature. At T = 1 the second has the same gradient as the first;
at a higher one it holds the probabilities that are served to the teacher's. The third is the paper's term on hard
labels, which are here the teacher's own where no human gave one.

A batch's loss is the sum of its rows' costs, each times the row's weight, divided by the batch's rows and by the mean
weight of all rows of the run. That is a constant: a row pulls by its weight in whichever batch it lies, also among rows
that all weigh the same.
"""

import torch
from torch import Tensor


def soft_cross_entropy(
    logits_NL: Tensor, target_NL: Tensor, temperature_N: Tensor, weight_N: Tensor, mean_weight: float = 1.0
) -> Tensor:
    """Weighted mean of T^2 * cross-entropy(target, softmax(logits / T)), a scalar; mean_weight as in `loss_of`."""
    return _mean(_soft(logits_NL, target_NL, temperature_N), weight_N, mean_weight)


def loss_of(
    logits_NL: Tensor,
    target_NL: Tensor,
    temperature_N: Tensor,
    weight_N: Tensor,
    kl_weight: float = 0.0,
    hard_weight: float = 0.0,
    mean_weight: float = 1.0,
) -> Tensor:
    """Weighted mean of the loss above, a scalar; target_NL is the distribution at the row's temperature.

    mean_weight: of all rows of the run.
    """
    loss_N = _soft(logits_NL, target_NL, temperature_N)
    if kl_weight:
        loss_N = loss_N + kl_weight * kl(logits_NL, at_temperature_one(target_NL, temperature_N))
    if hard_weight:
        hard_N = torch.nn.functional.cross_entropy(logits_NL, target_NL.argmax(dim=-1), reduction="none")
        loss_N = loss_N + hard_weight * hard_N
    return _mean(loss_N, weight_N, mean_weight)


def kl(logits_NL: Tensor, target_NL: Tensor) -> Tensor:
    """KL(target || softmax(logits)), [N]; 0 where they agree."""
    log_NL = torch.log_softmax(logits_NL, dim=-1)
    return torch.nn.functional.kl_div(log_NL, target_NL, reduction="none").sum(dim=-1)


def at_temperature_one(target_NL: Tensor, temperature_N: Tensor) -> Tensor:
    """Distributions at a temperature as they are at 1: softmax(logits) from softmax(logits / T)."""
    return torch.softmax(target_NL.log() * temperature_N[:, None], dim=-1)


def _soft(logits_NL: Tensor, target_NL: Tensor, temperature_N: Tensor) -> Tensor:
    log_probabilities_NL = torch.log_softmax(logits_NL / temperature_N[:, None], dim=-1)
    return -(target_NL * log_probabilities_NL).sum(dim=-1) * temperature_N**2


def _mean(loss_N: Tensor, weight_N: Tensor, mean_weight: float) -> Tensor:
    return (weight_N * loss_N).sum() / (len(weight_N) * mean_weight)
