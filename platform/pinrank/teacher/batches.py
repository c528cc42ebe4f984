"""Length-grouped batches: pairs of like length meet, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

GROUP = 32
"""Batches that are sorted by length together; more means less padding and less chance."""


def length_grouped(
    lengths: Sequence[int], batch_size: int, seed: int, rank: int = 0, num_ranks: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of one worker's batches of one epoch, in an order that depends on the seed alone.

    Every rank gets the same number of batches; to make it so, the last few rows may be seen twice.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(lengths))
    sizes = np.asarray(lengths)
    stride = batch_size * GROUP
    grouped = [
        rows[np.argsort(sizes[rows], kind="stable")]
        for rows in (order[start : start + stride] for start in range(0, len(order), stride))
    ]
    batches = [rows[start : start + batch_size] for rows in grouped for start in range(0, len(rows), batch_size)]
    batches += [batches[index % len(batches)] for index in range(-len(batches) % num_ranks)]
    for index in chance.permutation(len(batches))[rank::num_ranks]:
        yield batches[index]


def num_batches(num_rows: int, batch_size: int, num_ranks: int = 1) -> int:
    """How many batches `length_grouped` gives each rank."""
    stride = batch_size * GROUP
    whole, rest = divmod(num_rows, stride)
    batches = whole * GROUP + -(-rest // batch_size)
    return -(-batches // num_ranks)
