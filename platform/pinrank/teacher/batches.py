"""Which pairs meet in a batch: pairs of like length, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

GROUP = 32
"""Batches that are sorted by length together; more means less padding and less chance."""


def length_grouped(
    lengths: Sequence[int],
    batch_size: int,
    seed: int,
    rank: int = 0,
    num_ranks: int = 1,
    rows: NDArray[np.int64] | None = None,
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of one worker's batches of one epoch, in an order that depends on the seed alone.

    `rows` are those that the epoch shall see, some of them perhaps twice; by default each once. Every rank gets the
    same number of batches; to make it so, the last few rows may be seen twice.
    """
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(lengths)) if rows is None else chance.permutation(rows)
    sizes = np.asarray(lengths)
    stride = batch_size * GROUP
    grouped = [
        part[np.argsort(sizes[part], kind="stable")]
        for part in (order[start : start + stride] for start in range(0, len(order), stride))
    ]
    batches = [part[start : start + batch_size] for part in grouped for start in range(0, len(part), batch_size)]
    batches += [batches[index % len(batches)] for index in range(-len(batches) % num_ranks)]
    for index in chance.permutation(len(batches))[rank::num_ranks]:
        yield batches[index]


def num_batches(num_rows: int, batch_size: int, num_ranks: int = 1) -> int:
    """How many batches `length_grouped` gives each rank."""
    stride = batch_size * GROUP
    whole, rest = divmod(num_rows, stride)
    batches = whole * GROUP + -(-rest // batch_size)
    return -(-batches // num_ranks)


def balanced(sources_N: NDArray[np.str_], balance: float, seed: int) -> NDArray[np.int64]:
    """N row numbers in which a source of n rows has a share proportional to n ** (1 - balance).

    A source that should have more rows than it has is repeated whole before any of its rows comes once more; one that
    should have fewer gives a random part, another one for another seed.
    """
    chance = np.random.default_rng(seed)
    names, codes_N, counts = np.unique(sources_N, return_inverse=True, return_counts=True)
    shares = counts ** (1 - balance) / (counts ** (1 - balance)).sum()
    bounds = np.round(np.r_[0, np.cumsum(shares)] * len(sources_N)).astype(np.int64)
    chosen = []
    for code in range(len(names)):
        rows, wanted = np.flatnonzero(codes_N == code), int(bounds[code + 1] - bounds[code])
        rounds = [chance.permutation(rows) for _ in range(-(-wanted // len(rows)))]
        chosen.append(np.concatenate([*rounds, rows[:0]])[:wanted])
    return np.sort(np.concatenate(chosen))
