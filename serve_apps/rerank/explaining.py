"""Explanations of the best documents of an answer. N documents, G of them in a group, D vector."""

from collections.abc import Sequence

import numpy as np

from pinrank.student.explanation import Explanation, explain
from pinrank.student.export import StudentBundle
from pinrank.student.values import Floats, Known, Values
from serve_apps.rerank.answer import GradedDocuments, ranking
from serve_apps.rerank.candidates import Candidates


def explained_best(
    bundle: StudentBundle,
    query: str,
    query_D: Floats,
    query_values: Values,
    groups: Sequence[tuple[np.ndarray, Candidates]],
    graded: GradedDocuments,
    count: int,
) -> dict[int, Explanation]:
    """Explanations by position of those of the best `count` documents that the student graded.

    groups: positions_G in the request and candidates, encoded all; a later group stands over an earlier one.
    """
    best_N = np.zeros(len(graded.graded_N), dtype=bool)
    best_N[ranking(graded)[:count]] = True
    found: dict[int, Explanation] = {}
    for positions_G, candidates in groups:
        places = np.flatnonzero(best_N[positions_G] & candidates.found_N)
        known = Known(query_values, None if candidates.pairs is None else candidates.pairs.take(places))
        rows_NR, terms = candidates.rows_NR[places], candidates.terms.take(places)
        found |= zip(positions_G[places].tolist(), explain(bundle, query, query_D, rows_NR, terms, known), strict=True)
    return found
