"""Rows of one table held against each other: every metric with its interval, and paired differences between rows.

A row is a system that graded the same pairs as all others. Differences are taken resample by resample, over the same
bootstrap of the queries (pinrank.evaluation.significance): two rows can differ surely although their intervals overlap.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pinrank.evaluation import significance
from pinrank.evaluation.judged import Graded, Integers, Judged
from pinrank.evaluation.metrics import has_two_levels
from pinrank.evaluation.report import Measured, measure, number

Metric = Literal["accuracy", "auroc_3", "auroc_4", "auroc_5", "qwk", "ndcg_at_20", "spearman"]

HEADINGS: dict[str, str] = {
    "accuracy": "accuracy",
    "auroc_3": "AUROC 3+",
    "auroc_4": "AUROC 4+",
    "auroc_5": "AUROC 5+",
    "qwk": "QWK",
    "ndcg_at_20": "nDCG@20",
    "spearman": "Spearman",
}
"""The columns of a comparison, in order, as a reader sees them."""

OTHER = "other"
"""The name under which locales with few pairs are pooled."""

LEAST_QUERIES = 10
"""With fewer queries a bootstrap draws the same few again and again, and its intervals are far too narrow."""

Bounds = tuple[float | None, float | None]
Measures = dict[str, dict[str, Measured]]
"""Row → metric → its value and its resampled values."""


class BootstrapSettings(BaseModel):
    """How sure figures and differences are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_resamples: int = Field(1000, ge=20, description="bootstrap resamples of the queries behind every interval")
    seed: int = Field(0, ge=0, description="of the bootstrap")


@dataclass(frozen=True)
class Figure:
    """A metric with its 95% interval; None where it is undefined, an interval also for fewer than LEAST_QUERIES."""

    value: float | None
    ci95: Bounds


@dataclass(frozen=True)
class Gain:
    """How much a row is above another in one metric; share_above is of the resamples. None as in a Figure."""

    difference: float | None
    ci95: Bounds
    share_above: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the 95% interval leaves out zero."""
        low, high = self.ci95
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True)
class Contrast:
    """Rows, each held against another: which one, and the gains over it by metric."""

    title: str
    against: dict[str, str]
    gains: dict[str, dict[str, Gain]]


@dataclass(frozen=True)
class Section:
    """One table: rows measured on one set of pairs, and what they are held against."""

    name: str
    num_pairs: int
    num_queries: int
    figures: dict[str, dict[str, Figure]]
    contrasts: tuple[Contrast, ...]
    with_facts: bool  # whether its table also says what each row is and costs
    counted: tuple[str, str] = ("pairs", "queries")  # what num_pairs and num_queries are numbers of


@dataclass(frozen=True)
class Facts:
    """What a row is and what its grading costs; None where it is not known or makes no sense."""

    version: str | None = None
    train_pairs: int | None = None
    parameters: int | None = None
    pairs_per_s: float | None = None  # of grading, text to logits, as measured in this run
    dollars_per_million_pairs: float | None = None


@dataclass(frozen=True)
class Report:
    """What a comparison found, for people and for JSON."""

    title: str
    sections: tuple[Section, ...]
    facts: dict[str, Facts]
    notes: tuple[str, ...] = ()
    filled: dict[str, dict[str, float]] = field(default_factory=dict)  # pins → text field → share that has text in it


def measure_rows(judged: Judged, systems: Mapping[str, Graded], settings: BootstrapSettings) -> Measures:
    """Every metric of every row, on the same resamples of the queries.

    nDCG, which only queries with pins of two levels have, is without an interval where these are fewer than
    LEAST_QUERIES, however many queries there are.
    """
    counts_RQ = significance.resamples(judged.num_queries, settings.num_resamples, settings.seed)
    few_have_ndcg = int(has_two_levels(judged.levels_N, judged.queries_N).sum()) < LEAST_QUERIES
    found: Measures = {}
    for row, graded in systems.items():
        measured = measure(judged, graded, counts_RQ)
        if few_have_ndcg:
            measured = {name: _unsure(each) if "ndcg" in name else each for name, each in measured.items()}
        found[row] = {metric: measured[metric] for metric in HEADINGS}
    return found


def best_row(measures: Measures, metric: Metric) -> str:
    """The row with the largest value of a metric, the first of equals; undefined values are below all others."""
    return max(measures, key=lambda row: -math.inf if math.isnan(found := measures[row][metric].value) else found)


def section(
    name: str, judged: Judged, measures: Measures, contrasts: Mapping[str, Mapping[str, str]], with_facts: bool = False
) -> Section:
    """Figures of all rows on judged pairs, and their gains: contrasts are title → (row → what it is held against)."""
    return section_of(name, (len(judged), judged.num_queries), measures, contrasts, with_facts)


def section_of(
    name: str,
    counts: tuple[int, int],
    measures: Measures,
    contrasts: Mapping[str, Mapping[str, str]],
    with_facts: bool = False,
    counted: tuple[str, str] = ("pairs", "queries"),
) -> Section:
    """As `section`, whatever was measured: counts of what, the second of them what the bootstrap draws."""
    if counts[1] < LEAST_QUERIES:
        measures = {row: {metric: _unsure(found) for metric, found in by.items()} for row, by in measures.items()}
    return Section(
        name=name,
        num_pairs=counts[0],
        num_queries=counts[1],
        figures={row: {metric: _figure(found) for metric, found in by.items()} for row, by in measures.items()},
        contrasts=tuple(_contrast(title, pairs, measures) for title, pairs in contrasts.items() if pairs),
        with_facts=with_facts,
        counted=counted,
    )


def columns_of(figures: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The metrics that a table's rows have, and how a reader sees them; the usual ones where there is no row."""
    return {metric: HEADINGS.get(metric, metric) for metric in next(iter(figures.values()), HEADINGS)}


def against(rows: Iterable[str], reference: str) -> dict[str, str]:
    """Every row but the reference, held against it."""
    return {row: reference for row in rows if row != reference}


def take(systems: Mapping[str, Graded], rows: Integers) -> dict[str, Graded]:
    """What every system says of some of the pairs."""
    return {name: graded.take(rows) for name, graded in systems.items()}


def locale_groups(judged: Judged, seen: Iterable[str], min_pairs: int) -> Iterator[tuple[str, Integers]]:
    """Name and rows: the locales in `seen` together, each other one with min_pairs pairs, and the rest as OTHER.

    Locales come by their number of pairs, the largest first; a group without pairs is left out. A locale that is not
    known belongs to OTHER.
    """
    was_seen_N = np.isin(judged.locales_N, list(seen))
    names, counts = np.unique(judged.locales_N[~was_seen_N], return_counts=True)
    by_size = [(str(names[place]), int(counts[place])) for place in np.argsort(-counts, kind="stable")]
    large = [name for name, count in by_size if name and count >= min_pairs]
    is_small_N = ~was_seen_N & ~np.isin(judged.locales_N, large)
    groups = [
        (f"{', '.join(seen)} (trained on)", was_seen_N),
        *((name, judged.locales_N == name) for name in large),
        (OTHER, is_small_N),
    ]
    yield from ((name, np.flatnonzero(is_in_N)) for name, is_in_N in groups if is_in_N.any())


def _contrast(title: str, pairs: Mapping[str, str], measures: Measures) -> Contrast:
    gains = {
        row: {metric: _gain(found, measures[below][metric]) for metric, found in measures[row].items()}
        for row, below in pairs.items()
    }
    return Contrast(title, dict(pairs), gains)


def _unsure(found: Measured) -> Measured:
    """A value whose resamples say nothing."""
    return Measured(found.value, np.full(len(found.values_R), math.nan))


def _figure(found: Measured) -> Figure:
    return Figure(number(found.value), _bounds(significance.interval(found.values_R)))


def _gain(row: Measured, below: Measured) -> Gain:
    found = significance.difference(row.value, row.values_R, below.value, below.values_R)
    return Gain(number(found.difference), _bounds(found.interval), number(found.share_above))


def _bounds(bounds: tuple[float, float]) -> Bounds:
    return (number(bounds[0]), number(bounds[1]))
