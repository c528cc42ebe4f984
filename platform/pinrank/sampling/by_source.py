"""A few judgments of every source, for runs that are meant to be short."""

import numpy as np
import pyarrow as pa

from pinrank.keys import hashes, rank_within


def capped_by_source(judgments: pa.Table, most: int | None) -> pa.Table:
    """At most `most` judgments of each source, those with the smallest hashes of their ids; None: all.

    judgments: judgment_id, source. Which ones does not depend on the order of the rows.
    """
    if most is None:
        return judgments
    _, sources = np.unique(np.asarray(judgments.column("source").to_pylist()), return_inverse=True)
    order = hashes(judgments.column("judgment_id").to_pylist(), 0)
    return judgments.take(np.flatnonzero(rank_within(sources, order) < most))
