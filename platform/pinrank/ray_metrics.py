"""Metrics of Ray that are declared before there is a Ray: each layer lists its own in METRICS, docs/operate.md all.

    ROWS = Counter("pinrank_rows_total", "Rows that a job did.", ("pipeline", "worker"))
    ROWS.add(2048, "label_impressions", "worker 0")

Names start with `pinrank_`, units are seconds and bytes, and a label has few values: no id, no query, no version.
Prometheus reads them as `ray_pinrank_...` from every node. A process without a Ray session counts for nobody.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.util import metrics


@dataclass(frozen=True)
class Counter:
    """A number that grows; its rate is what one looks at."""

    name: str
    said: str
    labels: tuple[str, ...] = ()

    def add(self, amount: float = 1.0, *values: str) -> None:
        """Add to the series of the labels' values, in their order; nothing for an amount of 0."""
        if amount:
            _counter(self).inc(amount, dict(zip(self.labels, values, strict=True)))


@dataclass(frozen=True)
class Gauge:
    """A number as it is now."""

    name: str
    said: str
    labels: tuple[str, ...] = ()

    def set(self, value: float, *values: str) -> None:
        """Set the series of the labels' values, in their order."""
        _gauge(self).set(value, dict(zip(self.labels, values, strict=True)))


@dataclass(frozen=True)
class Histogram:
    """How many observations lie below each boundary."""

    name: str
    said: str
    boundaries: tuple[float, ...]
    labels: tuple[str, ...] = ()

    def observe(self, value: float, *values: str) -> None:
        """Count an observation for the series of the labels' values, in their order."""
        _histogram(self).observe(value, dict(zip(self.labels, values, strict=True)))


Metric = Counter | Gauge | Histogram


@cache
def _counter(declared: Counter) -> "metrics.Counter":
    from ray.util import metrics

    return metrics.Counter(declared.name, declared.said, declared.labels)


@cache
def _gauge(declared: Gauge) -> "metrics.Gauge":
    from ray.util import metrics

    return metrics.Gauge(declared.name, declared.said, declared.labels)


@cache
def _histogram(declared: Histogram) -> "metrics.Histogram":
    from ray.util import metrics

    boundaries = list(declared.boundaries)
    return metrics.Histogram(declared.name, declared.said, boundaries=boundaries, tag_keys=declared.labels)
