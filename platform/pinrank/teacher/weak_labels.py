"""Grades of a cheap ranker, from which a teacher learns to compare two texts before it learns from humans.

Judgments are few, and a backbone that was pretrained on single sentences needs many pairs to find out what a query has
to do with a pin. Boosted trees on the baselines' scores, fitted on the train judgments, grade any number of pairs. That
a cheap ranker's grades are a good place to start from is known of ranking (Dehghani et al. 2017, "Neural ranking models
with weak supervision") and, between bi- and cross-encoders, from Trans-Encoder (Liu et al. 2022).

Letters: N pairs, F = 6 scores, L = 5 levels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank.evaluation.baselines import ALL_SOURCES, Pair, bm25, fit_collections, frozen_cosine, rows_to_fit
from pinrank.levels import NUM_LEVELS
from pinrank.precision import Precision
from pinrank.sampling.by_source import rows_by_source
from pinrank.tables import SOFT_LABELS
from pinrank.teacher.siblings import WeakPair
from pinrank.text import TextSettings, pair_key, pin_text

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]
PinRow = Mapping[str, str]
"""A row of the pin_text table."""

SMALLEST = 1e-3
"""No level is impossible for a ranker this weak; keeps the logits finite."""

LEAST_IN_LEAF = 40
"""Train pairs in a leaf: the scores are few and noisy."""


@dataclass(frozen=True)
class WeakRanker:
    """Trees on `scores`, one forest a source with enough judgments and one for all."""

    by_source: Mapping[str, "HistGradientBoostingClassifier"]

    def probabilities(self, scores_NF: Floats, sources_N: NDArray[np.str_]) -> Floats:
        """P(level 1..5) of each pair, float64[N, 5]; at least SMALLEST before rows are scaled to 1."""
        graded_NL = np.full((len(scores_NF), NUM_LEVELS), SMALLEST)
        for source in np.unique(sources_N):
            rows = np.flatnonzero(sources_N == source)
            trees = self.by_source.get(str(source), self.by_source[ALL_SOURCES])
            graded_NL[np.ix_(rows, trees.classes_ - 1)] += trees.predict_proba(scores_NF[rows])
        return np.asarray(graded_NL / graded_NL.sum(axis=1, keepdims=True))


def weak_pairs(rows: pa.Table) -> list[WeakPair]:
    """A pair of each row, in its order; rows: query, query_locale, pin_id."""
    columns = (rows.column(name).to_pylist() for name in ("query", "query_locale", "pin_id"))
    return [WeakPair(query, locale or "", pin_id) for query, locale, pin_id in zip(*columns, strict=True)]


def capped(pairs: Sequence[WeakPair], sources: Sequence[str], most: int | None, seed: int) -> list[WeakPair]:
    """At most `most` pairs of each source, those with the smallest hashes, in the order given; None: all."""
    if most is None:
        return list(pairs)
    keys = [pair_key(pair.query, pair.pin_id) for pair in pairs]
    return [pairs[row] for row in rows_by_source(sources, keys, most, seed)]


def scores(
    pairs: Sequence[Pair], catalogue: Sequence[PinRow], backbone: str, text: TextSettings, precision: Precision
) -> Floats:
    """What the trees see of each pair, float64[N, 6].

    Cosine under the untouched backbone, BM25 in the pin's source, the share of the query's words that the pin has and
    of the pin's words that the query has, and the number of words of each.
    """
    words = [(query.lower().split(), pin_text(pin, text).lower().split()) for query, pin in pairs]
    distinct = [(set(asked), set(said)) for asked, said in words]
    return np.column_stack(
        [
            frozen_cosine(pairs, backbone, text, precision),
            bm25(pairs, fit_collections(catalogue, {pin["source"] or "" for _, pin in pairs})),
            [len(asked & said) / max(1, len(asked)) for asked, said in distinct],
            [len(asked & said) / max(1, len(said)) for asked, said in distinct],
            [len(asked) for asked, _ in words],
            [len(said) for _, said in words],
        ]
    )


def fit(scores_NF: Floats, levels_N: NDArray[np.int64], sources_N: NDArray[np.str_], seed: int = 0) -> WeakRanker:
    """Fit the trees to train judgments: one forest a source that has enough of them, and one for all."""
    rows_of = rows_to_fit(sources_N)
    return WeakRanker({source: _forest(scores_NF[rows], levels_N[rows], seed) for source, rows in rows_of.items()})


def as_soft_labels(pairs: Sequence[WeakPair], graded_NL: Floats, pins: Mapping[str, PinRow]) -> pa.Table:
    """Weak grades as SOFT_LABELS, in the order given; pins: rows of pin_text by pin_id."""
    logits_NL = np.log(graded_NL).astype(np.float32)
    digest = hashlib.blake2b(logits_NL.tobytes(), digest_size=4)
    columns = {
        "pair_key": [pair_key(pair.query, pair.pin_id) for pair in pairs],
        "query": [pair.query for pair in pairs],
        "query_locale": [pair.query_locale for pair in pairs],
        "pin_id": [pair.pin_id for pair in pairs],
        "source": [pins[pair.pin_id]["source"] for pair in pairs],
        "weight": np.ones(len(pairs), dtype=np.float32),
        "logits": list(logits_NL),
        "num_tokens": np.zeros(len(pairs), dtype=np.int32),
        "teacher": [f"weak-ranker@{digest.hexdigest()}"] * len(pairs),
        "fingerprint": [pins[pair.pin_id]["fingerprint"] for pair in pairs],
    }
    return pa.table(columns, schema=SOFT_LABELS.schema)


def _forest(scores_NF: Floats, levels_N: NDArray[np.int64], seed: int) -> "HistGradientBoostingClassifier":
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.05,
        max_leaf_nodes=12,
        min_samples_leaf=LEAST_IN_LEAF,
        l2_regularization=1.0,
        random_state=seed,
    )
    return trees.fit(scores_NF, levels_N)
