"""What a sampled pair stands for, as its weight in the loss.

The sampler takes rare strata more often than they are shown. Weighted by the impressions that it stands for (`weight`
of SOFT_LABELS), a row makes the loss an unbiased estimate of the loss over the log's traffic; a few rows that stand for
very many make that estimate a noisy one, so the weights are cut (Ionides, "Truncated importance sampling", Journal of
Computational and Graphical Statistics, 2008). Letters: N rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Importance:
    """How weights are brought to mean 1: divided by `mean`, cut at `largest`, divided by `mean_of_cut`."""

    mean: float
    largest: float
    mean_of_cut: float

    def weights(self, weight_N: Weights) -> Weights:
        """Weights in the loss, float32[N]; a row that does not say what it stands for (NaN) counts as the mean one."""
        return (_cut(weight_N, self.mean, self.largest) / self.mean_of_cut).astype(np.float32)


def fit(weight_N: Weights, largest: float) -> Importance:
    """The weights of these rows have mean 1, and before the last division none is above `largest`."""
    known_N = weight_N[np.isfinite(weight_N)].astype(np.float64)
    mean = float(known_N.mean()) if len(known_N) and known_N.any() else 1.0
    return Importance(mean, largest, float(_cut(weight_N, mean, largest).mean()))


def _cut(weight_N: Weights, mean: float, largest: float) -> NDArray[np.float64]:
    share_N = np.where(np.isfinite(weight_N), weight_N, mean).astype(np.float64) / mean
    return np.clip(share_N, 0.0, largest)
