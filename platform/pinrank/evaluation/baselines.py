"""The two baselines that every table of results holds: BM25, and the cosine of an untouched bi-encoder.

A third, where there is an engagement log: the cosine of the search embedding. They give a score and no level. Their
levels come from a regression of the level on the score (`fit_levels`).
Shape letters: N pairs, U distinct texts, D vector.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pinrank import lexical
from pinrank.backbones import resolve
from pinrank.distinct import distinct
from pinrank.evaluation.judged import Floats, Integers, Strings
from pinrank.text import TextSettings, pin_text

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from pinrank.precision import Precision

Pin = Mapping[str, str]
"""A row of the pin_text table."""

Pair = tuple[str, Pin]
"""A query and a pin."""

ALL_SOURCES = ""
MIN_PAIRS = 50
"""A source with fewer dev pairs takes its cut points from all sources together."""


@dataclass(frozen=True)
class LevelsOfScores:
    """One regression a source, and one for all sources together."""

    by_source: Mapping[str, "Pipeline"]

    def levels(self, scores_N: Floats, sources_N: Strings) -> Integers:
        """The most likely level of each score, 1..5."""
        levels_N = np.zeros(len(scores_N), dtype=np.int64)
        for source in np.unique(sources_N):
            rows = sources_N == source
            regression = self.by_source.get(str(source), self.by_source[ALL_SOURCES])
            levels_N[rows] = regression.predict(scores_N[rows, None])
        return levels_N


def fit_collections(catalogue: Sequence[Pin], sources: Collection[str]) -> dict[str, lexical.LexicalStats]:
    """BM25's statistics of each of these sources, from all its pins in the catalogue.

    A source is a collection of its own (photo titles, articles, products): on the dev split of the public judgments
    its own statistics did better than those of all pins together on three of four sources.
    """
    pins: dict[str, list[Pin]] = {source: [] for source in sources}
    for pin in catalogue:
        if (source := pin["source"] or "") in pins:
            pins[source].append(pin)
    return {source: lexical.fit(lexical.field_terms(collection)) for source, collection in pins.items()}


def bm25(pairs: Sequence[Pair], collections: Mapping[str, lexical.LexicalStats]) -> Floats:
    """BM25 of each pair under the statistics of its pin's source, float64[N]."""
    sources_N = np.asarray([pin["source"] or "" for _, pin in pairs], dtype=np.str_)
    scores_N = np.zeros(len(pairs))
    for source in np.unique(sources_N):
        rows = np.flatnonzero(sources_N == source)
        queries, pins = zip(*(pairs[row] for row in rows), strict=True)
        scores_N[rows] = lexical.bm25_scores(queries, pins, collections[str(source)])
    return scores_N


def frozen_cosine(pairs: Sequence[Pair], backbone: str, text: TextSettings, precision: "Precision") -> Floats:
    """Cosine of query and pin text under a backbone as it was published (mean of tokens), float64[N] in [-1, 1]."""
    from pinrank.student.encoder import TextEncoder

    queries, pins = [query for query, _ in pairs], [pin_text(pin, text) for _, pin in pairs]
    texts, which = distinct([*queries, *pins])
    vectors_UD = TextEncoder.open(resolve(backbone)).encode(texts, text.max_tokens, precision)
    queries_ND, pins_ND = vectors_UD[which[: len(pairs)]], vectors_UD[which[len(pairs) :]]
    return np.asarray(np.einsum("nd,nd->n", queries_ND, pins_ND, dtype=np.float64))


def search_cosine(pairs: Sequence[Pair], folder: str, precision: "Precision") -> Floats:
    """Cosine of query and pin under a search embedding, float64[N] in [-1, 1]; ModelError when the folder has none."""
    from pinrank.search_embedding.export import open_search_embedding

    model = open_search_embedding(folder)
    queries, query_of_pair = distinct([query for query, _ in pairs])
    texts, pin_of_pair = distinct(model.pin_texts([pin for _, pin in pairs]))
    queries_ND = model.encode_queries(queries, precision)[query_of_pair]
    pins_ND = model.encode_pins(texts, precision)[pin_of_pair]
    return np.asarray(np.einsum("nd,nd->n", queries_ND, pins_ND, dtype=np.float64))


def fit_levels(scores_N: Floats, levels_N: Integers, sources_N: Strings) -> LevelsOfScores:
    """Multinomial logistic regression of the level on the standardised score, a source at a time.

    Fit it on the dev split, never on what is measured.
    """
    rows_of = rows_to_fit(sources_N)
    return LevelsOfScores({source: _regression(scores_N[rows], levels_N[rows]) for source, rows in rows_of.items()})


def rows_to_fit(sources_N: Strings) -> dict[str, Integers]:
    """The rows of each source that has MIN_PAIRS of them, and of ALL_SOURCES."""
    rows_of = {ALL_SOURCES: np.arange(len(sources_N))}
    for source, count in zip(*np.unique(sources_N, return_counts=True), strict=True):
        if count >= MIN_PAIRS:
            rows_of[str(source)] = np.flatnonzero(sources_N == source)
    return rows_of


def _regression(scores_N: Floats, levels_N: Integers) -> "Pipeline":
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    one_level = len(np.unique(levels_N)) == 1
    classifier = DummyClassifier() if one_level else LogisticRegression(max_iter=1000)
    return make_pipeline(StandardScaler(), classifier).fit(scores_N[:, None], levels_N)
