"""How a job that fills a folder shard by shard gets on: in the log, and as Ray metrics.

A worker's label is its place among the workers as they first reported, so that labels stay few.
"""

import collections
import datetime
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from pinrank.ray_metrics import Counter, Gauge, Metric

log = logging.getLogger(__name__)

LOG_EVERY_S = 5.0
MOST_WORKERS = 256
"""Labels of workers; those that come later share the last one."""

_BY_WORKER = ("pipeline", "worker")
DONE = {
    "rows": Counter("pinrank_rows_total", "Rows that a job committed.", _BY_WORKER),
    "graded": Counter("pinrank_graded_total", "Pairs that an engine graded.", _BY_WORKER),
    "tokens": Counter("pinrank_tokens_total", "Tokens of the pairs that an engine graded.", _BY_WORKER),
    "quarantined": Counter("pinrank_quarantined_total", "Rows that a worker set aside.", _BY_WORKER),
    "busy_seconds": Counter("pinrank_engine_busy_seconds_total", "Time in which an engine graded.", _BY_WORKER),
}
"""What a shard's row may say of it."""

RATIO = Gauge("pinrank_done_ratio", "Share of a job's rows that are done, 0..1.", ("pipeline",))
REMAINING = Gauge("pinrank_remaining_seconds", "Until a job's rest is done.", ("pipeline",))

METRICS: tuple[Metric, ...] = (*DONE.values(), RATIO, REMAINING)


@dataclass
class Progress:
    """The rows of a stream as they come. rows_done: what earlier runs did. remaining_s is nan until a rate is known.

    The time that workers take to start is not in any rate: the clock starts with the first shard.
    """

    job: str
    rows_done: int
    rows_total: int
    clock: Callable[[], float] = time.monotonic
    workers: dict[str, str] = field(default_factory=dict)
    passed: collections.Counter[str] = field(default_factory=collections.Counter)
    by_worker: collections.Counter[str] = field(default_factory=collections.Counter)
    remaining_s: float = float("nan")

    def __post_init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._logged = self.clock()

    def add(self, shards: pa.Table) -> None:
        """Take in shards that are committed: rows with `shard`, `worker`, `rows` and others of DONE."""
        for row in shards.to_pylist():
            worker = self._label(row["worker"])
            self.rows_done += row["rows"]
            self.by_worker[worker] += row["rows"]
            for name, counter in DONE.items():
                if row.get(name):
                    self.passed[name] += row[name]
                    counter.add(row[name], self.job, worker)
        self._estimate()
        if self.clock() - self._logged >= LOG_EVERY_S or self.rows_done == self.rows_total:
            log.info("%s", self.line())
            self._logged = self.clock()
            self.passed.clear()
            self.by_worker.clear()

    def line(self) -> str:
        """What the log says: rows since the last line."""
        passed_s = max(self.clock() - self._logged, 1e-9)
        busy_s = self.passed["busy_seconds"] / max(len(self.workers), 1)
        speeds = {name: number for name, number in self.passed.items() if name != "busy_seconds"}
        speed = ", ".join(f"{number / passed_s:,.0f} {name}/s" for name, number in speeds.items())
        busy = f", engines busy {min(busy_s / passed_s, 1.0):.0%}" if busy_s else ""
        share = self.rows_done / self.rows_total
        left = f", {datetime.timedelta(seconds=round(self.remaining_s))} left" if self.remaining_s > 0 else ""
        each = ", ".join(f"{name}: {self.by_worker[name] / passed_s:,.0f} rows/s" for name in sorted(self.by_worker))
        workers = f"; {each}" if len(self.workers) > 1 else ""
        return f"{self.rows_done} of {self.rows_total} rows done ({share:.1%}), {speed}{busy}{left}{workers}"

    def _estimate(self) -> None:
        now = self.clock()
        if self._first is None:
            self._first = (now, self.rows_done)
        since, rows_then = self._first
        if self.rows_done > rows_then:
            self.remaining_s = (self.rows_total - self.rows_done) * (now - since) / (self.rows_done - rows_then)
            REMAINING.set(self.remaining_s, self.job)
        RATIO.set(self.rows_done / self.rows_total, self.job)

    def _label(self, worker: str) -> str:
        return self.workers.setdefault(worker, f"worker {min(len(self.workers), MOST_WORKERS)}")
