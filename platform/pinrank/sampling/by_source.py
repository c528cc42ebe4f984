"""A few rows of every source, for runs that are meant to be short."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pinrank.keys import Ints, hashes, rank_within


def capped_by_source(judgments: pa.Table, most: int | None) -> pa.Table:
    """At most `most` judgments of each source, those with the smallest hashes of their ids; None: all.

    judgments: judgment_id, source. Which ones does not depend on the order of the rows.
    """
    if most is None:
        return judgments
    sources, keys = (judgments.column(name).to_pylist() for name in ("source", "judgment_id"))
    return judgments.take(rows_by_source(sources, keys, most))


def rows_by_source(sources: Sequence[str], keys: Sequence[str], most: int, seed: int = 0) -> Ints:
    """The rows, ascending, of at most `most` keys of each source, those with the smallest hashes."""
    _, codes_N = np.unique(np.asarray(sources), return_inverse=True)
    return np.flatnonzero(rank_within(codes_N, hashes(keys, seed)) < most)
