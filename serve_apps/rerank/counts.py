"""What the service counts, as metrics of Ray: every label has few values."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pinrank.levels import most_likely_level
from pinrank.ray_metrics import Counter, Gauge, Histogram, Metric

if TYPE_CHECKING:
    from serve_apps.rerank.asked import Ranked

STAGE_BOUNDARIES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds: from a ranking of a few pins to hundreds of texts that are encoded in the request."""

STAGE = Histogram(
    "pinrank_stage_seconds", "Time that an answered request waited for a stage.", STAGE_BOUNDARIES, ("stage",)
)
ANSWERS = Counter("pinrank_answers_total", "Answers by the release's role.", ("role",))
DEGRADED = Counter("pinrank_degraded_total", "Answers that took a step down.", ("step",))
DOCUMENTS = Counter("pinrank_documents_total", "Documents of answered requests.")
MISSING = Counter("pinrank_missing_pins_total", "Documents by id that no pin has.")
LEVELS = Counter("pinrank_levels_total", "Documents that the student graded, by their likeliest level.", ("level",))
QUERY_CACHE = Counter("pinrank_query_cache_total", "Queries by where their vector was held.", ("outcome",))
SHARED_CACHE = Counter(
    "pinrank_shared_cache_total", "What was asked of the cache that replicas share.", ("asked", "outcome")
)
HIT_RATE = Gauge("pinrank_query_cache_hit_rate", "Share of the last lookups that found a vector.", ("level",))
SERVED = Counter("pinrank_served_lists_total", "Lists by what became of them in the log of lists.", ("outcome",))
REFUSED = Counter("pinrank_releases_refused_total", "Releases that could not be opened; the one before went on.")
OVERLAP = Histogram(
    "pinrank_shadow_overlap",
    "Share of the ten best that the shadow's ten best hold.",
    (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0),
)
DRIFT = Gauge(
    "pinrank_teacher_student_drift_levels", "Mean distance of the student's expected level from the teacher's."
)

METRICS: tuple[Metric, ...] = (
    *(STAGE, ANSWERS, DEGRADED, DOCUMENTS, MISSING, LEVELS, REFUSED, OVERLAP, DRIFT),
    *(QUERY_CACHE, SHARED_CACHE, HIT_RATE, SERVED),
)

_STAGES = {"encode": "encode", "candidates": "lookup", "rank": "rank"}
"""The stages of an answer's stage_ms, as metrics and traces call them."""


class HitRate:
    """The share of lookups that found something, told once in so many."""

    def __init__(self, tell: Callable[[float], None], every: int = 256) -> None:
        self._tell = tell
        self._every = every
        self._lookups = self._hits = 0

    def count(self, hit: bool) -> None:
        """One more lookup."""
        self._lookups += 1
        self._hits += hit
        if self._lookups == self._every:
            self._tell(self._hits / self._lookups)
            self._lookups = self._hits = 0


_REPLICA = HitRate(lambda rate: HIT_RATE.set(rate, "replica"))
_SHARED = HitRate(lambda rate: HIT_RATE.set(rate, "shared"))


def count_cache(outcome: str) -> None:
    """A query's vector was there, or was not."""
    QUERY_CACHE.add(1, outcome)
    _REPLICA.count(outcome == "hit")


def count_shared(asked: str, outcome: str) -> None:
    """Something was asked of the cache that replicas share."""
    SHARED_CACHE.add(1, asked, outcome)
    if asked == "get":
        _SHARED.count(outcome == "hit")


def count_answer(role: str, ranked: "Ranked", seconds: float) -> None:
    """An answer that took so long: its stages, its documents, and the steps down that it took."""
    ANSWERS.add(1, role)
    STAGE.observe(seconds, "request")
    for stage, stage_ms in ranked.stage_ms.items():
        STAGE.observe(stage_ms / 1000, _STAGES.get(stage, stage))
    for step in ranked.degraded.split(",") if ranked.degraded else ():
        DEGRADED.add(1, step)
    graded = ranked.graded
    DOCUMENTS.add(len(graded.found))
    MISSING.add(graded.found.count(False))
    levels_N = most_likely_level(graded.probabilities_NL[graded.graded_N])
    for level, documents in enumerate(np.bincount(levels_N, minlength=1).tolist()):
        LEVELS.add(documents, str(level))


def count_served(outcome: str, lists: int = 1) -> None:
    """Lists that chance chose for the log."""
    SERVED.add(lists, outcome)


def count_refused() -> None:
    """A release could not be opened."""
    REFUSED.add(1)


def count_overlap(share: float) -> None:
    """How far a shadow's ranking agrees."""
    OVERLAP.observe(share)


def set_drift(levels: float) -> None:
    """How far the student is from the teacher on what was asked of late, in levels."""
    DRIFT.set(levels)
