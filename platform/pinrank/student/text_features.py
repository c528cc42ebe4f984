"""What the words of query and pin say of a pair: matches by field, and sizes.

Letters: N pairs, T features of the texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.lexical import FieldTerms, LexicalStats, QueryTerms
from pinrank.student.declaration import Declaration
from pinrank.student.values import Floats


def of_texts(
    declared: Declaration,
    queries: Sequence[QueryTerms],
    pins: FieldTerms,
    stats: LexicalStats,
    query_of_pair: NDArray[np.integer] | None = None,
) -> Floats:
    """The declared lexical features and counts before normalisation, float32[N, T], in the declaration's order.

    Pair n is pin n with queries[query_of_pair[n]]; without query_of_pair there is one query a pair.
    """
    matches = lexical.features(queries, pins, stats, query_of_pair)[:, _places(declared.lexical_names)]
    sizes_U = np.asarray([len(terms) for terms in queries], dtype=np.float32)
    sizes_N = sizes_U if query_of_pair is None else sizes_U[query_of_pair]
    lengths_NC = pins.lengths()
    counts = {
        "query_terms": np.log1p(sizes_N),
        "pin_terms": np.log1p(lengths_NC[:, -1]),
        "title_terms": np.log1p(lengths_NC[:, 0]),
        "filled_fields": (lengths_NC[:, :-1] > 0).sum(axis=1),
    }
    return np.concatenate([matches, *(counts[name][:, None] for name in declared.counts)], axis=1, dtype=np.float32)


def _places(names: Sequence[str]) -> list[int]:
    return [lexical.NAMES.index(name) for name in names]
