"""Into which split a query goes that nobody has put into one yet."""

from collections.abc import Sequence

import numpy as np

from pinrank.sampling import hashes
from pinrank.text import normalise_query

TRAIN_PERCENT = 70
DEV_PERCENT = 10


def splits_by_text(queries: Sequence[str]) -> list[str]:
    """train 70, dev 10, test 20 of 100, by the query's text alone, whatever its spelling."""
    shares = hashes(map(normalise_query, queries), seed=0) % np.uint64(100)
    bounds = [shares < TRAIN_PERCENT, shares < TRAIN_PERCENT + DEV_PERCENT]
    return [str(split) for split in np.select(bounds, ["train", "dev"], "test")]
