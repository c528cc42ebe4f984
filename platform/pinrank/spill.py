"""Rows that do not fit memory, on disk by partition: written once a piece, read once a partition.

A piece becomes one file in which each partition is a stream of its own (Arrow IPC, lz4), so that a partition is read
without touching the others. A partition is those rows whose 64-bit key falls into its equal share of all keys.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from pinrank.keys import Hashes, Ints

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Spilled:
    """A file of partitions: partition p lies at bytes offsets[p]..offsets[p + 1]."""

    file: str
    offsets: tuple[int, ...]


def partition_of(keys_N: Hashes, num_partitions: int) -> Ints:
    """The partition 0..num_partitions - 1 of each key, by its upper 32 bits."""
    return ((keys_N >> np.uint64(32)) * np.uint64(num_partitions) >> np.uint64(32)).astype(np.int64)


def spill(data: pa.Table, keys_N: Callable[[], Hashes], num_partitions: int, file: Path) -> Spilled:
    """Write rows by the partitions of their keys, one key a row, to a file that does not exist yet."""
    if num_partitions == 1:
        parts: Iterable[pa.Table] = [data]
    else:
        of_row_N = partition_of(keys_N(), num_partitions)
        short_N = of_row_N.astype(np.uint16) if num_partitions < 2**16 else of_row_N  # numpy sorts these by radix
        taken = data.take(pa.array(np.argsort(short_N, kind="stable")))
        bounds = np.r_[0, np.cumsum(np.bincount(of_row_N, minlength=num_partitions))].tolist()
        parts = (taken.slice(start, stop - start) for start, stop in pairwise(bounds))
    offsets = [0]
    with pa.OSFile(str(file), "wb") as sink:
        for part in parts:
            sink.write(encoded(part))
            offsets.append(sink.tell())
    return Spilled(str(file), tuple(offsets))


def read_partition(spilled: Sequence[Spilled], partition: int, schema: pa.Schema) -> pa.Table:
    """All rows of a partition, the files' one after the other; the schema is for when there is no file."""
    tables = [schema.empty_table()]
    for each in spilled:
        with pa.OSFile(each.file, "rb") as source:
            source.seek(each.offsets[partition])
            tables.append(decoded(source.read(_length(each, partition))))
    return pa.concat_tables(tables).unify_dictionaries()


def encoded(rows: pa.Table) -> pa.Buffer:
    """Rows as one stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_OPTIONS) as stream:
        stream.write_table(rows.combine_chunks())
    return sink.getvalue()


def decoded(stream: bytes | pa.Buffer) -> pa.Table:
    """The rows of a stream."""
    return pa.ipc.open_stream(stream).read_all()


def _length(each: Spilled, partition: int) -> int:
    return each.offsets[partition + 1] - each.offsets[partition]
