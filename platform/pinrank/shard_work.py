"""The ordered rows of a job on disk, cut into shards while they stream by: one piece and one shard are in memory.

The work file has one row group a shard. Its name is another one in every run: a worker that outlived a killed job finds
its file gone, and never takes the rows of the next job for its own.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pinrank.parquet import CHECKED
from pinrank.shard_folder import Shard, Terms, hash_of


@dataclass(frozen=True)
class Work:
    """A work file and the shards that its row groups are, in their order."""

    path: Path
    shards: tuple[Shard, ...]

    @property
    def num_rows(self) -> int:
        """Rows of all shards."""
        return self.shards[-1].stop if self.shards else 0


def write_work(
    output: Path, pieces: Iterable[pa.Table], named_by: Sequence[str], rows_per_shard: int, terms: Terms
) -> Work:
    """Write ordered rows, which come in pieces of any size, as the work file of a job that fills `output`.

    Every shard but the last has rows_per_shard rows. named_by: the columns whose values a shard is named by; each can
    be cast to text.
    """
    path = output / f".work-{uuid.uuid4().hex[:12]}.parquet"
    shards: list[Shard] = []
    writer: pq.ParquetWriter | None = None
    try:
        for rows in _cut(pieces, rows_per_shard):
            writer = writer or pq.ParquetWriter(path, rows.schema, **CHECKED)
            writer.write_table(rows, row_group_size=rows.num_rows)
            start = shards[-1].stop if shards else 0
            shards.append(Shard(content_hash(rows.select(list(named_by)), terms.hash), start, start + rows.num_rows))
    finally:
        if writer is not None:
            writer.close()
    return Work(path, tuple(shards))


def read_work(batch: pa.Table) -> pa.Table:
    """The rows of the shard that a row of the stream (`shard_stream.Todo`) names."""
    with pq.ParquetFile(batch.column("work")[0].as_py(), page_checksum_verification=True) as file:
        return file.read_row_group(batch.column("group")[0].as_py())


def content_hash(rows: pa.Table, terms: str) -> str:
    """16 hex digits of the values, whatever the chunks and buffers in which they lie, and of the terms."""
    parts = [terms.encode()]
    for column in rows.columns:
        text = column.cast(pa.large_string()).combine_chunks()
        lengths_N = pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False).astype("<i8")
        parts += [lengths_N.tobytes(), _bytes_of(pc.fill_null(text, ""))]
    return hash_of(b"".join(parts))


def _bytes_of(text: pa.LargeStringArray) -> bytes:
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return b""
    first, last = np.frombuffer(offsets, dtype=np.int64)[[text.offset, text.offset + len(text)]].tolist()
    return memoryview(data)[first:last].tobytes()


def _cut(pieces: Iterable[pa.Table], rows_per_shard: int) -> Iterator[pa.Table]:
    left: pa.Table | None = None
    for piece in pieces:
        whole = piece if left is None else pa.concat_tables([left, piece])
        full = whole.num_rows - whole.num_rows % rows_per_shard
        for start in range(0, full, rows_per_shard):
            yield whole.slice(start, rows_per_shard).combine_chunks()
        left = whole.slice(full).combine_chunks() if full < whole.num_rows else None
    if left is not None and left.num_rows:
        yield left
