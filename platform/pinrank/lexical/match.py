"""How well a query's words match its candidates': BM25, share of the words, longest phrase, exact title.

Only the given candidates are read, never the collection. Letters: N pairs, K text fields, C = K + 1 columns (the last
is "all": the fields joined), F features, H hits, G groups of equal hits, R runs of hits.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.hits import Asked, Hits, Ints, ask, find
from pinrank.lexical.stats import LexicalStats
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

    bm25 in [0, inf); matched: share of distinct query terms that stand in the column; phrase: the longest run of query
    terms that stands in one field in the same order without a gap, as a share of the query's terms ("all" is the best
    field); exact: 1 where query and title have the same terms in the same order.

    Pair n is pin n with queries[query_of_pair[n]]; without query_of_pair there is one query a pair. One query against N
    pins is `features([query], pins, stats, np.zeros(N, int))`. A query without terms scores 0 everywhere.
    """
    query_N = np.arange(len(pins)) if query_of_pair is None else np.asarray(query_of_pair, dtype=np.int64)
    asked, asked_N = ask(queries, query_N, pins.languages)
    hits = find(asked, asked_N, pins)
    found_NF = np.zeros((len(pins), len(NAMES)), dtype=np.float32)
    bm25_NC, matched_NC, phrase_NC = (found_NF[:, number * C : (number + 1) * C] for number in range(3))
    _fill_bm25(bm25_NC, matched_NC, asked, asked_N, hits, pins, stats)
    _fill_phrases(phrase_NC, found_NF[:, -1], asked, asked_N, hits, pins)
    return found_NF


def bm25_scores(
    queries: Sequence[str], rows: Sequence[Mapping[str, str | None]], stats: LexicalStats
) -> NDArray[np.float64]:
    """BM25 of each (query, pin) pair over all fields joined, float64[N]: the baseline that a model must beat."""
    distinct = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    query_of_pair = np.asarray([distinct[query] for query in queries], dtype=np.int64)
    asked = [query_terms(query) for query in distinct]
    scored = features(asked, field_terms(rows, stats.words), stats, query_of_pair)
    return scored[:, NAMES.index("bm25.all")].astype(np.float64)


def _fill_bm25(
    bm25_NC: Floats, matched_NC: Floats, asked: Asked, asked_N: Ints, hits: Hits, pins: FieldTerms, stats: LexicalStats
) -> None:
    """BM25 as Lucene's, times k1 + 1: idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length))."""
    num_fields = pins.num_fields
    idf_SC = stats.idf(asked.terms_S[asked.place_S])
    scale_C = K1 * B / np.maximum(stats.avg_length, _SHORTEST)
    key_G, cell_G, tf_G = _grouped(hits.key_H, hits.cell_H, len(asked.keys_S))
    field_G = cell_G % num_fields
    norm_G = K1 * (1 - B) + scale_C[field_G] * (pins.offsets[cell_G + 1] - pins.offsets[cell_G])
    weight_G = idf_SC[key_G, field_G] * tf_G * (K1 + 1) / (tf_G + norm_G)
    bm25_NC[:, :-1] = np.bincount(cell_G, weight_G, bm25_NC[:, :-1].size).reshape(-1, num_fields)
    matched_NC[:, :-1] = np.bincount(cell_G, minlength=matched_NC[:, :-1].size).reshape(-1, num_fields)
    key_G, pair_G, tf_G = _grouped(hits.key_H, hits.cell_H // num_fields, len(asked.keys_S))
    norm_G = K1 * (1 - B) + scale_C[-1] * pins.total_lengths()[pair_G]
    weight_G = idf_SC[key_G, -1] * tf_G * (K1 + 1) / (tf_G + norm_G)
    bm25_NC[:, -1] = np.bincount(pair_G, weight_G, len(pins))
    matched_NC[:, -1] = np.bincount(pair_G, minlength=len(pins))
    matched_NC *= (1 / np.maximum(asked.distinct, 1)).astype(np.float32)[asked_N, None]


def _fill_phrases(
    phrase_NC: Floats, exact_N: Floats, asked: Asked, asked_N: Ints, hits: Hits, pins: FieldTerms
) -> None:
    """The longest runs of hits that go on side by side in query and field, and whether title and query are one run."""
    num_fields = pins.num_fields
    text_H, place_H, cell_H = hits.in_runs(asked)
    starts_H = np.ones(len(text_H), dtype=bool)
    starts_H[1:] = text_H[1:] - text_H[:-1] != 1
    starts_H[1:] |= place_H[1:] - place_H[:-1] != 1
    starts_H[1:] |= cell_H[1:] != cell_H[:-1]
    start_R = np.flatnonzero(starts_H)
    cell_R, length_R = cell_H[start_R], np.append(start_R[1:], len(text_H)) - start_R
    longest_NK = np.zeros((len(pins), num_fields), dtype=np.int64)
    np.maximum.at(longest_NK.reshape(-1), cell_R, length_R)
    longest_N = np.zeros(len(pins), dtype=np.int64)
    np.maximum.at(longest_N, cell_R // num_fields, length_R)
    size_N = asked.sizes[asked_N]
    phrase_NC[:, :-1], phrase_NC[:, -1] = longest_NK, longest_N
    phrase_NC *= (1 / np.maximum(asked.sizes, 1)).astype(np.float32)[asked_N, None]
    title_N = pins.offsets[_TITLE + 1 :: num_fields] - pins.offsets[_TITLE:-1:num_fields]
    exact_N[:] = (longest_NK[:, _TITLE] == size_N) & (title_N == size_N) & (size_N > 0)


def _grouped(key_H: Ints, cell_H: Ints, num_keys: int) -> tuple[Ints, Ints, Ints]:
    """Each distinct (key, cell), and how often it occurs."""
    found_H = np.sort(cell_H * max(num_keys, 1) + key_H)
    starts_H = np.ones(len(found_H), dtype=bool)
    starts_H[1:] = found_H[1:] != found_H[:-1]
    start_G = np.flatnonzero(starts_H)
    found_G = found_H[start_G]
    cell_G = found_G // max(num_keys, 1)
    return found_G - cell_G * max(num_keys, 1), cell_G, np.append(start_G[1:], len(found_H)) - start_G
