"""The table of results: every system on every segment, with intervals, floors and counts.

Segments are `overall`, every source, chosen subsets of a source by pair type (`cxc:c2i_intrasim`), and every query
locale with enough pairs. The result is a plain dict that JSON can hold; a metric that is undefined is null.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich import box
from rich.console import Console
from rich.table import Table

from pinrank.evaluation import metrics, significance
from pinrank.evaluation.judged import Floats, Graded, Integers, Judged
from pinrank.levels import CUTS

METRICS = (
    "ndcg_at_10",
    "ndcg_at_20",
    "precision_at_8",
    "accuracy",
    *(f"auroc_{cut}" for cut in CUTS),
    "qwk",
    "spearman",
    "ece",
    "ece_raw",
)
BASELINES = ("bm25", "frozen", "search embedding")
MODELS = ("teacher", "student")

HEADINGS = ("nDCG@10", "nDCG@20", "P@8", "acc.", *(f"{cut}+" for cut in CUTS), "QWK", "rho", "ECE", "raw")
"""METRICS as a reader sees them."""

DIGITS = 6
"""Decimal places kept in the report."""


class ReportSettings(BaseModel):
    """How results are cut into segments and how sure they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_resamples: int = Field(500, ge=20, description="bootstrap resamples of the queries behind every interval")
    seed: int = Field(0, ge=0, description="of the bootstrap")
    subsets: tuple[str, ...] = Field(
        ("cxc:c2i_intrasim",), description="SOURCE:PAIR_TYPE segments to report beside the whole source"
    )
    min_locale_pairs: int = Field(50, ge=2, description="a query locale with fewer judged pairs gets no row")


@dataclass(frozen=True)
class Measured:
    """One metric of one system on one segment: over all pairs, and in every resample of the queries."""

    value: float
    values_R: Floats


def report(judged: Judged, systems: Mapping[str, Graded], settings: ReportSettings) -> dict[str, Any]:
    """Measure every system on every segment.

    Returns {"metrics": {segment: {system: …}}, "by_locale": {locale: {system: …}}, "floors": {segment: …},
    "differences": {segment: {"student-bm25": {metric: …}}}}.
    """
    found: dict[str, Any] = {"metrics": {}, "by_locale": {}, "floors": {}, "differences": {}}
    for name, rows in segments(judged, settings.subsets):
        part = judged.take(rows)
        measured = _measure_all(part, rows, systems, settings)
        found["metrics"][name] = {system: _entry(part, values) for system, values in measured.items()}
        found["differences"][name] = differences(measured)
        found["floors"][name] = floors(part)
    for locale, rows in locales(judged, settings.min_locale_pairs):
        part = judged.take(rows)
        measured = _measure_all(part, rows, systems, settings)
        found["by_locale"][locale] = {system: _entry(part, values) for system, values in measured.items()}
    return found


def segments(judged: Judged, subsets: Sequence[str]) -> Iterator[tuple[str, Integers]]:
    """Name and rows of `overall`, each source, and each subset that has rows."""
    yield "overall", np.arange(len(judged))
    for source in np.unique(judged.sources_N):
        yield str(source), np.flatnonzero(judged.sources_N == source)
    for subset in subsets:
        source, _, pair_type = subset.partition(":")
        rows = np.flatnonzero((judged.sources_N == source) & (judged.pair_types_N == pair_type))
        if len(rows):
            yield subset, rows


def locales(judged: Judged, min_pairs: int) -> Iterator[tuple[str, Integers]]:
    """Name and rows of each query locale with at least min_pairs pairs."""
    for locale, count in zip(*np.unique(judged.locales_N, return_counts=True), strict=True):
        if locale and count >= min_pairs:
            yield str(locale), np.flatnonzero(judged.locales_N == locale)


def measure(judged: Judged, graded: Graded, counts_RQ: Floats) -> dict[str, Measured]:
    """Every metric of METRICS for one system on one segment."""
    by_query = {name: metric(judged, graded) for name, metric in _BY_QUERY.items()}
    found = {
        name: Measured(float(metrics.mean(values_Q)), metrics.mean(values_Q, counts_RQ))
        for name, values_Q in by_query.items()
    }
    for name, metric in _over_pairs(judged, graded).items():
        values_R = significance.over_pairs(counts_RQ, judged.queries_N, metric)
        found[name] = Measured(float(metric(np.ones(len(judged)))), values_R)
    undefined = Measured(math.nan, np.full(len(counts_RQ), math.nan))
    return {name: found.get(name, undefined) for name in METRICS}


def differences(measured: Mapping[str, Mapping[str, Measured]]) -> dict[str, Any]:
    """Teacher and student against each baseline, and student against teacher, paired by resample."""
    couples = [*product(MODELS, BASELINES), ("student", "teacher")]
    return {
        f"{above}-{below}": {name: _difference(measured[above][name], measured[below][name]) for name in METRICS}
        for above, below in couples
        if above in measured and below in measured
    }


def floors(judged: Judged) -> dict[str, float | None]:
    """What no skill at all gets: a random order (in expectation), and the most frequent level for every pair."""
    constant = Graded(np.zeros(len(judged)), np.zeros((len(judged), len(CUTS))), None)
    random = {f"random_{name}": float(metrics.mean(metric(judged, constant))) for name, metric in _BY_QUERY.items()}
    majority = np.bincount(judged.levels_N).max() / len(judged)
    return {name: number(value) for name, value in {**random, "majority_accuracy": float(majority)}.items()}


def print_report(found: Mapping[str, Any], console: Console) -> None:
    """A report for a person: one table a segment, each figure with its interval below it."""
    for name, systems in found["metrics"].items():
        console.print(_table(name, systems, found["floors"][name]))
    console.print(
        "95% bootstrap intervals by query. 3+ 4+ 5+: AUROC at a level. rho: Spearman with the human grade."
        " ECE: expected calibration error, raw before temperature scaling."
    )
    for system, note in found.get("notes", {}).items():
        console.print(f"{system}: {note}")


def _table(name: str, systems: Mapping[str, Any], floor: Mapping[str, Any]) -> Table:
    counts = next(iter(systems.values()))
    table = Table(
        title=f"{name}: {counts['num_pairs']:,} pairs, {counts['num_queries']:,} queries "
        f"({counts['num_queries_in_ndcg']:,} in nDCG; random order {_shown(floor['random_ndcg_at_10'])} / "
        f"{_shown(floor['random_ndcg_at_20'])})",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    table.add_column("", overflow="fold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", min_width=7)
    for system, entry in systems.items():
        cells = [f"{_shown(entry[metric])}\n[dim]{_range(entry['ci95'][metric])}[/]" for metric in METRICS]
        table.add_row(system, *cells)
    return table


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(bounds: Sequence[float | None]) -> str:
    return " ".join("-" if bound is None else f"{bound:.2f}".replace("0.", ".", 1) for bound in bounds)


def _ndcg(k: int) -> Callable[[Judged, Graded], Floats]:
    return lambda judged, graded: metrics.ndcg_by_query(judged.levels_N, graded.scores_N, judged.queries_N, k)


def _precision(k: int) -> Callable[[Judged, Graded], Floats]:
    return lambda judged, graded: metrics.precision_by_query(judged.levels_N, graded.scores_N, judged.queries_N, k)


_BY_QUERY = {"ndcg_at_10": _ndcg(10), "ndcg_at_20": _ndcg(20), "precision_at_8": _precision(8)}


def _over_pairs(judged: Judged, graded: Graded) -> dict[str, significance.WeightedMetric]:
    def auroc(column: int, cut: int) -> significance.WeightedMetric:
        return lambda weights: metrics.auroc(judged.levels_N >= cut, graded.at_least_NC[:, column], weights)

    found = {f"auroc_{cut}": auroc(column, cut) for column, cut in enumerate(CUTS)}
    found["spearman"] = lambda weights: metrics.spearman(judged.relevance_N, graded.scores_N, weights)
    if (predicted_N := graded.levels_N) is not None:
        found["accuracy"] = lambda weights: metrics.accuracy(judged.levels_N, predicted_N, weights)
        found["qwk"] = lambda weights: metrics.quadratic_weighted_kappa(judged.levels_N, predicted_N, weights)
    for name, stated_NL in (("ece", graded.probabilities_NL), ("ece_raw", graded.raw_NL)):
        if stated_NL is not None:
            found[name] = partial(metrics.expected_calibration_error, judged.levels_N, stated_NL)
    return found


def _measure_all(
    part: Judged, rows: Integers, systems: Mapping[str, Graded], settings: ReportSettings
) -> dict[str, dict[str, Measured]]:
    counts_RQ = significance.resamples(part.num_queries, settings.num_resamples, settings.seed)
    return {name: measure(part, graded.take(rows), counts_RQ) for name, graded in systems.items()}


def _entry(judged: Judged, measured: Mapping[str, Measured]) -> dict[str, Any]:
    return {
        **{name: number(found.value) for name, found in measured.items()},
        "num_queries": judged.num_queries,
        "num_queries_in_ndcg": int(metrics.has_two_levels(judged.levels_N, judged.queries_N).sum()),
        "num_pairs": len(judged),
        "ci95": {name: _interval(significance.interval(found.values_R)) for name, found in measured.items()},
    }


def _difference(above: Measured, below: Measured) -> dict[str, Any]:
    found = significance.difference(above.value, above.values_R, below.value, below.values_R)
    return {
        "difference": number(found.difference),
        "ci95": _interval(found.interval),
        "share_above": number(found.share_above),
    }


def _interval(bounds: tuple[float, float]) -> list[float | None]:
    return [number(bound) for bound in bounds]


def number(value: float) -> float | None:
    """A value as JSON holds it: rounded to DIGITS, None where it is undefined."""
    return None if math.isnan(value) else round(value, DIGITS) + 0.0  # -0.0 becomes 0.0
