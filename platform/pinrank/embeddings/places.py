"""Where in the segments of a snapshot keys lie: the newest segment that has a key says.

Letters: N keys asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.batch import DELETED
from pinrank.embeddings.manifest import Manifest
from pinrank.embeddings.pin_keys import Keys
from pinrank.embeddings.segment import Ints, Segment, open_segment
from pinrank.embeddings.shard_file import refuse_damaged


@dataclass(frozen=True)
class Places:
    """segment_N and row_N of each key; they say nothing where found_N (bool) is False.

    others: the segments but the first in which keys were found, each with the places n of these.
    """

    row_N: Ints
    found_N: NDArray[np.bool_]
    others: tuple[tuple[Segment, Ints], ...]
    all_found: bool


def open_segments(folder: Path, manifest: Manifest, shards: Sequence[int], thorough: bool) -> tuple[Segment, ...]:
    """Map some shards of a snapshot, the oldest segment first. StoreCorrupt when a file is not what it should be."""
    for entry in manifest.segments:
        for shard in shards:
            refuse_damaged(folder, manifest.shape, entry, shard, thorough)
    return tuple(open_segment(folder, manifest, entry, shards) for entry in manifest.segments)


def verify(folder: Path, manifest: Manifest, known: Manifest | None = None) -> None:
    """Read a snapshot's files and compare their checksums, but for the segments that one that is known has as well.

    Raises StoreCorrupt for a file that is not what the manifest says.
    """
    for entry in manifest.segments:
        if known is None or entry not in known.segments:
            for shard in range(manifest.num_shards):
                refuse_damaged(folder, manifest.shape, entry, shard, thorough=True)


def find(segments: Sequence[Segment], keys_N: Keys) -> Places:
    """Look keys up in segments, the oldest first."""
    row_N, found_N = segments[0].find(keys_N)
    if len(segments) == 1:
        return Places(row_N, found_N, (), bool(found_N.all()))
    which_N = np.zeros(len(keys_N), dtype=np.int64)
    for number, segment in enumerate(segments[1:], start=1):
        newer_N, hit_N = segment.find(keys_N)
        if hit_N.any():
            row_N[hit_N], which_N[hit_N] = newer_N[hit_N], number
            found_N[hit_N] = segment.take("stamps", newer_N[hit_N]) != DELETED if segment.entry.deleted else True
    others = [(segment, np.flatnonzero(found_N & (which_N == n))) for n, segment in enumerate(segments[1:], start=1)]
    return Places(row_N, found_N, tuple(each for each in others if len(each[1])), bool(found_N.all()))


def taken(segments: Sequence[Segment], places: Places, name: str) -> NDArray:
    """A section's row of each key; zeros where it was not found."""
    found = segments[0].take(name, places.row_N)
    for segment, mine in places.others:
        found[mine] = segment.take(name, places.row_N[mine])
    if not places.all_found:
        found[~places.found_N] = 0
    return found
