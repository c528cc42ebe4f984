"""Where the terms of queries stand in the pins that they are paired with.

Letters: N pairs, U asked (a query in the language of its pins), S terms of all of them, K text fields, T terms of all
pins, H hits. A cell is one field of one pair, 0..N*K-1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.stems import LANGUAGES
from pinrank.lexical.terms import FieldTerms, QueryTerms, Terms, ranges, starts_of

Ints = NDArray[np.int64]

_PER_QUERY = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS = 6
"""The filter has 2^6 places or more for every term asked: one in 64 of a pin's other terms passes it, at most."""


@dataclass(frozen=True)
class Asked:
    """The terms of U queries, each in the language of pins that it meets, behind each other.

    keys_S, a hash of query and term, is sorted; place_S says which of terms_S each key is; first_S marks the first of
    each query's equal terms, and so its distinct ones.
    """

    terms_S: Terms
    starts_U: Ints
    keys_S: Terms
    place_S: Ints
    first_S: NDArray[np.bool_]

    @cached_property
    def all_distinct(self) -> bool:
        """Whether no query has a term twice."""
        return bool(self.first_S.all())

    @cached_property
    def sizes(self) -> Ints:
        """Terms of each query, int64[U]."""
        return self.starts_U[1:] - self.starts_U[:-1]

    @cached_property
    def distinct(self) -> Ints:
        """Distinct terms of each query, int64[U]."""
        if self.all_distinct:
            return self.sizes
        is_first_S = np.zeros(len(self.terms_S), dtype=bool)
        is_first_S[self.place_S] = self.first_S
        running = starts_of(is_first_S)
        return np.asarray(running[self.starts_U[1:]] - running[self.starts_U[:-1]])

    @cached_property
    def repeats(self) -> Ints:
        """How often a query has each of its distinct terms, in the order of their keys, int64."""
        bounds = np.flatnonzero(np.append(self.first_S, True))
        return np.asarray(bounds[1:] - bounds[:-1])


@dataclass(frozen=True)
class Hits:
    """Equal terms of a pair's query and pin, in the order of the pins' terms.

    text_H: which of the pins' terms; key_H: which of the keys asked, the first of equals; cell_H: in which field.
    """

    text_H: Ints
    key_H: Ints
    cell_H: Ints

    def in_runs(self, asked: Asked) -> tuple[Ints, Ints, Ints]:
        """text, place among the terms asked, and cell, of every hit and each place that the term has in the query.

        Those that go on side by side in text and query are neighbours.
        """
        if asked.all_distinct:
            return self.text_H, asked.place_S[self.key_H], self.cell_H
        times_H = asked.repeats[np.cumsum(asked.first_S)[self.key_H] - 1]
        text_H, cell_H = np.repeat(self.text_H, times_H), np.repeat(self.cell_H, times_H)
        place_H = asked.place_S[ranges(self.key_H, times_H)]
        order = np.lexsort((text_H, text_H - place_H))
        return text_H[order], place_H[order], cell_H[order]


def ask(queries: Sequence[QueryTerms], query_N: Ints, languages_N: NDArray[np.uint8]) -> tuple[Asked, Ints]:
    """The queries in the languages of their pins, and which of them each pair has."""
    if not len(languages_N) or (languages_N == languages_N[0]).all():
        language = int(languages_N[0]) if len(languages_N) else 0
        return _together([query.read_in(language) for query in queries]), query_N
    codes_U, asked_N = np.unique(query_N * len(LANGUAGES) + languages_N, return_inverse=True)
    pairs = (divmod(code, len(LANGUAGES)) for code in codes_U.tolist())
    return _together([queries[query].read_in(language) for query, language in pairs]), asked_N


def find(asked: Asked, asked_N: Ints, pins: FieldTerms) -> Hits:
    """Every term of a pin that its query has: most others are ruled out by a small table, the rest looked up."""
    keys_T = pins.terms
    if len(asked.sizes) > 1:
        keys_T = keys_T + np.repeat(asked_N.astype(np.uint64) * _PER_QUERY, pins.total_lengths())
    bits = len(asked.keys_S).bit_length() + _FILTER_BITS
    shift = np.uint64(64 - bits)
    asked_for = np.zeros(2**bits, dtype=bool)
    asked_for[(asked.keys_S >> shift).view(np.int64)] = True
    text_H = np.flatnonzero(asked_for.take((keys_T >> shift).view(np.int64)))
    candidates_H = keys_T.take(text_H)
    key_H = asked.keys_S.searchsorted(candidates_H)
    own_H = np.append(asked.keys_S, np.uint64(0)).take(key_H) == candidates_H
    own_H &= key_H < len(asked.keys_S)
    text_H, key_H = text_H[own_H], key_H[own_H]
    return Hits(text_H, key_H, pins.offsets.searchsorted(text_H, side="right") - 1)


def _together(terms: Sequence[list[int]]) -> Asked:
    starts_U = starts_of(np.asarray([len(each) for each in terms], dtype=np.int64))
    terms_S = np.fromiter(chain.from_iterable(terms), dtype=np.uint64, count=int(starts_U[-1]))
    keys_S = terms_S
    if len(terms) > 1:
        number_S = np.repeat(np.arange(len(terms), dtype=np.uint64), starts_U[1:] - starts_U[:-1])
        keys_S = terms_S + number_S * _PER_QUERY
    place_S = keys_S.argsort(kind="stable")
    keys_S = keys_S[place_S]
    first_S = np.ones(len(keys_S), dtype=bool)
    first_S[1:] = keys_S[1:] != keys_S[:-1]
    return Asked(terms_S, starts_U, keys_S, place_S, first_S)
