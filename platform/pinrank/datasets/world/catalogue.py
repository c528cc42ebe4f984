"""The part of a generated world that stays in memory: what its pins and queries are about, and its users.

catalogue = catalogue_of(WorldSettings(num_pins=1_000_000))     # numbers only; texts are made piece by piece
pins = pins_table(catalogue, 0, 100_000)
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank.datasets.world.settings import WorldSettings, rng_of
from pinrank.datasets.world.things import Shelves, Things, distinct_queries, draw, shelved
from pinrank.keys import Hashes, hashes


@dataclass(frozen=True)
class Catalogue:
    """What all pieces of a world are made from; texts_Q are the queries, cumulated_Q their Zipf shares, added up."""

    settings: WorldSettings
    pins: Things
    shelves: Shelves
    queries: Things
    texts_Q: pa.Array
    cumulated_Q: NDArray[np.float64]
    user_hashes: pa.Array


def catalogue_of(settings: WorldSettings) -> Catalogue:
    """Draw pins, queries and users.

    Raises SettingsError when more distinct queries are asked for than the words can make.
    """
    rng = rng_of(settings.seed, "queries")
    queries = draw(rng, 4 * settings.num_queries)
    queries.facets_N2[rng.random(queries.facets_N2.shape) < (0.35, 0.75)] = -1
    queries, texts = distinct_queries(rng, queries, settings.num_queries)
    pins = draw(rng_of(settings.seed, "pins"), settings.num_pins)
    cumulated_Q = np.cumsum(1.0 / np.arange(1, len(texts) + 1))
    users = hashes((f"user {user}" for user in range(settings.num_users)), settings.seed)
    return Catalogue(
        settings=settings,
        pins=pins,
        shelves=shelved(pins),
        queries=queries,
        texts_Q=pa.array(texts),
        cumulated_Q=cumulated_Q / cumulated_Q[-1],
        user_hashes=_hex_of(users),
    )


def _hex_of(hashes_N: Hashes) -> pa.Array:
    """16 hex digits each, made without a Python string for each."""
    digits = hashes_N.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(hashes_N), pa.py_buffer(offsets), pa.py_buffer(digits))
