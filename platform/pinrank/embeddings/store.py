"""The pin store: what the student computed for every pin in advance, found by pin id in memory-mapped files.

    snapshot.build(folder, pin_ids, rows_PR, terms, student_version="student@1a2b3c4d")
    pins = PinStore.open(folder)              # a snapshot: it never changes, whatever becomes of the folder
    found = pins.lookup(["a", "b"])           # found.rows_NR float16, found.terms, found.found_N bool
    pins.student_version, pins.snapshot       # whose rows they are; 16 hex digits that tell one content from another
    pins.warm()                               # read everything and fill the page tables: in a thread, before traffic
    PinStore.open(folder, verify=True)        # read everything and compare checksums: before a version goes live

    part = PinStore.open(folder, shards=[0, 2])   # a replica that holds some shards; others' pins are not found there
    part.shards_of(pin_ids)                       # the shard of each id, whether held here or not: int64[N]
    read_manifest(folder).shards_of(pin_ids)      # the same for a caller that opens no store

A folder holds manifest.json and segments: the base, then deltas, whose pins win over those of the segments before. A
segment has a file a shard (pinrank.embeddings.shard_file); a shard is an equal range of key hashes. A folder is changed
by pinrank.embeddings.snapshot alone, which writes new files, then the manifest in one rename, and removes what that no
longer names. A process that has a snapshot open keeps it, on a disk of its machine.

Letters: P pins, N asked, R row width, K text fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.manifest import MANIFEST as MANIFEST
from pinrank.embeddings.manifest import Manifest
from pinrank.embeddings.manifest import read_manifest as read_manifest
from pinrank.embeddings.pin_keys import share_of
from pinrank.embeddings.places import Places, find, open_segments, taken
from pinrank.embeddings.segment import Ints, Segment
from pinrank.embeddings.snapshot import build as build
from pinrank.errors import StoreCorrupt
from pinrank.lexical import FieldTerms, ranges, starts_of

TRIES = 3
"""Of opening a folder in which another process publishes again and again."""


@dataclass(frozen=True)
class Rows:
    """Looked-up rows in the order asked: rows_NR float16, zeros where found_N (bool) is False."""

    rows_NR: NDArray[np.float16]
    found_N: NDArray[np.bool_]


@dataclass(frozen=True)
class Pins:
    """Looked-up pins in the order asked: as Rows, and their terms; a missing pin has none."""

    rows_NR: NDArray[np.float16]
    terms: FieldTerms
    found_N: NDArray[np.bool_]


class PinStore:
    """An open snapshot."""

    def __init__(self, manifest: Manifest, segments: Sequence[Segment], shards: Sequence[int]) -> None:
        self.manifest = manifest
        self.student_version = manifest.student_version
        self.snapshot = manifest.snapshot
        self.num_pins = manifest.num_pins
        self.row_width = manifest.shape.row_width
        self.num_fields = manifest.shape.num_fields
        self.num_shards = manifest.num_shards
        self.shards = tuple(shards)
        self._segments = tuple(segments)

    @classmethod
    def open(cls, folder: str | Path, shards: Sequence[int] | None = None, verify: bool = False) -> "PinStore":
        """Map a snapshot, or some of its shards; takes no longer for a larger one, unless `verify` reads all of it.

        Raises StoreCorrupt when the manifest is missing, there is no such shard, or a file's size or header is not what
        the manifest says (with `verify`: or its content).
        """
        manifest = read_manifest(folder)
        for last in range(TRIES, 0, -1):
            held = range(manifest.num_shards) if shards is None else sorted(set(shards))
            if outside := [shard for shard in held if not 0 <= shard < manifest.num_shards]:
                raise StoreCorrupt(f"{folder}: has shards 0 to {manifest.num_shards - 1}, not {outside}.")
            try:
                return cls(manifest, open_segments(Path(folder), manifest, held, verify), held)
            except StoreCorrupt:
                published = read_manifest(folder)
                if last == 1 or published == manifest:  # else its files were removed since the manifest was read
                    raise
                manifest = published
        raise AssertionError

    def __len__(self) -> int:
        return self.num_pins

    def holds(self, pin_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each pin is here: bool[N]."""
        return find(self._segments, self.manifest.keys(pin_ids)).found_N

    def gather(self, pin_ids: Sequence[str]) -> Rows:
        """Look pins up.

        Returns rows_NR (float16) in the order asked and found_N (bool); a missing pin is a zero row, never an error.
        """
        places = find(self._segments, self.manifest.keys(pin_ids))
        return Rows(self._rows(places), places.found_N)

    def terms(self, pin_ids: Sequence[str]) -> FieldTerms:
        """The terms of pins in the seven fields, in the order asked; a missing pin has none."""
        keys_N = self.manifest.keys(pin_ids)
        return self._terms(find(self._segments, keys_N), share_of(keys_N, self.num_shards))

    def lookup(self, pin_ids: Sequence[str]) -> Pins:
        """`gather` and `terms` for the price of one search."""
        keys_N = self.manifest.keys(pin_ids)
        places = find(self._segments, keys_N)
        return Pins(self._rows(places), self._terms(places, share_of(keys_N, self.num_shards)), places.found_N)

    def shards_of(self, pin_ids: Sequence[str]) -> Ints:
        """The shard in which each pin lies if there is such a pin, held here or not: int64[N]."""
        return self.manifest.shards_of(pin_ids)

    def warm(self) -> None:
        """Read all that lookups touch, as much as the machine keeps in memory; a thread may do it beside lookups."""
        for segment in self._segments:
            segment.warm()

    def _rows(self, places: Places) -> NDArray[np.float16]:
        rows_NR = self._segments[0].rows(places.row_N)
        for segment, mine in places.others:
            rows_NR[mine] = segment.rows(places.row_N[mine])
        if not places.all_found:
            rows_NR[~places.found_N] = 0
        return rows_NR

    def _terms(self, places: Places, shard_N: Ints) -> FieldTerms:
        sizes_NK = taken(self._segments, places, "sizes").astype(np.int64)
        languages_N = taken(self._segments, places, "languages")
        offsets, lengths_N = starts_of(sizes_NK), sizes_NK.sum(axis=1)
        first = self._segments[0]
        theirs = np.concatenate([np.zeros(0, np.int64), *(mine for _, mine in places.others)])
        of_first_N = lengths_N.copy()
        of_first_N[theirs] = 0
        flat = first.arrays["terms"].take(ranges(first.term_starts(places.row_N, shard_N), of_first_N))
        if not places.others:
            return FieldTerms(flat, offsets, languages_N, self.num_fields)
        whole = np.empty(int(offsets[-1]), dtype=np.uint64)
        whole[ranges(offsets[:: self.num_fields][:-1], of_first_N)] = flat
        for segment, mine in places.others:
            held = ranges(segment.term_starts(places.row_N[mine], shard_N[mine]), lengths_N[mine])
            whole[ranges(offsets[mine * self.num_fields], lengths_N[mine])] = segment.arrays["terms"].take(held)
        return FieldTerms(whole, offsets, languages_N, self.num_fields)
