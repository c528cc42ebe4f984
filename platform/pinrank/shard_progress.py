"""How a job that fills a folder shard by shard gets on: in the log, and as Ray metrics.

    pinrank_rows_total, pinrank_tokens_total, ...   what was done, by job and worker (every number of the stream's rows)
    pinrank_done_ratio                              share of the job's rows that are done, 0..1, by job
    pinrank_remaining_seconds                       until the rest is done, by job

A worker's label is its place among the workers as they first reported, so that labels stay few.
"""

import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
from ray.util import metrics

log = logging.getLogger(__name__)

LOG_EVERY_S = 5.0
MOST_WORKERS = 256
"""Labels of workers; those that come later share the last one."""

_NOT_NUMBERS = ("shard", "worker")


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
    passed: Counter[str] = field(default_factory=Counter)
    by_worker: Counter[str] = field(default_factory=Counter)
    remaining_s: float = float("nan")

    def __post_init__(self) -> None:
        self._counters: dict[str, metrics.Counter] = {}
        self._ratio = metrics.Gauge("pinrank_done_ratio", "Share of a job's rows that are done.", ("job",))
        self._remaining = metrics.Gauge("pinrank_remaining_seconds", "Until a job's rest is done.", ("job",))
        self._first: tuple[float, int] | None = None
        self._logged = self.clock()

    def add(self, shards: pa.Table) -> None:
        """Take in shards that are committed: rows with `shard`, `worker`, `rows` and other numbers."""
        for row in shards.to_pylist():
            worker = self._label(row["worker"])
            self.rows_done += row["rows"]
            self.by_worker[worker] += row["rows"]
            for name in shards.column_names:
                if name not in _NOT_NUMBERS and row[name]:
                    self.passed[name] += row[name]
                    self._counter(name).inc(row[name], {"job": self.job, "worker": worker})
        self._estimate()
        if self.clock() - self._logged >= LOG_EVERY_S or self.rows_done == self.rows_total:
            log.info("%s", self.line())
            self._logged = self.clock()
            self.passed.clear()
            self.by_worker.clear()

    def line(self) -> str:
        """What the log says: rows since the last line."""
        passed_s = max(self.clock() - self._logged, 1e-9)
        speed = ", ".join(f"{number / passed_s:,.0f} {name}/s" for name, number in self.passed.items())
        share = self.rows_done / self.rows_total
        left = f", {datetime.timedelta(seconds=round(self.remaining_s))} left" if self.remaining_s > 0 else ""
        each = ", ".join(f"{name}: {self.by_worker[name] / passed_s:,.0f} rows/s" for name in sorted(self.by_worker))
        workers = f"; {each}" if len(self.workers) > 1 else ""
        return f"{self.rows_done} of {self.rows_total} rows done ({share:.1%}), {speed}{left}{workers}"

    def _estimate(self) -> None:
        now = self.clock()
        if self._first is None:
            self._first = (now, self.rows_done)
        since, rows_then = self._first
        if self.rows_done > rows_then:
            self.remaining_s = (self.rows_total - self.rows_done) * (now - since) / (self.rows_done - rows_then)
            self._remaining.set(self.remaining_s, {"job": self.job})
        self._ratio.set(self.rows_done / self.rows_total, {"job": self.job})

    def _label(self, worker: str) -> str:
        return self.workers.setdefault(worker, f"worker {min(len(self.workers), MOST_WORKERS)}")

    def _counter(self, name: str) -> metrics.Counter:
        if name not in self._counters:
            said = f"{name.capitalize()} that a job did."
            self._counters[name] = metrics.Counter(f"pinrank_{name}", said, ("job", "worker"))
        return self._counters[name]
