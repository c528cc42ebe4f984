"""How long an engine is at work, when several threads ask it."""

from pinrank.labeling.busy import Busy


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_side_by_side_counts_once() -> None:
    clock = Clock()
    busy = Busy(clock)
    with busy.inside():
        clock.now += 2
        with busy.inside():
            clock.now += 3
        clock.now += 1
    clock.now += 50
    assert busy.take() == 6


def test_work_that_goes_on_is_taken_in_parts() -> None:
    clock = Clock()
    busy = Busy(clock)
    with busy.inside():
        clock.now += 2
        assert busy.take() == 2
        clock.now += 3
    assert (busy.take(), busy.take()) == (3, 0)
