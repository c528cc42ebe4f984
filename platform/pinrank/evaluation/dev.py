"""How good an epoch is: the figure by which training chooses what it publishes."""

import numpy as np
from numpy.typing import NDArray

LEAST_DEV_PAIRS = 50
"""A source with fewer dev pairs says too little to choose an epoch by."""


def mean_spearman(
    scores_N: NDArray[np.floating], grades_N: NDArray[np.floating], sources_N: NDArray[np.str_]
) -> dict[str, float]:
    """Spearman's correlation of score and human grade in each source with enough pairs, and their mean, dev_spearman.

    The mean is over sources, because one with many pairs must not decide alone; where no source counts, it is the
    correlation over all pairs.
    """
    found = {}
    for source in np.unique(sources_N):
        of_source = sources_N == source
        if of_source.sum() >= LEAST_DEV_PAIRS and len(np.unique(grades_N[of_source])) > 1:
            found[f"dev_spearman_{source}"] = _spearman(scores_N[of_source], grades_N[of_source])
    mean = sum(found.values()) / len(found) if found else _spearman(scores_N, grades_N)
    return {"dev_spearman": mean, **found}


def _spearman(scores_N: NDArray[np.floating], grades_N: NDArray[np.floating]) -> float:
    """0 where one side is constant."""
    if len(np.unique(scores_N)) < 2 or len(np.unique(grades_N)) < 2:
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(scores_N, grades_N)[0])
