"""In-batch sampled softmax with the correction for popular pins.

A query must tell its own pin from the other pins of its batch, a sample of all pins in which a popular pin comes often.
Sampled softmax (Bengio and Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic
language model", 2008) stays true to the softmax over all pins when the log of the probability Q(j) with which pin j is
sampled is subtracted from its logit; for batches of a two-tower model, Yi et al., "Sampling-bias-corrected neural
modeling for large corpus item recommendations", RecSys 2019, section 3:

    s(i, j) = cosine(query_i, pin_j) / temperature - log Q(j)
    loss    = - sum_i w_i log( exp s(i, i) / sum_j exp s(i, j) ) / sum_i w_i

The sum over j leaves out pins that query i engaged with too, other than pin i itself: they are no negatives. w_i, the
reward of the paper, is the pair's weight. The paper estimates Q(j) over a stream. Here every pair comes once an epoch
in random order, so Q(j) is known: the share of the pairs whose pin is j.

Letters: B pairs of a batch, N pairs, P pins, D vector.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]


def in_batch_loss(
    queries_BD: Tensor, pins_BD: Tensor, log_q_B: Tensor, engaged_BB: Tensor, weight_B: Tensor, temperature: float
) -> Tensor:
    """The loss above, a scalar. log_q_B: log Q of each pair's pin; engaged_BB (bool): query i engaged with pin j.

    Vectors are of length 1. The diagonal of engaged_BB is not looked at: pin i is what query i must find.
    """
    logits_BB = queries_BD @ pins_BD.T / temperature - log_q_B[None, :]
    own_BB = torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
    logits_BB = logits_BB.masked_fill(engaged_BB & ~own_BB, -torch.inf)
    loss_B = torch.logsumexp(logits_BB, dim=1) - logits_BB.diagonal()
    return (weight_B * loss_B).sum() / weight_B.sum()


def log_frequencies(pin_N: Ints, num_pins: int) -> NDArray[np.float32]:
    """log Q of each of P pins, float32: Q is the share of the N pairs with that pin; 0 where there is none."""
    counts_P = np.bincount(pin_N, minlength=num_pins)
    return np.log(np.maximum(counts_P, 1) / len(pin_N) if len(pin_N) else np.ones(num_pins)).astype(np.float32)


class Engaged:
    """Which pins each query engaged with, to find them again in a batch."""

    def __init__(self, query_N: Ints, pin_N: Ints, num_queries: int) -> None:
        order_N = np.lexsort((pin_N, query_N))
        self.pin_N = pin_N[order_N]
        self.starts_Q = np.r_[0, np.cumsum(np.bincount(query_N, minlength=num_queries))]

    def in_batch(self, query_B: Ints, pin_B: Ints) -> NDArray[np.bool_]:
        """engaged_BB of a batch: whether query i engaged with pin j, in whatever batch the two were learnt together."""
        distinct_U, which_B = np.unique(pin_B, return_inverse=True)
        row_E, pin_E = self.of_queries(query_B)
        place_E = np.minimum(np.searchsorted(distinct_U, pin_E), len(distinct_U) - 1)
        hit_E = distinct_U[place_E] == pin_E
        engaged_BU = np.zeros((len(query_B), len(distinct_U)), dtype=bool)
        engaged_BU[row_E[hit_E], place_E[hit_E]] = True
        return np.asarray(engaged_BU[:, which_B])

    def of_queries(self, query_B: Ints) -> tuple[Ints, Ints]:
        """Every pin of each query: the query's place in query_B, and the pin."""
        counts_B = self.starts_Q[query_B + 1] - self.starts_Q[query_B]
        row_E = np.repeat(np.arange(len(query_B)), counts_B)
        within_E = np.arange(len(row_E)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)
        return row_E, self.pin_N[self.starts_Q[query_B][row_E] + within_E]
