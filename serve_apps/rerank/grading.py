"""From a query's vector and candidates to grades: by the student, or by the words alone.

D vector, N documents, L = 5 levels.
"""

import numpy as np
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.lexical import FieldTerms
from pinrank.student.export import StudentBundle
from pinrank.student.values import Known, Values
from serve_apps.rerank.candidates import Candidates

NOTHING = Values(1)

HALF = 10.0
"""The BM25 that scores 0.5 where the words alone decide."""

_BM25 = lexical.NAMES.index("bm25.all")


def grade(
    bundle: StudentBundle,
    query: str,
    query_D: NDArray[np.float32],
    candidates: Candidates,
    query_values: Values = NOTHING,
) -> NDArray[np.float64]:
    """probabilities_NL of the candidates; the line of a pin that was not found means nothing."""
    known = Known(query_values, candidates.pairs)
    features_NF = bundle.features(query, candidates.terms, candidates.rows_NR, known)
    return bundle.calibration.probabilities(bundle.logits(query_D, candidates.rows_NR, features_NF, known))


def grade_by_words(bundle: StudentBundle, query: str, terms: FieldTerms) -> NDArray[np.float64]:
    """BM25 over all fields as a score in [0, 1), float64[N]: an order, and no probability of anything."""
    query_of_pair = np.zeros(len(terms), dtype=np.int64)
    bm25_N = lexical.features([lexical.query_terms(query)], terms, bundle.stats, query_of_pair)[:, _BM25]
    return np.asarray(bm25_N / (bm25_N + HALF), dtype=np.float64)
