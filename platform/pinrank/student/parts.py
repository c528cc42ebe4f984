"""Prepared rows on disk, memory-mapped, and the order in which an epoch sees them.

A part is an Arrow file of rows in random order. An epoch visits runs of CHUNK rows of all parts in an order that
depends on the seed alone, pools them, and cuts the pools into batches. So any number of rows is learnt in the memory of
one pool, every worker takes the same number of steps, and a step's batch can be found again after a kill.

Letters: C chunks, N rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pinrank.durable import put_in_place
from pinrank.student.batches import WINDOW_BATCHES, length_cut

CHUNK = 64
"""Neighbours in a part that a pool takes together."""

POOL_BATCHES = 4 * WINDOW_BATCHES
"""Batches of rows that are mixed with each other."""

Ints = NDArray[np.int64]


class Part(BaseModel):
    """A file of prepared rows."""

    model_config = ConfigDict(frozen=True)

    path: Path
    num_rows: int


@dataclass(frozen=True)
class Order:
    """Whose rows of which epoch: what a batch depends on beside the parts."""

    batch_size: int
    seed: int
    rank: int = 0
    num_ranks: int = 1


class Parts:
    """Prepared rows of several files as one."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [part for part in parts if part.num_rows]
        self._tables: dict[int, pa.Table] = {}

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    def batches(self, order: Order, done: int = 0) -> Iterator[pa.Table]:
        """A rank's batches of an epoch without the first `done`, each of rows of like length (see `num_batches`)."""
        size = POOL_BATCHES * order.batch_size
        first = done // POOL_BATCHES
        for number, rows in enumerate(self._pools(order, size, first), start=first):
            shuffled = rows.take(pa.array(_chance(order, number).permutation(rows.num_rows)))
            window = WINDOW_BATCHES * order.batch_size
            windows = (shuffled.slice(start, window) for start in range(0, rows.num_rows, window))
            cut = length_cut(windows, order.batch_size, int(_chance(order, number).integers(2**63)))
            yield from islice(cut, done - first * POOL_BATCHES if number == first else 0, None)

    def _pools(self, order: Order, size: int, first: int) -> Iterator[pa.Table]:
        """The rank's rows in pools of `size`; the last few, fewer than there are ranks, wait for another epoch."""
        num_rows = len(self) // order.num_ranks
        chunks_C = np.random.default_rng(order.seed).permutation(self._num_chunks)
        ends_C = np.cumsum(self._lengths(chunks_C))
        for start in range(first * size, num_rows, size):
            begin = order.rank * num_rows + start
            yield self._between(chunks_C, ends_C, begin, begin + min(size, num_rows - start))

    def _between(self, chunks_C: Ints, ends_C: Ints, begin: int, end: int) -> pa.Table:
        first, last = np.searchsorted(ends_C, [begin, end - 1], side="right")
        slices = []
        for place in range(first, last + 1):
            start = int(ends_C[place - 1]) if place else 0
            table, offset = self._chunk(int(chunks_C[place]))
            length = int(ends_C[place]) - start
            low, high = max(begin - start, 0), min(end - start, length)
            slices.append(table.slice(offset + low, high - low))
        return pa.concat_tables(slices).combine_chunks()

    def _chunk(self, chunk: int) -> tuple[pa.Table, int]:
        part = int(np.searchsorted(self._ends_of_parts, chunk, side="right"))
        before = int(self._ends_of_parts[part - 1]) if part else 0
        return self._table(part), (chunk - before) * CHUNK

    def _lengths(self, chunks_C: Ints) -> Ints:
        lengths_C = np.full(self._num_chunks, CHUNK, dtype=np.int64)
        rest = np.asarray([part.num_rows for part in self.parts], dtype=np.int64) % CHUNK
        lengths_C[self._ends_of_parts[rest > 0] - 1] = rest[rest > 0]
        return lengths_C[chunks_C]

    @property
    def _num_chunks(self) -> int:
        return int(self._ends_of_parts[-1]) if self.parts else 0

    @cached_property
    def _ends_of_parts(self) -> Ints:
        return np.cumsum([-(-part.num_rows // CHUNK) for part in self.parts], dtype=np.int64)

    def _table(self, part: int) -> pa.Table:
        if part not in self._tables:
            self._tables[part] = read_part(self.parts[part].path)
        return self._tables[part]


def num_batches(num_rows: int, batch_size: int, num_ranks: int = 1) -> int:
    """How many batches `Parts.batches` gives each rank."""
    return -(-(num_rows // num_ranks) // batch_size)


def write_part(rows: pa.Table, path: Path) -> Part:
    """Write rows as a part: there whole or not at all."""
    staging = path.with_name(f".{path.name}.tmp")
    with pa.ipc.new_file(str(staging), rows.schema) as sink:
        sink.write_table(rows)
    put_in_place(staging, path)
    return Part(path=path, num_rows=rows.num_rows)


def read_part(path: Path) -> pa.Table:
    """The rows of a part, or of any Arrow file, memory-mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def mean_weight(parts: Sequence[Part]) -> float:
    """Of all rows of the parts; 1 where none has any."""
    weights = [read_part(part.path)["weight"].to_numpy() for part in parts if part.num_rows]
    total = math.fsum(float(weight_N.sum(dtype=np.float64)) for weight_N in weights)
    return total / sum(map(len, weights)) if total else 1.0


def _chance(order: Order, pool: int) -> np.random.Generator:
    return np.random.default_rng((order.seed, order.rank, pool))
