"""What the log and the metrics say of a running job."""

import logging

import pyarrow as pa
import pytest

from pinrank.shard_progress import MOST_WORKERS, Progress


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def shard(rows: int, worker: str = "a", tokens: int = 0) -> pa.Table:
    return pa.table({"shard": ["x"], "worker": [worker], "rows": [rows], "tokens": [tokens]})


def test_a_line_says_share_speed_and_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    progress = Progress("label_impressions", rows_done=400, rows_total=1_000, clock=clock)
    with caplog.at_level(logging.INFO):
        progress.add(shard(100, tokens=50))
        clock.now += 10
        progress.add(shard(100, tokens=150))
    assert caplog.messages == ["600 of 1000 rows done (60.0%), 20 rows/s, 20 tokens/s, 0:00:40 left"]


def test_the_start_of_the_workers_is_in_no_estimate() -> None:
    clock = Clock()
    progress = Progress("label_impressions", 0, 300, clock)
    clock.now += 1_000
    progress.add(shard(100))
    clock.now += 10
    progress.add(shard(100))
    assert progress.remaining_s == 10


def test_several_workers_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    progress = Progress("label_impressions", 0, 1_000, clock)
    with caplog.at_level(logging.INFO):
        progress.add(shard(100, "x"))
        clock.now += 10
        progress.add(shard(300, "y"))
    assert caplog.messages[0].endswith("; worker 0: 10 rows/s, worker 1: 30 rows/s")


def test_labels_of_workers_stay_few() -> None:
    progress = Progress("label_impressions", 0, 10_000, Clock())
    for number in range(MOST_WORKERS + 10):
        progress.add(shard(1, str(number)))
    assert len(set(progress.workers.values())) == MOST_WORKERS + 1
