"""How well a query's words match its candidates': BM25, share of the words, longest phrase, exact title.

Only the given candidates are read, never the collection. Letters: N pairs, K text fields, C = K + 1 columns (the last
is "all": the fields joined), F features.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.asked import ask
from pinrank.lexical.stats import LexicalStats, fit
from pinrank.lexical.terms import COLUMNS, FieldTerms, QueryTerms, field_terms, query_terms
from pinrank.text import FIELDS

K1 = 1.2
B = 0.75
"""BM25's saturation and length normalisation, the usual values (Robertson and Zaragoza 2009)."""

NAMES = (
    *(f"bm25.{column}" for column in COLUMNS),
    *(f"matched.{column}" for column in COLUMNS),
    *(f"phrase.{column}" for column in COLUMNS),
    "exact.title",
)
"""The columns of `features`, in order."""

C = len(COLUMNS)
Floats = NDArray[np.float32]

_TITLE = FIELDS.index("title")
_SHORTEST = 1e-9
"""In place of the mean length of a field that is always empty: no term is there to be divided by it."""


def features(
    queries: Sequence[QueryTerms],
    pins: FieldTerms,
    stats: LexicalStats,
    query_of_pair: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """What the words of a pair say, float32[N, F], columns as in NAMES.

    bm25 in [0, inf), Lucene's times k1 + 1: idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length));
    matched: share of distinct query terms that stand in the column; phrase: the longest run of query
    terms that stands in one field in the same order without a gap, as a share of the query's terms ("all" is the best
    field); exact: 1 where query and title have the same terms in the same order.

    Pair n is pin n with queries[query_of_pair[n]]; without query_of_pair there is one query a pair. One query against N
    pins is `features([query], pins, stats, np.zeros(N, int))`. A query without terms scores 0 everywhere.
    """
    from pinrank.lexical import scan  # which takes half a second, and jobs only read their settings at first

    query_N = np.arange(len(pins)) if query_of_pair is None else np.asarray(query_of_pair, dtype=np.int64)
    asked, asked_N = ask(queries, query_N, pins.languages)
    found_NF = np.zeros((len(pins), len(NAMES)), dtype=np.float32)
    bm25_NC, matched_NC, phrase_NC = (found_NF[:, number * C : (number + 1) * C] for number in range(3))
    scan.fill(
        bm25_NC,
        matched_NC,
        phrase_NC,
        found_NF[:, -1],
        pins.terms,
        pins.offsets,
        asked_N,
        asked.terms_D,
        asked.distinct_starts_U,
        asked.place_Q,
        asked.starts_U,
        stats.idf(asked.terms_D),
        K1 * B / np.maximum(stats.avg_length, _SHORTEST),
        K1,
        B,
        _TITLE,
    )
    return found_NF


def warm_up() -> None:
    """Load the compiled pass over the pins' terms, for which the first call of `features` would wait.

    Where it was never compiled it is compiled, which takes some seconds once a machine.
    """
    nothing = field_terms([])
    features([query_terms("")], nothing, fit(nothing), np.zeros(0, dtype=np.int64))


def bm25_scores(
    queries: Sequence[str], rows: Sequence[Mapping[str, str | None]], stats: LexicalStats
) -> NDArray[np.float64]:
    """BM25 of each (query, pin) pair over all fields joined, float64[N]: the baseline that a model must beat."""
    distinct = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    query_of_pair = np.asarray([distinct[query] for query in queries], dtype=np.int64)
    asked = [query_terms(query) for query in distinct]
    scored = features(asked, field_terms(rows, stats.words), stats, query_of_pair)
    return scored[:, NAMES.index("bm25.all")].astype(np.float64)
