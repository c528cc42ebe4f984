"""Pin ids as 64-bit hashes, and the share of all hashes into which one falls. Letters: N pins."""

from collections.abc import Sequence
from itertools import repeat

import numpy as np
import xxhash
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

LARGEST = np.uint64(2**64 - 2)
"""Of all keys: the one above it is what a lookup finds where nothing lies."""

_CHECK_SEED = 0x5EED_C4EC
"""Of the second hash, which tells two pins of one key apart."""


def key_hashes(pin_ids: Sequence[str], seed: int = 0) -> Keys:
    """The xxh3_64 of each pin id, uint64[N]; any text a client sends has one, also half a surrogate pair."""
    try:
        encoded = list(map(str.encode, pin_ids))
    except UnicodeEncodeError:
        encoded = [pin_id.encode("utf-8", "surrogatepass") for pin_id in pin_ids]
    digests = map(xxhash.xxh3_64_intdigest, encoded, repeat(seed)) if seed else map(xxhash.xxh3_64_intdigest, encoded)
    return np.minimum(np.fromiter(digests, dtype=np.uint64, count=len(encoded)), LARGEST)


def check_hashes(pin_ids: Sequence[str]) -> Keys:
    """Another hash of each pin id, uint64[N]."""
    return key_hashes(pin_ids, _CHECK_SEED)


def share_of(keys_N: Keys, num_shares: int) -> NDArray[np.int64]:
    """The share 0..num_shares - 1 of each key: equal ranges of the hash's upper 32 bits, in the order of keys."""
    shares_N = ((keys_N >> np.uint64(32)) * np.uint64(num_shares)) >> np.uint64(32)
    return shares_N.view(np.int64)
