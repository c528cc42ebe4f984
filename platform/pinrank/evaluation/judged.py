"""The two sides that an evaluation compares: what people said of pairs, and what a system says of the same pairs.

Shape letters: N pairs, L = 5 levels, C = 3 cuts.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import levels

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Judged:
    """Human judgments as columns, one row a pair."""

    levels_N: Integers
    relevance_N: Floats  # the original grade on 0..1, or (level - 1) / 4 where there is none
    queries_N: Integers  # numbered 0..Q-1; a query is one (source, query_id)
    sources_N: Strings
    locales_N: Strings  # of the query, '' where unknown
    pair_types_N: Strings

    def __len__(self) -> int:
        return len(self.levels_N)

    @property
    def num_queries(self) -> int:
        """Q."""
        return int(self.queries_N.max(initial=-1)) + 1

    def take(self, rows: Integers) -> "Judged":
        """Some of the pairs, their queries numbered anew."""
        return Judged(
            self.levels_N[rows],
            self.relevance_N[rows],
            np.unique(self.queries_N[rows], return_inverse=True)[1].astype(np.int64),
            self.sources_N[rows],
            self.locales_N[rows],
            self.pair_types_N[rows],
        )


@dataclass(frozen=True)
class Graded:
    """A system's say on the same pairs."""

    scores_N: Floats  # what it ranks by
    at_least_NC: Floats  # what it holds against each cut of levels.CUTS: a probability, or the score again
    levels_N: Integers | None  # its level; None where it has none, and then accuracy and kappa are undefined
    probabilities_NL: Floats | None = None  # of the levels; None where it says none
    raw_NL: Floats | None = None  # the same before calibration

    def take(self, rows: Integers) -> "Graded":
        """Some of the pairs."""
        columns = (self.scores_N, self.at_least_NC, self.levels_N, self.probabilities_NL, self.raw_NL)
        return Graded(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]


def judged(judgments: pa.Table) -> Judged:
    """The human side of a judgments table (columns of tables.JUDGMENTS)."""
    levels_N = judgments.column("level").to_numpy().astype(np.int64)
    relevance_N = judgments.column("relevance").to_numpy().astype(np.float64)
    by_level_N = (levels_N - 1) / (levels.NUM_LEVELS - 1)
    sources_N = _strings(judgments, "source")
    keys_N = np.char.add(np.char.add(sources_N, "\x1f"), _strings(judgments, "query_id"))
    return Judged(
        levels_N=levels_N,
        relevance_N=np.where(np.isnan(relevance_N), by_level_N, relevance_N),
        queries_N=np.unique(keys_N, return_inverse=True)[1].astype(np.int64),
        sources_N=sources_N,
        locales_N=_strings(judgments, "query_locale"),
        pair_types_N=_strings(judgments, "pair_type"),
    )


def from_logits(logits_NL: NDArray[np.floating], calibrated_NL: NDArray[np.floating] | None = None) -> Graded:
    """A model's say: ranked by expected level, its most likely level, and P(level >= cut) at each cut.

    The probability is the model's own answer to "at least this level", so the AUROC at a cut is measured on it.
    `calibrated_NL` are the logits after calibration: a calibrated model is measured as it is used.
    """
    raw_NL = levels.probabilities(logits_NL)
    probabilities_NL = raw_NL if calibrated_NL is None else levels.probabilities(calibrated_NL)
    return Graded(
        scores_N=levels.score(probabilities_NL),
        at_least_NC=np.stack([levels.at_least(probabilities_NL, cut) for cut in levels.CUTS], axis=1),
        levels_N=levels.most_likely_level(probabilities_NL),
        probabilities_NL=probabilities_NL,
        raw_NL=raw_NL,
    )


def from_scores(scores_N: Floats, levels_N: Integers | None) -> Graded:
    """A baseline's say: one score for the ranking and for every cut."""
    return Graded(scores_N, np.stack([scores_N] * len(levels.CUTS), axis=1), levels_N)


def _strings(judgments: pa.Table, name: str) -> Strings:
    return np.asarray(pc.fill_null(judgments.column(name), "").to_pylist(), dtype=np.str_)
