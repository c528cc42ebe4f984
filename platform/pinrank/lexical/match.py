"""Where a query's terms stand in its candidates, and the features of that: BM25, share, phrase, exact title.

Only the given candidates are read, never the collection. Letters: N pairs, U queries, K text fields, S terms of all
queries, T terms of all pins, H hits, G groups of hits. A cell is one column of one pair: the N*K fields, then "all" of
each of the N pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.stats import LexicalStats
from pinrank.lexical.terms import COLUMNS, FieldTerms, Terms, field_terms, query_terms, ranges, starts_of
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

_TITLE = FIELDS.index("title")
_PER_QUERY = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS = 6
"""The filter has 2^6 places for every term of a query, so that one in 64 of the pins' other terms passes it."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Queries:
    """The terms of U queries behind each other; keys_S, a hash of query and term, is sorted.

    place_S says which term each key is; first_S marks one of each query's equal terms.
    """

    terms: Terms
    starts_U: Ints
    keys_S: Terms
    place_S: Ints
    first_S: NDArray[np.bool_]


@dataclass(frozen=True)
class _Hits:
    """Equal terms of a pair's query and pin, in the order of the pins' terms.

    text_H: which of the pins' terms; key_H: which of the queries' keys, the first of equals; cell_H: pair and field.
    """

    text_H: Ints
    key_H: Ints
    cell_H: Ints


def features(
    queries: Sequence[Terms],
    pins: FieldTerms,
    stats: LexicalStats,
    query_of_pair: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """What the words of a pair say, float32[N, F], columns as in NAMES.

    bm25 in [0, inf); matched: share of distinct query terms that stand in the column; phrase: the longest run of query
    terms that stands in one field in the same order without a gap, as a share of the query's terms ("all" is the best
    field); exact: 1 where query and title have the same terms in the same order.

    Pair n is pin n with queries[query_of_pair[n]], whose terms are in the order of its words; without query_of_pair
    there is one query a pair. One query against N pins is `features([terms], pins, stats, np.zeros(N, int))`. A query
    without terms scores 0 everywhere.
    """
    query_N = np.arange(len(pins)) if query_of_pair is None else np.asarray(query_of_pair, dtype=np.int64)
    asked = _together(queries)
    hits = _find(asked, pins, query_N)
    bm25_NC, matched_NC = _bm25(asked, hits, pins, stats, query_N)
    phrase_NC, exact_N = _phrases(asked, hits, pins, query_N)
    return np.concatenate([bm25_NC, matched_NC, phrase_NC, exact_N[:, None]], axis=1, dtype=np.float32)


def bm25_scores(
    queries: Sequence[str], rows: Sequence[Mapping[str, str | None]], stats: LexicalStats
) -> NDArray[np.float64]:
    """BM25 of each (query, pin) pair over all fields joined, float64[N]: the baseline that a model must beat."""
    distinct = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    query_of_pair = np.asarray([distinct[query] for query in queries], dtype=np.int64)
    terms = [query_terms(query, words=stats.words) for query in distinct]
    scored = features(terms, field_terms(rows, stats.words), stats, query_of_pair)
    return scored[:, NAMES.index("bm25.all")].astype(np.float64)


def _together(queries: Sequence[Terms]) -> _Queries:
    starts_U = starts_of(np.asarray([len(terms) for terms in queries], dtype=np.int64))
    terms = np.concatenate([*queries, np.empty(0, np.uint64)])
    query_S = np.repeat(np.arange(len(queries), dtype=np.uint64), np.diff(starts_U))
    keys_S = terms + query_S * _PER_QUERY
    place_S = np.argsort(keys_S, kind="stable")
    keys_S = keys_S[place_S]
    first_S = np.ones(len(keys_S), dtype=bool)
    first_S[1:] = keys_S[1:] != keys_S[:-1]
    return _Queries(terms, starts_U, keys_S, place_S, first_S)


def _find(asked: _Queries, pins: FieldTerms, query_N: Ints) -> _Hits:
    """Every pin's terms that its query has: most are ruled out by a small table, the others looked up."""
    starts_N = pins.offsets[:: pins.num_fields]
    keys_T = pins.terms + np.repeat(query_N.astype(np.uint64) * _PER_QUERY, np.diff(starts_N))
    bits = max(len(asked.keys_S).bit_length(), 1) + _FILTER_BITS
    shift = np.uint64(64 - bits)
    asked_for = np.zeros(2**bits, dtype=bool)
    asked_for[(asked.keys_S >> shift).view(np.int64)] = True
    text_H = np.flatnonzero(asked_for[(keys_T >> shift).view(np.int64)])
    key_H = np.searchsorted(asked.keys_S, keys_T[text_H])
    own = asked.keys_S[np.minimum(key_H, len(asked.keys_S) - 1)] == keys_T[text_H] if len(text_H) else text_H > 0
    text_H, key_H = text_H[own], key_H[own]
    return _Hits(text_H, key_H, np.searchsorted(pins.offsets, text_H, side="right") - 1)


def _bm25(asked: _Queries, hits: _Hits, pins: FieldTerms, stats: LexicalStats, query_N: Ints) -> tuple[Floats, Floats]:
    """BM25 and the share of distinct query terms found, each float64[N, K+1]."""
    num_pairs, num_fields = len(pins), pins.num_fields
    num_keys = max(len(asked.keys_S), 1)
    cell_H = np.concatenate([hits.cell_H, num_pairs * num_fields + hits.cell_H // num_fields])
    found = np.sort(cell_H * num_keys + np.concatenate([hits.key_H, hits.key_H]))
    starts_G = np.flatnonzero(np.diff(found, prepend=-1))
    counts_G = np.diff(starts_G, append=len(found))
    cell_G, key_G = np.divmod(found[starts_G], num_keys)
    is_all_G = cell_G >= num_pairs * num_fields
    column_G = np.where(is_all_G, num_fields, cell_G % num_fields)
    lengths_C = _by_cell(pins.lengths())
    norm_G = K1 * (1 - B + B * lengths_C[cell_G] / stats.avg_length[column_G].clip(1e-9))
    idf_G = stats.idf(asked.terms[asked.place_S])[key_G, column_G]
    weights_G = idf_G * counts_G * (K1 + 1) / (counts_G + norm_G)
    num_cells = num_pairs * (num_fields + 1)
    bm25_NC = _by_pair(np.bincount(cell_G, weights_G, num_cells), num_pairs)
    matched_NC = _by_pair(np.bincount(cell_G, minlength=num_cells), num_pairs)
    return bm25_NC, matched_NC / np.maximum(_distinct(asked)[query_N], 1)[:, None]


def _phrases(asked: _Queries, hits: _Hits, pins: FieldTerms, query_N: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """The longest common phrase as a share of the query, float64[N, K+1]; whether the title is the query, bool[N]."""
    text_H, place_H, cell_H = _in_runs(asked, hits)
    goes_on_H = (np.diff(text_H) == 1) & (np.diff(place_H) == 1) & (np.diff(cell_H) == 0)
    starts_R = np.flatnonzero(np.concatenate([[True], ~goes_on_H])) if len(text_H) else text_H
    longest_NK = np.zeros((len(pins), pins.num_fields), dtype=np.int64)
    np.maximum.at(longest_NK.reshape(-1), cell_H[starts_R], np.diff(starts_R, append=len(text_H)))
    sizes_N = np.diff(asked.starts_U)[query_N]
    exact_N = (longest_NK[:, _TITLE] == sizes_N) & (pins.lengths()[:, _TITLE] == sizes_N) & (sizes_N > 0)
    longest_NC = np.concatenate([longest_NK, longest_NK.max(axis=1, keepdims=True)], axis=1)
    return longest_NC / np.maximum(sizes_N, 1)[:, None], exact_N


def _in_runs(asked: _Queries, hits: _Hits) -> tuple[Ints, Ints, Ints]:
    """Hits with each place that the term has in the query, those of one run behind each other."""
    if asked.first_S.all():
        return hits.text_H, asked.place_S[hits.key_H], hits.cell_H
    times = np.diff(np.flatnonzero(np.append(asked.first_S, True)))  # of each distinct term
    times_H = times[np.cumsum(asked.first_S)[hits.key_H] - 1]
    text_H, cell_H = np.repeat(hits.text_H, times_H), np.repeat(hits.cell_H, times_H)
    place_H = asked.place_S[ranges(hits.key_H, times_H)]
    order = np.lexsort((text_H, text_H - place_H))
    return text_H[order], place_H[order], cell_H[order]


def _distinct(asked: _Queries) -> Ints:
    """Distinct terms of each query, int64[U]."""
    is_first_S = np.zeros(len(asked.terms), dtype=np.int64)
    is_first_S[asked.place_S] = asked.first_S
    running = np.concatenate([[0], np.cumsum(is_first_S)])
    return np.asarray(np.diff(running[asked.starts_U]))


def _by_cell(values_NC: NDArray) -> NDArray:
    return np.concatenate([values_NC[:, :-1].ravel(), values_NC[:, -1]])


def _by_pair(values: NDArray, num_pairs: int) -> NDArray:
    """Cells to columns: fields, then all."""
    in_fields = values[: len(values) - num_pairs].reshape(num_pairs, len(COLUMNS) - 1)
    return np.concatenate([in_fields, values[len(values) - num_pairs :, None]], axis=1)
