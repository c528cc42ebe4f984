"""A shard's file: a header, then sections, each at a multiple of ALIGN bytes so that it can be mapped alone.

A section of LARGE bytes begins at a multiple of HUGE. Mapped at such an address, what the kernel holds in one piece
takes one entry of the page tables in place of 512, and a random row much less time (docs/benchmarks.md).

    starts       int32[B]       row at which each of B equal ranges of the shard's keys begins
    keys         uint64[P]      hashes of pin ids, ascending, stored inverted (~key)
    checks       uint64[P]      other hashes of the same ids: two pins of one key are told apart when a snapshot grows
    stamps       uint64[P]      what the row was made of; 0: the pin is gone
    rows         float16[P, R]  or int8[P, R] with
    scales       float32[P, G]  of int8, the number that each of a row's G parts is multiplied by
    term_starts  int64[P]       where a pin's terms begin
    sizes        uint32[P, K]   terms of each text field
    languages    uint8[P]       in which the pin was read
    terms        uint64[T]

Keys are inverted because what lies behind a file's end reads as zeros when it is mapped: an inverted zero is larger
than any key, so that a search that runs past the last key needs no bounds.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from pinrank import durable
from pinrank.embeddings.manifest import FORMAT, REBUILD, SegmentEntry, Shape, ShardEntry
from pinrank.errors import StoreCorrupt

ALIGN = 2**14
"""Bytes: a multiple of the page size of the machines that map the files."""

HUGE = 2**21
"""Bytes of a huge page, on x86-64 and on arm64 with pages of 4 KiB."""

LARGE = 2**24
"""Bytes from which on a section is worth up to HUGE of zeros before it."""

_PIECE = 2**22


@dataclass(frozen=True)
class Section:
    """An array of a shard's file, and where it lies."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def num_bytes(self) -> int:
        """Of the array."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Where the next section begins at the earliest."""
        return aligned(self.offset + self.num_bytes)


def aligned(number: int, unit: int = ALIGN) -> int:
    """The next multiple of a unit."""
    return -(-number // unit) * unit


def kinds(shape: Shape) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """The dtype of each section, and what a row of it holds; starts and terms have no row a pin."""
    scales = {"scales": (np.dtype(np.float32), (len(shape.parts),))} if shape.dtype == "int8" else {}
    return {
        "starts": (np.dtype(np.int32), ()),
        "keys": (np.dtype(np.uint64), ()),
        "checks": (np.dtype(np.uint64), ()),
        "stamps": (np.dtype(np.uint64), ()),
        "rows": (np.dtype(shape.dtype), (shape.row_width,)),
        **scales,
        "term_starts": (np.dtype(np.int64), ()),
        "sizes": (np.dtype(np.uint32), (shape.num_fields,)),
        "languages": (np.dtype(np.uint8), ()),
        "terms": (np.dtype(np.uint64), ()),
    }


def sections(shape: Shape, buckets: int, rows: int, terms: int) -> dict[str, Section]:
    """The sections of a shard's file in their order."""
    counts = {"starts": buckets, "terms": terms}
    found: dict[str, Section] = {}
    offset = ALIGN
    for name, (dtype, row) in kinds(shape).items():
        section = Section(name, dtype, (counts.get(name, rows), *row), offset)
        if section.num_bytes >= LARGE:
            section = replace(section, offset=aligned(offset, HUGE))
        found[name] = section
        offset = section.end
    return found


def header(shape: Shape, segment: str, shard: int, buckets: int, rows: int, terms: int) -> bytes:
    """The first ALIGN bytes of a file, by which one that belongs to another snapshot is told."""
    known = {"format": FORMAT, "segment": segment, "shard": shard, "buckets": buckets, "rows": rows, "terms": terms}
    return json.dumps(known | {"shape": shape.model_dump()}, sort_keys=True).encode().ljust(ALIGN - 1) + b"\n"


def write_shard(
    path: Path, head: bytes, layout: dict[str, Section], arrays: dict[str, Iterable[NDArray]], rows: int, terms: int
) -> ShardEntry:
    """Write a shard's file, synced, in one rename, which `publish` syncs; arrays: each section's in pieces."""
    digest = xxhash.xxh3_128()
    staging = path.with_name(f".{path.name}.tmp")
    with staging.open("wb") as file:
        for piece in _contents(head, layout, arrays):
            digest.update(piece)
            file.write(piece)
        num_bytes = file.tell()
    durable.sync(staging)
    staging.replace(path)
    return ShardEntry(rows=rows, terms=terms, num_bytes=num_bytes, xxh3_128=digest.hexdigest())


def refuse_damaged(folder: Path, shape: Shape, segment: SegmentEntry, shard: int, thorough: bool) -> None:
    """Raise StoreCorrupt when a shard's file is not what the manifest says.

    Its size and header are read; all of it when `thorough`.
    """
    path, entry = folder / segment.file(shard), segment.shards[shard]
    wanted = header(shape, segment.name, shard, segment.buckets, entry.rows, entry.terms)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(ALIGN)
    except OSError as cause:
        raise StoreCorrupt(
            f"{path}: the manifest names it, but it cannot be read ({cause.strerror}). {REBUILD}"
        ) from cause
    if size != entry.num_bytes:
        raise StoreCorrupt(f"{path}: has {size} bytes, the manifest says {entry.num_bytes}. {REBUILD}")
    if head != wanted:
        raise StoreCorrupt(f"{path}: its header is not that of the manifest's file. {REBUILD}")
    if thorough and checksum(path) != entry.xxh3_128:
        raise StoreCorrupt(f"{path}: its content does not match the manifest's checksum. {REBUILD}")


def checksum(path: Path) -> str:
    """xxh3_128 of a file."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_PIECE):
            digest.update(block)
    return digest.hexdigest()


def _contents(head: bytes, layout: dict[str, Section], arrays: dict[str, Iterable[NDArray]]) -> Iterator[bytes]:
    yield head
    end = len(head)
    for name, section in layout.items():
        yield bytes(section.offset - end)
        end, written = section.offset + section.num_bytes, 0
        for array in arrays[name]:
            content = np.ascontiguousarray(array, dtype=section.dtype).tobytes()
            written += len(content)
            yield content
        assert written == section.num_bytes, f"{name}: {written} of {section.num_bytes} bytes"
    yield bytes(aligned(end) - end)
