"""Recall at k: the share of a query's engaged pins that a search by vector finds. Letters: Q queries, C candidates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def recall_at(scores_QC: NDArray[np.floating], engaged_QC: NDArray[np.bool_], ks: Sequence[int]) -> dict[str, float]:
    """`recall_at_K` for each k, in 0..1, a mean over the queries; each has at least one engaged candidate.

    An engaged pin is found when fewer than k candidates that the query did not engage with score as high: the others
    it engaged with do not stand in its way, and a tie counts against it.
    """
    shares_QK = np.zeros((len(scores_QC), len(ks)))
    for row, (scores_C, engaged_C) in enumerate(zip(scores_QC, engaged_QC, strict=True)):
        others = np.sort(scores_C[~engaged_C])
        above_E = len(others) - np.searchsorted(others, scores_C[engaged_C], side="left")
        shares_QK[row] = [(above_E < k).mean() for k in ks]
    return {f"recall_at_{k}": float(mean) for k, mean in zip(ks, shares_QK.mean(axis=0), strict=True)}
