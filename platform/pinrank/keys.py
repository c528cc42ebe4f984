"""Numbers that stand for strings and rows, so that groups are sorted integers. Letters: N rows, G groups.

codes_N = packed(codes(pin_ids), codes(words))       # one number a (pin, word)
order_N, starts_G = groups(codes_N)                   # rows of a group lie together
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def hashes(keys: Iterable[str], seed: int) -> Hashes:
    """A hash of each key that looks random, is the same on every machine and changes with the seed (xxh3, 64 bits)."""
    return np.fromiter((xxhash.xxh3_64_intdigest(key.encode(), seed) for key in keys), dtype=np.uint64)


def column_hashes(column: pa.ChunkedArray | pa.Array) -> Hashes:
    """`hashes` with seed 0 of a column of strings without nulls, uint64[N]."""
    values = column.cast(pa.binary()).to_pylist()
    return np.fromiter(map(xxhash.xxh3_64_intdigest, values), dtype=np.uint64, count=len(values))


def repeated_hashes(column: pa.ChunkedArray) -> Hashes:
    """`column_hashes` of a column in which values come again and again: each is hashed once."""
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(column_hashes(encoded.dictionary)[encoded.indices.to_numpy()])


def mixed(left_N: Hashes, right_N: Hashes | np.uint64) -> Hashes:
    """One hash of two, in which their order counts; what either lacks in randomness the result has.

    Two rounds of SplitMix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    """
    return _finalised(_finalised(left_N + _GOLDEN) ^ right_N)


def codes(column: pa.ChunkedArray) -> Ints:
    """Which of the column's distinct values each row holds, 0, 1, ... by first appearance; null has a code too."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode(null_encoding="encode")
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def dense(values_N: NDArray) -> Ints:
    """The place of each value among the distinct values, in their order."""
    return np.unique(values_N, return_inverse=True)[1].astype(np.int64)


def distinct(values_N: NDArray) -> NDArray:
    """The distinct values in their order; sorting integers is several times as fast as numpy's hashing them."""
    sorted_N = np.sort(values_N)
    return sorted_N[starts(sorted_N)]


def packed(*codes_N: Ints) -> Ints:
    """One number for each combination of codes (none negative), in the order of the first, then the second, ...

    Made dense again on the way when the product of the ranges would not fit 63 bits.
    """
    total_N = np.zeros(len(codes_N[0]), dtype=np.int64)
    size = 1
    for each_N in codes_N:
        span = int(each_N.max(initial=0)) + 1
        if size * span >= 2**63:
            total_N = dense(total_N)
            size = int(total_N.max(initial=0)) + 1
        total_N = total_N * span + each_N
        size *= span
    return total_N


def groups(codes_N: NDArray) -> tuple[Ints, Ints]:
    """order_N, which brings the rows of a code together (codes ascending), and starts_G, where each code begins in it.

    Within a code the rows come in no order.
    """
    order_N = np.argsort(codes_N)
    return order_N, starts(codes_N[order_N])


def starts(sorted_N: NDArray) -> Ints:
    """Where each run of equal values begins."""
    if not len(sorted_N):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, sorted_N[1:] != sorted_N[:-1]])


def lengths(starts_G: Ints, num_rows: int) -> Ints:
    """How many rows each group has."""
    return np.diff(np.r_[starts_G, num_rows])


def rank_within(codes_N: NDArray[np.integer], order_N: NDArray) -> Ints:
    """The place 0, 1, ... of each row among the rows of its code when these are sorted by `order`."""
    by_code_N = np.lexsort((order_N, codes_N))
    starts_G = starts(codes_N[by_code_N])
    ranks_N = np.empty(len(codes_N), dtype=np.int64)
    ranks_N[by_code_N] = np.arange(len(codes_N)) - np.repeat(starts_G, lengths(starts_G, len(codes_N)))
    return ranks_N


def _finalised(hashes_N: Hashes) -> Hashes:
    mixed_N = (hashes_N ^ (hashes_N >> np.uint64(30))) * _FIRST
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(27))) * _SECOND
    return np.asarray(mixed_N ^ (mixed_N >> np.uint64(31)), dtype=np.uint64)
