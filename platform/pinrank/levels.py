"""The five-level relevance scale.

L5 highly relevant, L4 relevant, L3 marginally relevant, L2 irrelevant, L1 highly irrelevant.
Vectors of five are always ordered L1..L5. Shape letters: N pairs, L = 5 levels.
"""

import numpy as np
from numpy.typing import NDArray

LEVELS = (1, 2, 3, 4, 5)
NUM_LEVELS = len(LEVELS)
NAMES = ("highly irrelevant", "irrelevant", "marginally relevant", "relevant", "highly relevant")
CUTS = (3, 4, 5)
"""A pair counts as positive at cut c when its level is c or above (reported as 3+, 4+, 5+)."""

Floats = NDArray[np.float64]


def probabilities(logits_NL: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """Softmax over levels, float64, computed stably.

    Raises ValueError for a temperature that is not positive or a last axis that is not five long.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    _require_five(logits_NL)
    scaled = np.asarray(logits_NL, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def expected_level(probabilities_NL: NDArray[np.floating]) -> Floats:
    """E = sum over i of i * p_i, in [1, 5]."""
    _require_five(probabilities_NL)
    return np.asarray(probabilities_NL @ np.asarray(LEVELS, dtype=np.float64))


def score(probabilities_NL: NDArray[np.floating]) -> Floats:
    """Relevance in [0, 1]: (E - 1) / 4."""
    return np.asarray((expected_level(probabilities_NL) - 1.0) / (NUM_LEVELS - 1))


def most_likely_level(probabilities_NL: NDArray[np.floating]) -> NDArray[np.int64]:
    """The level with the largest probability, 1..5; the lower one wins a tie."""
    _require_five(probabilities_NL)
    return np.asarray(np.argmax(probabilities_NL, axis=-1) + 1, dtype=np.int64)


def at_least(probabilities_NL: NDArray[np.floating], cut: int) -> Floats:
    """P(level >= cut) for a cut in 1..5."""
    if cut not in LEVELS:
        raise ValueError(f"cut must be one of {LEVELS}, got {cut}")
    _require_five(probabilities_NL)
    return np.asarray(probabilities_NL[..., cut - 1 :].sum(axis=-1), dtype=np.float64)


def parse_map(text: str) -> dict[str, int]:
    """A map of someone's grades to levels, written as `grade:level,...`, e.g. `0:1,1:3,2:5`.

    Raises ValueError for anything else, for a level outside 1..5 and for a grade named twice.
    """
    levels_of: dict[str, int] = {}
    for entry in text.split(","):
        grade, colon, level = (part.strip() for part in entry.rpartition(":"))
        if not colon or not grade or level not in map(str, LEVELS) or grade in levels_of:
            raise ValueError(f"a level map reads grade:level,... with levels 1..5, e.g. 0:1,1:3,2:5; got {entry!r}")
        levels_of[grade] = int(level)
    return levels_of


def _require_five(vectors_NL: NDArray[np.floating]) -> None:
    if vectors_NL.ndim == 0 or vectors_NL.shape[-1] != NUM_LEVELS:
        raise ValueError(f"expected {NUM_LEVELS} levels in the last axis, got shape {vectors_NL.shape}")
