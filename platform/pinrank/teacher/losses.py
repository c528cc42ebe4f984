"""How far the teacher's distribution is from its target. Letters: N pairs, L = 5 levels."""

import torch
from torch import Tensor

from pinrank.teacher.settings import Loss


def loss_of(kind: Loss, logits_NL: Tensor, targets_NL: Tensor, weights_L: Tensor | None = None) -> Tensor:
    """The mean loss of a batch, a scalar; `weights_L` weighs a pair by the levels of its target."""
    losses_N = cross_entropy(logits_NL, targets_NL) if kind == "cross_entropy" else emd2(logits_NL, targets_NL)
    if weights_L is None:
        return losses_N.mean()
    weights_N = targets_NL @ weights_L
    return (weights_N * losses_N).sum() / weights_N.sum()


def cross_entropy(logits_NL: Tensor, targets_NL: Tensor) -> Tensor:
    """- sum over levels of target * log p, [N]."""
    return -(targets_NL * torch.log_softmax(logits_NL, dim=-1)).sum(dim=-1)


def emd2(logits_NL: Tensor, targets_NL: Tensor) -> Tensor:
    """Squared earth mover's distance of two distributions over ordered levels, [N] (Hou, Yu, Samaras 2016, eq. 5).

    The mean over levels of the squared difference of the cumulated probabilities: a level far from the target costs
    more than its neighbour.
    """
    ahead_NL = (torch.softmax(logits_NL, dim=-1) - targets_NL).cumsum(dim=-1)
    return ahead_NL.square().mean(dim=-1)
