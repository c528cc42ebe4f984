"""The learning rate over a training run."""

import math

FLOOR = 0.05
"""Share of the full rate at which a run ends."""


def rate_at(step: int, steps: int, warmup_share: float) -> float:
    """Share of the full learning rate at a step, in (0, 1]: linear warm-up, then half a cosine down to FLOOR."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
