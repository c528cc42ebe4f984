"""What the service counts, as metrics of Ray: every label has few values.

pinrank_query_cache_total        queries, by outcome: hit, miss
pinrank_degraded_total           answers that took a step down, by step: text, lexical, input_order
pinrank_answers_total            answers, by role: current, canary
pinrank_releases_refused_total   releases that could not be opened, so that the one before went on
pinrank_shadow_overlap           share of the ten best that the shadow has among its ten best, 0..1
"""

from functools import cache

from ray.util import metrics

OVERLAPS = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0]


def count_cache(outcome: str) -> None:
    """A query's vector was there, or was not."""
    _counter("pinrank_query_cache_total", "Queries by whether their vector was held.", "outcome").inc(
        1.0, {"outcome": outcome}
    )


def count_answer(role: str, steps: tuple[str, ...]) -> None:
    """An answer, and the steps down that it took."""
    _counter("pinrank_answers_total", "Answers by the release's role.", "role").inc(1.0, {"role": role})
    for step in steps:
        _counter("pinrank_degraded_total", "Answers that took a step down.", "step").inc(1.0, {"step": step})


def count_refused() -> None:
    """A release could not be opened."""
    _counter("pinrank_releases_refused_total", "Releases that could not be opened.", "kind").inc(1.0, {"kind": "any"})


def count_overlap(share: float) -> None:
    """How far a shadow's ranking agrees."""
    _overlap().observe(share)


@cache
def _counter(name: str, said: str, tag: str) -> metrics.Counter:
    return metrics.Counter(name, said, (tag,))


@cache
def _overlap() -> metrics.Histogram:
    return metrics.Histogram(
        "pinrank_shadow_overlap", "Share of the ten best that the shadow's ten best hold.", boundaries=OVERLAPS
    )
