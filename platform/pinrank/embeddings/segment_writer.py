"""Writing a segment that fits no memory: pins are cut by shard on disk, then each shard is sorted and written alone.

What is in memory is a batch, then the keys of one shard and a piece of its rows.
Letters: P pins of a shard, K text fields.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.batch import DELETED, Columns
from pinrank.embeddings.manifest import SegmentEntry, Shape, ShardEntry
from pinrank.embeddings.pin_keys import Keys, share_of
from pinrank.embeddings.shard_file import ALIGN, aligned, header, kinds, sections, write_shard
from pinrank.lexical import ranges, starts_of

SPILL = ".spill"
"""The folder in which pins wait, cut by shard."""

PINS_A_BUCKET = 2
_STARTS_ALIGN = ALIGN // 4
_ROWS_A_PIECE = 2**16

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """A segment that is to be written."""

    folder: Path
    name: str
    shape: Shape
    num_shards: int


@dataclass(frozen=True)
class Picked:
    """Rows of some tables in the order in which they are written: row row_P of table table_P; their keys ascend."""

    keys_P: Keys
    table_P: NDArray[np.uint8]
    row_P: Ints


def spill(plan: Plan, batches: Iterable[Columns]) -> Path:
    """Cut batches by shard into files; returns the folder."""
    folder = plan.folder / SPILL
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for shard in range(plan.num_shards):
        for name in _spilled(plan.shape):
            (folder / f"{shard}.{name}").touch()
    for columns in batches:
        _append(columns, plan.num_shards, folder)
    return folder


def spilled(plan: Plan, folder: Path, shard: int) -> Columns:
    """A shard's pins as they came, mapped."""
    found: Columns = {"keys": _mapped(folder / f"{shard}.keys", np.dtype(np.uint64))}
    for name in _spilled(plan.shape):
        dtype, row = kinds(plan.shape)[name]
        flat = _mapped(folder / f"{shard}.{name}", dtype)
        found[name] = flat if name == "terms" else flat.reshape(len(found["keys"]), *row)
    return with_term_starts(found)


def with_term_starts(columns: Columns) -> Columns:
    """The columns, and where each row's terms begin in theirs."""
    starts_P = starts_of(columns["sizes"].sum(axis=1, dtype=np.int64))[:-1]
    return columns | {"term_starts": starts_P}


def pick(tables: Sequence[Columns], keep_deleted: bool) -> Picked:
    """The rows of several tables by key, of equal keys the one in the first table; without those that are gone."""
    keys = np.concatenate([table["keys"] for table in tables])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    kept = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
    if not keep_deleted:
        kept &= np.concatenate([table["stamps"] for table in tables])[order] != DELETED
    order = order[kept]
    bounds = np.cumsum([len(table["keys"]) for table in tables])
    table_P = np.searchsorted(bounds, order, side="right")
    row_P = order - np.r_[0, bounds][table_P]
    return Picked(keys[kept], table_P.astype(np.uint8), row_P)


def write_segment(plan: Plan, shards: Iterable[tuple[Sequence[Columns], Picked]], most_rows: int) -> SegmentEntry:
    """Write the shards of a segment in their order, each from rows of some tables; most_rows: of a shard at most."""
    buckets = aligned(max(1, most_rows // PINS_A_BUCKET), _STARTS_ALIGN)
    entries: list[ShardEntry] = []
    largest, deleted = 0, 0
    for shard, (tables, picked) in enumerate(shards):
        counts_B = np.bincount(share_of(picked.keys_P, plan.num_shards * buckets) - shard * buckets, minlength=buckets)
        largest = max(largest, int(counts_B.max()))
        deleted += sum(int((piece == DELETED).sum()) for piece in _pieces(tables, picked, "stamps"))
        entries.append(_write(plan, shard, tables, picked, counts_B))
    return SegmentEntry(name=plan.name, buckets=buckets, largest_bucket=largest, deleted=deleted, shards=tuple(entries))


def _write(plan: Plan, shard: int, tables: Sequence[Columns], picked: Picked, counts_B: Ints) -> ShardEntry:
    sizes_P = np.concatenate(
        [np.zeros(0, np.int64), *(piece.sum(axis=1, dtype=np.int64) for piece in _pieces(tables, picked, "sizes"))]
    )
    term_starts = starts_of(sizes_P)
    buckets, rows, terms = len(counts_B), len(picked.keys_P), int(term_starts[-1])
    arrays: dict[str, Iterable[NDArray]] = {
        name: _pieces(tables, picked, name) for name in kinds(plan.shape) if name in tables[0]
    }
    arrays |= {
        "starts": [starts_of(counts_B)[:-1]],
        "keys": [~picked.keys_P],
        "term_starts": [term_starts[:-1]],
        "terms": _term_pieces(tables, picked, sizes_P),
    }
    segment = SegmentEntry(name=plan.name, buckets=buckets, largest_bucket=0, deleted=0, shards=())
    head = header(plan.shape, plan.name, shard, buckets, rows, terms)
    layout = sections(plan.shape, buckets, rows, terms)
    return write_shard(plan.folder / segment.file(shard), head, layout, arrays, rows, terms)


def _pieces(tables: Sequence[Columns], picked: Picked, name: str) -> Iterator[NDArray]:
    for start in range(0, len(picked.keys_P), _ROWS_A_PIECE):
        piece = slice(start, start + _ROWS_A_PIECE)
        table_P, row_P = picked.table_P[piece], picked.row_P[piece]
        if len(tables) == 1:
            yield tables[0][name][row_P]
            continue
        found = np.empty((len(row_P), *tables[0][name].shape[1:]), tables[0][name].dtype)
        for number, table in enumerate(tables):
            mine = np.flatnonzero(table_P == number)
            found[mine] = table[name][row_P[mine]]
        yield found


def _term_pieces(tables: Sequence[Columns], picked: Picked, sizes_P: Ints) -> Iterator[NDArray]:
    for start in range(0, len(picked.keys_P), _ROWS_A_PIECE):
        piece = slice(start, start + _ROWS_A_PIECE)
        table_P, row_P, size_P = picked.table_P[piece], picked.row_P[piece], sizes_P[piece]
        starts = starts_of(size_P)
        found = np.empty(int(starts[-1]), dtype=np.uint64)
        for number, table in enumerate(tables):
            mine = np.flatnonzero(table_P == number)
            taken = table["terms"][ranges(table["term_starts"][row_P[mine]], size_P[mine])]
            found[ranges(starts[mine], size_P[mine])] = taken
        yield found


def _append(columns: Columns, num_shards: int, folder: Path) -> None:
    shard_P = share_of(columns["keys"], num_shards)
    order = np.argsort(shard_P, kind="stable")
    bounds = np.r_[0, np.cumsum(np.bincount(shard_P, minlength=num_shards))]
    sizes_P = columns["sizes"].sum(axis=1, dtype=np.int64)
    starts_P = starts_of(sizes_P)[:-1]
    for shard in range(num_shards):
        mine = order[bounds[shard] : bounds[shard + 1]]
        for name, array in columns.items():
            rows = array[ranges(starts_P[mine], sizes_P[mine])] if name == "terms" else array[mine]
            with (folder / f"{shard}.{name}").open("ab") as file:
                rows.tofile(file)


def _spilled(shape: Shape) -> list[str]:
    return [name for name in kinds(shape) if name not in ("starts", "term_starts")]


def _mapped(path: Path, dtype: np.dtype) -> NDArray:
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")) if path.stat().st_size else np.zeros(0, dtype=dtype)
