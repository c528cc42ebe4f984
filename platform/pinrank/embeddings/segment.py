"""A mapped segment of a snapshot: which of its rows a key has, and what they hold.

Letters: N pins asked, S shards, R row width, K text fields, G parts of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.manifest import Manifest, SegmentEntry
from pinrank.embeddings.mapping import Piece, mapped, warm
from pinrank.embeddings.pin_keys import Keys, share_of
from pinrank.embeddings.shard_file import ALIGN, HUGE, kinds, sections

Ints = NDArray[np.int64]

MANY = 2**16
"""Rows of a shard."""


@dataclass(frozen=True)
class Segment:
    """Arrays over all shards of a segment. Shard s has its rows at bases_S[s], its terms at term_bases_S[s]."""

    entry: SegmentEntry
    num_shards: int
    parts: tuple[int, ...]
    arrays: dict[str, NDArray]
    bases_S: Ints
    term_bases_S: Ints
    steps: tuple[int, ...]

    def find(self, keys_N: Keys) -> tuple[Ints, NDArray[np.bool_]]:
        """The row of each key, and whether the segment has it; the row says nothing where it has not.

        A key's bucket says where its row is at the earliest; a binary search over the few rows of the fullest bucket
        says the rest. All keys take each step together, so that their cache misses overlap.
        """
        wanted_N = ~keys_N
        bucket_N = share_of(keys_N, self.num_shards * self.entry.buckets)
        shard_N = share_of(keys_N, self.num_shards)
        row_N = self.bases_S.take(shard_N) + self.arrays["starts"].take(bucket_N) - 1
        stored = self.arrays["keys"]
        for step in self.steps:
            row_N += (stored.take(row_N + step, mode="clip") >= wanted_N) * step
        return row_N, stored.take(row_N, mode="clip") == wanted_N

    def rows(self, row_N: Ints) -> NDArray[np.float16]:
        """Some rows, float16[N, R]."""
        rows_NR = self.arrays["rows"].take(row_N, axis=0, mode="clip")
        if rows_NR.dtype == np.float16:
            return np.asarray(rows_NR)
        scales_NG = self.arrays["scales"].take(row_N, axis=0, mode="clip")
        return np.asarray(rows_NR * np.repeat(scales_NG, self.parts, axis=1), dtype=np.float16)

    def take(self, name: str, row_N: Ints) -> NDArray:
        """Some rows of another section."""
        return np.asarray(self.arrays[name].take(row_N, axis=0, mode="clip"))

    def term_starts(self, row_N: Ints, shard_N: Ints) -> Ints:
        """Where the terms of some rows begin in arrays["terms"]."""
        return np.asarray(self.arrays["term_starts"].take(row_N, mode="clip") + self.term_bases_S.take(shard_N))

    def of_shard(self, name: str, shard: int) -> NDArray:
        """A shard's own part of a section that has a row a pin, or of its terms."""
        base, held = self.bases_S[shard], self.entry.shards[shard].rows
        if name == "terms":
            base, held = self.term_bases_S[shard], self.entry.shards[shard].terms
        return np.asarray(self.arrays[name][base : base + held])

    def columns(self, shard: int) -> dict[str, NDArray]:
        """A shard's own part of each section that has a row a pin, and of its terms; keys as they are hashed."""
        own = {name: self.of_shard(name, shard) for name in self.arrays if name != "starts"}
        return own | {"keys": ~own["keys"]}

    def warm(self) -> None:
        """Read all that lookups touch."""
        for name in ("starts", "keys", "rows", *({"scales"} & self.arrays.keys())):
            warm(self.arrays[name])


def open_segment(folder: Path, manifest: Manifest, entry: SegmentEntry, shards: Sequence[int]) -> Segment:
    """Map some shards of a segment; the others are as if they were empty."""
    bases_S = _bases([shard.rows for shard in entry.shards])
    term_bases_S = _bases([shard.terms for shard in entry.shards])
    starts_S = np.arange(manifest.num_shards + 1, dtype=np.int64) * entry.buckets
    bases = {"starts": starts_S, "terms": term_bases_S}
    laid_out = {
        shard: sections(manifest.shape, entry.buckets, entry.shards[shard].rows, entry.shards[shard].terms)
        for shard in shards
    }
    arrays = {}
    for name, (dtype, row) in kinds(manifest.shape).items():
        row_bytes = dtype.itemsize * int(np.prod(row))
        at_S = bases.get(name, bases_S) * row_bytes
        pieces = [
            Piece(folder / entry.file(shard), found[name].offset, found[name].num_bytes, int(at_S[shard]))
            for shard, found in laid_out.items()
        ]
        whole = mapped(pieces, int(at_S[-1]))
        arrays[name] = whole.view(dtype).reshape(-1, *row) if row_bytes else np.zeros((int(bases_S[-1]), *row), dtype)
    steps = tuple(1 << power for power in reversed(range(entry.largest_bucket.bit_length())))
    return Segment(entry, manifest.num_shards, manifest.shape.parts, arrays, bases_S[:-1], term_bases_S[:-1], steps)


def _bases(counts: Sequence[int]) -> Ints:
    """Where each shard begins, and where the last one ends, with a zero behind each shard: multiples of ALIGN, and for
    many rows of 8 bytes and multiples of it of HUGE bytes. What lies between costs addresses and no memory."""
    unit = HUGE // 8 if max(counts, default=0) >= MANY else ALIGN
    sizes = [(count // unit + 1) * unit for count in counts]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
