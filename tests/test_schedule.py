"""The learning rate over a run."""

import pytest

from pinrank.schedule import FLOOR, rate_at


def test_the_rate_rises_then_falls():
    rates = [rate_at(step, steps=100, warmup_share=0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert FLOOR < rates[-1] < FLOOR + 0.01
