"""The terms of queries, each in the language of the pins that it meets.

Letters: N pairs, U asked (a query in the language of its pins), D distinct terms of each of them behind each other, Q
terms of each of them in the query's order behind each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.stems import LANGUAGES
from pinrank.lexical.terms import QueryTerms, Terms, starts_of

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """Distinct terms terms_D, those of asked u from distinct_starts_U[u] on; and the terms in the query's order,
    place_Q: the place of each among the distinct terms of its query, those of asked u from starts_U[u] on.
    """

    terms_D: Terms
    distinct_starts_U: Ints
    place_Q: Ints
    starts_U: Ints


def ask(queries: Sequence[QueryTerms], query_N: Ints, languages_N: NDArray[np.uint8]) -> tuple[Asked, Ints]:
    """The queries in the languages of their pins, and which of them each pair has."""
    if not len(languages_N) or (languages_N == languages_N[0]).all():
        language = int(languages_N[0]) if len(languages_N) else 0
        return _together([query.read_in(language) for query in queries]), query_N
    codes_U, asked_N = np.unique(query_N * len(LANGUAGES) + languages_N, return_inverse=True)
    pairs = (divmod(code, len(LANGUAGES)) for code in codes_U.tolist())
    return _together([queries[query].read_in(language) for query, language in pairs]), asked_N


def _together(terms: Sequence[list[int]]) -> Asked:
    distinct: list[int] = []
    places: list[int] = []
    sizes = []
    for each in terms:
        place_of = {term: place for place, term in enumerate(dict.fromkeys(each))}
        distinct += place_of
        places += [place_of[term] for term in each]
        sizes.append(len(place_of))
    return Asked(
        np.asarray(distinct, dtype=np.uint64),
        starts_of(np.asarray(sizes, dtype=np.int64)),
        np.asarray(places, dtype=np.int64),
        starts_of(np.asarray([len(each) for each in terms], dtype=np.int64)),
    )
