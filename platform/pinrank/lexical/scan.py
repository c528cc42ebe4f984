"""One pass over the terms of pins: compiled, because a request is thousands of terms of which few are the query's.

Letters as in match.py and asked.py.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from pinrank.lexical.asked import Ints
from pinrank.lexical.terms import Terms

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def fill(
    bm25_NC: Floats,
    matched_NC: Floats,
    phrase_NC: Floats,
    exact_N: Floats,
    terms_T: Terms,
    offsets: Ints,
    asked_N: Ints,
    terms_D: Terms,
    distinct_starts_U: Ints,
    place_Q: Ints,
    starts_U: Ints,
    idf_DC: Doubles,
    scale_C: Doubles,
    k1: float,
    b: float,
    title: int,
) -> None:
    """Fill the four kinds of features of N pairs, which come as zeros.

    scale_C is k1 * b / mean length; column C - 1 is that of all fields. title: which field is compared as a whole.
    """
    num_fields = bm25_NC.shape[1] - 1
    longest_query = 1
    for asked in range(len(starts_U) - 1):
        longest_query = max(longest_query, starts_U[asked + 1] - starts_U[asked])
    tf_D = np.zeros(longest_query, np.int64)
    tf_all_D = np.zeros(longest_query, np.int64)
    run_Q = np.zeros(longest_query + 1, np.int64)
    for pair in range(len(asked_N)):
        asked = asked_N[pair]
        first = distinct_starts_U[asked]
        num_distinct = distinct_starts_U[asked + 1] - first
        num_terms = starts_U[asked + 1] - starts_U[asked]
        if num_terms == 0:
            continue
        seen = np.uint64(0)
        for place in range(num_distinct):
            seen |= np.uint64(1) << (terms_D[first + place] & np.uint64(63))
        tf_all_D[:num_distinct] = 0
        longest_all = 0
        for field in range(num_fields):
            start, stop = offsets[pair * num_fields + field], offsets[pair * num_fields + field + 1]
            if start == stop:
                continue
            tf_D[:num_distinct] = 0
            run_Q[: num_terms + 1] = 0
            in_run = False
            longest = 0
            for text in range(start, stop):
                found = -1
                if (seen >> (terms_T[text] & np.uint64(63))) & np.uint64(1):
                    for place in range(num_distinct):
                        if terms_D[first + place] == terms_T[text]:
                            found = place
                            break
                if found < 0:
                    if in_run:
                        run_Q[: num_terms + 1] = 0
                        in_run = False
                    continue
                tf_D[found] += 1
                in_run = True
                for term in range(num_terms, 0, -1):  # run_Q[i]: terms side by side that end at the query's i-th
                    if place_Q[starts_U[asked] + term - 1] == found:
                        run_Q[term] = run_Q[term - 1] + 1
                        longest = max(longest, run_Q[term])
                    else:
                        run_Q[term] = 0
            norm = k1 * (1 - b) + scale_C[field] * (stop - start)
            score, matched = 0.0, 0
            for place in range(num_distinct):
                if tf_D[place]:
                    score += idf_DC[first + place, field] * tf_D[place] * (k1 + 1) / (tf_D[place] + norm)
                    matched += 1
                    tf_all_D[place] += tf_D[place]
            bm25_NC[pair, field] = score
            matched_NC[pair, field] = matched / num_distinct
            phrase_NC[pair, field] = longest / num_terms
            longest_all = max(longest_all, longest)
            if field == title and longest == num_terms and stop - start == num_terms:
                exact_N[pair] = 1
        length = offsets[(pair + 1) * num_fields] - offsets[pair * num_fields]
        norm = k1 * (1 - b) + scale_C[num_fields] * length
        score, matched = 0.0, 0
        for place in range(num_distinct):
            if tf_all_D[place]:
                score += idf_DC[first + place, num_fields] * tf_all_D[place] * (k1 + 1) / (tf_all_D[place] + norm)
                matched += 1
        bm25_NC[pair, num_fields] = score
        matched_NC[pair, num_fields] = matched / num_distinct
        phrase_NC[pair, num_fields] = longest_all / num_terms
