"""The ordered rows of a job on disk, cut into shards while they stream by: one piece and one shard are in memory.

The work file holds a shard after the other, each a stream of its own (pinrank.spill), so that to read one takes no look
at the others, however many there are. Its name is another one in every run: a worker that outlived a killed job finds
its file gone, and never takes the rows of the next job for its own.
"""

import uuid
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pinrank.errors import CommitError
from pinrank.shard_folder import Shard, Terms, hash_of
from pinrank.spill import decoded, encoded

Todo = list[dict[str, Any]]
"""Rows that name a shard and where it lies: `shard`, `work` (a file), `offset`, `size` (bytes), `checksum`."""


@dataclass(frozen=True)
class Place:
    """Where a shard lies in the work file, and the xxh3 of its bytes: a damaged one is never taken for its rows."""

    offset: int
    size: int
    checksum: int


@dataclass(frozen=True)
class Work:
    """A work file, the shards in it in their order, and the place of each."""

    path: Path
    shards: tuple[Shard, ...]
    places: tuple[Place, ...]

    @property
    def num_rows(self) -> int:
        """Rows of all shards."""
        return self.shards[-1].stop if self.shards else 0

    def todo(self, done: Container[str]) -> Todo:
        """The shards that are not done."""
        return [
            {"shard": shard.name, "work": str(self.path), **vars(place)}
            for shard, place in zip(self.shards, self.places, strict=True)
            if shard.name not in done
        ]

    def rows(self, number: int) -> pa.Table:
        """The rows of a shard by its place in the order; CommitError when the file is damaged."""
        return _read(self.path, self.places[number])


def write_work(
    output: Path, pieces: Iterable[pa.Table], named_by: Sequence[str], rows_per_shard: int, terms: Terms
) -> Work:
    """Write ordered rows, which come in pieces of any size, as the work file of a job that fills `output`.

    Every shard but the last has rows_per_shard rows. named_by: the columns whose values a shard is named by; each can
    be cast to text.
    """
    path = output / f".work-{uuid.uuid4().hex[:12]}.arrows"
    shards: list[Shard] = []
    places: list[Place] = []
    with path.open("wb") as file:
        for rows in _cut(pieces, rows_per_shard):
            stream = encoded(rows)
            places.append(Place(file.tell(), stream.size, _checksum(stream)))
            file.write(stream)
            start = shards[-1].stop if shards else 0
            shards.append(Shard(content_hash(rows.select(list(named_by)), terms.hash), start, start + rows.num_rows))
    return Work(path, tuple(shards), tuple(places))


def read_work(batch: pa.Table) -> pa.Table:
    """The rows of the shard that a row of Todo names; CommitError when the work file is damaged."""
    told = batch.to_pylist()[0]
    return _read(Path(told["work"]), Place(told["offset"], told["size"], told["checksum"]))


def content_hash(rows: pa.Table, terms: str) -> str:
    """16 hex digits of the values, whatever the chunks and buffers in which they lie, and of the terms."""
    parts: list[bytes | memoryview] = [terms.encode()]
    for column in rows.columns:
        text = column.cast(pa.large_string()).combine_chunks()
        lengths_N = pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False).astype("<i8")
        parts += [lengths_N.tobytes(), _bytes_of(pc.fill_null(text, ""))]
    return hash_of(*parts)


def _read(path: Path, place: Place) -> pa.Table:
    with path.open("rb") as file:
        file.seek(place.offset)
        stream = file.read(place.size)
    if _checksum(stream) != place.checksum:
        raise CommitError(f"{path}: changed since this job wrote it, so the disk is at fault. Run the command again.")
    return decoded(stream)


def _checksum(stream: bytes | pa.Buffer) -> int:
    return xxhash.xxh3_64_intdigest(stream) >> 1  # 63 bits, as the rows that carry it have signed numbers


def _bytes_of(text: pa.LargeStringArray) -> bytes | memoryview:
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return b""
    first, last = np.frombuffer(offsets, dtype=np.int64)[[text.offset, text.offset + len(text)]].tolist()
    return memoryview(data)[first:last]


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
