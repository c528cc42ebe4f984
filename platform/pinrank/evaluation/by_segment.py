"""One system's figures by source and by query locale, without intervals: what a model's card says of dev."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pinrank.evaluation.judged import Graded, Integers, Judged
from pinrank.evaluation.report import locales, measure, number, segments

METRICS = ("ndcg_at_10", "ndcg_at_20", "accuracy", "qwk", "spearman", "ece", "ece_raw")

LEAST_LOCALE_PAIRS = 50
"""A query locale with fewer judged pairs gets no figures."""

Figures = dict[str, float | None]
"""num_pairs, num_queries and METRICS; None where a metric is undefined."""


class SegmentFigures(BaseModel):
    """Figures of dev, which also chose the model's epoch and calibration: fit for choosing, not for reporting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by_source: dict[str, Figures] = Field({}, description="'overall', and every source")
    by_locale: dict[str, Figures] = Field({}, description="query locales with enough judged pairs")


def figures_of(judged: Judged, graded: Graded) -> SegmentFigures:
    """The figures of every segment that the pairs have."""
    return SegmentFigures(
        by_source=_measured(judged, graded, list(segments(judged, ()))),
        by_locale=_measured(judged, graded, list(locales(judged, LEAST_LOCALE_PAIRS))),
    )


def _measured(judged: Judged, graded: Graded, parts: Sequence[tuple[str, Integers]]) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for name, rows in parts:
        part = judged.take(rows)
        no_resamples = np.zeros((0, part.num_queries))
        measured = measure(part, graded.take(rows), no_resamples)
        counts: Figures = {"num_pairs": float(len(part)), "num_queries": float(part.num_queries)}
        found[name] = counts | {metric: number(measured[metric].value) for metric in METRICS}
    return found
