"""What the teacher says of lists that the service showed: how far the student agrees, and how good their order was.

The teacher's likeliest level stands where a person's judgment stands in an evaluation. Metrics:

    accuracy, qwk  the student's likeliest level beside the teacher's
    spearman       the student's score beside the teacher's
    drift_levels   mean distance of the student's expected level from the teacher's
    ndcg_at_10     of the lists as they were shown, steps down included

Intervals are of a bootstrap over queries, each with all its lists.
Letters: N pins shown, S lists, Q queries, R resamples, L = 5 levels.
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank import levels
from pinrank.evaluation import metrics, significance
from pinrank.evaluation.comparison import BootstrapSettings, Figure, Section, section_of
from pinrank.evaluation.report import Measured
from pinrank.soft_labels import logits_of
from pinrank.teacher.calibration import Calibration
from pinrank.text import normalise_query, pair_keys

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Strings = NDArray[np.str_]
Flags = NDArray[np.bool_]

METRICS = ("ndcg_at_10", "accuracy", "qwk", "spearman", "drift_levels")
OVERALL = "overall"


class SegmentSettings(BaseModel):
    """How lists are cut into segments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_share: float = Field(0.5, gt=0, lt=1, description="of all lists: those of the most frequent queries are head")
    min_lists: int = Field(20, ge=1, description="a segment or a day with fewer lists gets no row")


@dataclass(frozen=True)
class Shown:
    """Pins that were shown and that the teacher graded, one row each."""

    days_N: Strings
    lists_N: Integers
    queries_N: Integers
    locales_N: Strings
    versions_N: Strings
    positions_N: Integers
    scores_N: Floats
    levels_N: Integers  # the student's; 0 where it did not grade the pin
    teacher_levels_N: Integers
    teacher_scores_N: Floats

    def __len__(self) -> int:
        return len(self.lists_N)

    @property
    def num_lists(self) -> int:
        """S, of those that have a row here."""
        return len(np.unique(self.lists_N))

    def take(self, rows: Integers | Flags) -> "Shown":
        """Some of the rows, lists and queries numbered anew."""
        found = {name: column[rows] for name, column in vars(self).items()}
        for name in ("lists_N", "queries_N"):
            found[name] = np.unique(found[name], return_inverse=True)[1].astype(np.int64)
        return Shown(**found)


def shown_of(days: Sequence[tuple[datetime.date, pa.Table, pa.Table]], calibration: Calibration) -> Shown:
    """Days of SERVED joined with their SOFT_LABELS; a pin that the teacher did not grade is left out.

    calibration: the teacher's, by which its logits become probabilities, as the student's were before they were served.
    """
    parts = [_joined(day, served, labels, calibration) for day, served, labels in days]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name in ("lists_N", "queries_N"):
        columns[name] = np.unique(columns[name], return_inverse=True)[1].astype(np.int64)
    return Shown(**columns)


def _joined(day: datetime.date, served: pa.Table, labels: pa.Table, calibration: Calibration) -> dict[str, np.ndarray]:
    place_of = {key: place for place, key in enumerate(labels["pair_key"].to_pylist())}
    queries = served["query"].to_pylist()
    places = [place_of.get(key, -1) for key in pair_keys(queries, served["pin_id"].to_pylist())]
    rows = np.flatnonzero(np.asarray(places, dtype=np.int64) >= 0)
    logits_NL = logits_of(labels)[np.asarray(places, dtype=np.int64)[rows]]
    served = served.take(rows)

    def strings(name: str) -> Strings:
        return np.asarray([value or "" for value in served[name].to_pylist()], dtype=np.str_)

    of_teacher_NL = levels.probabilities(calibration.calibrated(logits_NL, strings("query_locale")))
    return {
        "days_N": np.full(len(rows), day.isoformat()),
        "lists_N": strings("list_id"),
        "queries_N": np.asarray([normalise_query(query) for query in served["query"].to_pylist()], dtype=np.str_),
        "locales_N": strings("query_locale"),
        "versions_N": strings("version"),
        "positions_N": served["position"].to_numpy().astype(np.int64),
        "scores_N": served["score"].to_numpy().astype(np.float64),
        "levels_N": served["level"].fill_null(0).to_numpy().astype(np.int64),
        "teacher_levels_N": levels.most_likely_level(of_teacher_NL).astype(np.int64),
        "teacher_scores_N": levels.score(of_teacher_NL),
    }


def segments(shown: Shown, settings: SegmentSettings) -> Iterator[tuple[str, Shown]]:
    """Overall, head and tail, then every locale and every release with enough lists."""
    yield OVERALL, shown
    is_head_N = head(shown, settings.head_share)
    parts = [("head queries", is_head_N), ("tail queries", ~is_head_N)]
    for kind, column_N in (("locale", shown.locales_N), ("release", shown.versions_N)):
        parts += [(f"{kind} {name or 'unknown'}", column_N == name) for name in np.unique(column_N)]
    for name, rows in parts:
        part = shown.take(rows)
        if part.num_lists >= settings.min_lists:
            yield name, part


def head(shown: Shown, share: float) -> Flags:
    """Which rows are of the most frequent queries: the fewest of them that have this share of all lists."""
    _, first = np.unique(shown.lists_N, return_index=True)
    lists_Q = np.bincount(shown.queries_N[first])
    by_size = np.argsort(-lists_Q, kind="stable")
    before = np.cumsum(lists_Q[by_size]) - lists_Q[by_size]
    is_head_Q = np.zeros(len(lists_Q), dtype=bool)
    is_head_Q[by_size] = before < share * len(first)
    return np.asarray(is_head_Q[shown.queries_N])


def days(shown: Shown, settings: SegmentSettings) -> Iterator[tuple[str, Shown]]:
    """Every day with enough lists, in order."""
    for day in np.unique(shown.days_N):
        part = shown.take(shown.days_N == day)
        if part.num_lists >= settings.min_lists:
            yield str(day), part


def table(name: str, parts: Sequence[tuple[str, Shown]], settings: BootstrapSettings) -> Section:
    """A section whose rows are the parts, each with every metric and its interval."""
    figures: dict[str, dict[str, Figure]] = {}
    for row, part in parts:
        num_queries = len(np.unique(part.queries_N))
        one = section_of(row, (len(part), num_queries), {row: measure(part, settings)}, {})
        figures[row] = one.figures[row]
    pins = sum(len(part) for _, part in parts[:1])
    queries = sum(len(np.unique(part.queries_N)) for _, part in parts[:1])
    return Section(name, pins, queries, figures, (), with_facts=False, counted=("pins shown", "queries"))


def measure(part: Shown, settings: BootstrapSettings) -> dict[str, Measured]:
    """Every metric, and its value in every resample of the queries."""
    counts_RQ = significance.resamples(int(part.queries_N.max(initial=-1)) + 1, settings.num_resamples, settings.seed)
    order_N = -part.positions_N.astype(np.float64)
    ndcg_S = metrics.ndcg_by_query(part.teacher_levels_N, order_N, part.lists_N, 10)
    _, first = np.unique(part.lists_N, return_index=True)
    found = {
        "ndcg_at_10": Measured(float(metrics.mean(ndcg_S)), metrics.mean(ndcg_S, counts_RQ[:, part.queries_N[first]]))
    }
    graded_N = np.flatnonzero(part.levels_N)
    for name, metric in _over_pins(part, graded_N).items():
        values_R = significance.over_pairs(counts_RQ, part.queries_N[graded_N], metric)
        found[name] = Measured(float(metric(np.ones(len(graded_N)))), values_R)
    return found


def _over_pins(part: Shown, rows: Integers) -> dict[str, Callable[[Floats], Floats]]:
    teachers_N, ours_N = part.teacher_levels_N[rows], part.levels_N[rows]
    teacher_scores_N, scores_N = part.teacher_scores_N[rows], part.scores_N[rows]
    apart_N = np.abs(teacher_scores_N - scores_N) * (levels.NUM_LEVELS - 1)
    return {
        "accuracy": lambda weights: metrics.accuracy(teachers_N, ours_N, weights),
        "qwk": lambda weights: metrics.quadratic_weighted_kappa(teachers_N, ours_N, weights),
        "spearman": lambda weights: metrics.spearman(teacher_scores_N, scores_N, weights),
        "drift_levels": lambda weights: metrics.mean(apart_N, weights),
    }
