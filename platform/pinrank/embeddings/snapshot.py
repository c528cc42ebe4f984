"""Changing a pin store's folder: a new base, a delta, and the merging of segments.

    build(folder, pin_ids, rows_PR, terms, "student@1a2b3c4d")          # what fits memory
    build_from(folder, batches, Made("student@1a2b3c4d", shape, 16))    # batches() gives pinrank.embeddings.batch.Batch
    update(folder, student_version, batches, deleted_keys)              # a delta: added, changed and deleted pins
    compact(folder)                                                     # all segments as one

Each writes new files, then the manifest in one rename, then removes what the manifest does not name. A process that is
killed on the way leaves the last snapshot as it was, and files that the next one removes.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.durable import exclusive
from pinrank.embeddings.batch import DELETED, Batch, Columns, deletions
from pinrank.embeddings.manifest import MANIFEST, Manifest, RowType, SegmentEntry, Shape, publish, read_manifest
from pinrank.embeddings.pin_keys import Keys
from pinrank.embeddings.places import find, open_segments, taken
from pinrank.embeddings.segment_writer import SPILL, Picked, Plan, pick, spill, spilled, write_segment
from pinrank.errors import ModelError, StoreCorrupt, TableError
from pinrank.lexical import FieldTerms

LOCK = ".lock"
SEEDS = 4
"""Of the hash of pin ids that are tried until no two ids have one hash."""

_OURS = (LOCK, SPILL, MANIFEST, "*.pins", ".*.tmp", "shard-*.npy")
"""Names of what a folder may hold; the last are files of an earlier format."""

Batches = Callable[[], Iterable[Batch]]
"""Gives the same batches whenever it is called."""


class Merging(BaseModel):
    """When the segments of a store become fewer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_deltas: int = Field(4, ge=1, description="more deltas than this become one: a lookup searches each of them")
    max_delta_share: float = Field(
        0.2, gt=0, le=1, description="deltas of more rows than this share of the base's become one with it"
    )


MERGING = Merging()


@dataclass(frozen=True)
class Made:
    """What a new base is."""

    student_version: str
    shape: Shape
    num_shards: int = 4


class HashCollision(ValueError):
    """Two pins have one key; another seed, and with it a new base, is needed."""


def build(
    folder: str | Path,
    pin_ids: Sequence[str],
    rows_PR: NDArray[np.floating],
    terms: FieldTerms,
    student_version: str,
    num_shards: int = 4,
    dtype: RowType = "float16",
    parts: Sequence[int] | None = None,
) -> None:
    """Make pins in memory the whole content of a store; parts: see Shape, None: a row is one part.

    rows_PR and terms are in the order of pin_ids. Raises as build_from, before anything is written.
    """
    batch = Batch(list(pin_ids), rows_PR, terms)
    if len(set(pin_ids)) != len(pin_ids):
        _refuse_repeated([batch])
    width = rows_PR.shape[1]
    shape = Shape(row_width=width, num_fields=terms.num_fields, dtype=dtype, parts=tuple(parts or (width,)))
    build_from(folder, lambda: [batch], Made(student_version, shape, num_shards))


def build_from(folder: str | Path, batches: Batches, made: Made) -> Manifest:
    """Make batches the whole content of a store; a reader sees the old snapshot or the new one, never a mix.

    Raises ValueError when an id comes twice, HashCollision when two ids have one hash under all SEEDS seeds (about n² /
    2^65 under one), and TableError when the folder holds something else.
    """
    target = Path(folder).absolute()
    refuse_other_content(target)
    with _writing(target) as before:
        generation = before.generation + 1 if before else 1
        for seed in range(SEEDS):
            plan = Plan(target, f"g{generation:06d}", made.shape, made.num_shards)
            waiting = spill(plan, (batch.columns(made.shape, seed) for batch in batches()))
            try:
                most = max(len(spilled(plan, waiting, shard)["keys"]) for shard in range(made.num_shards))
                entry = write_segment(plan, _distinct(plan, waiting, batches), most)
                break
            except HashCollision:
                if seed == SEEDS - 1:
                    raise
        manifest = Manifest(
            generation=generation,
            student_version=made.student_version,
            seed=seed,
            num_shards=made.num_shards,
            num_pins=entry.rows,
            shape=made.shape,
            segments=(entry,),
        )
        publish(target, manifest)
    return manifest


def update(
    folder: str | Path,
    student_version: str,
    batches: Batches,
    deleted_keys: Keys | None = None,
    merging: Merging = MERGING,
) -> Manifest:
    """Add a delta: pins that are new or changed, and the keys of some that are gone; then merge what has become many.

    Raises HashCollision, and changes nothing, when a pin has the key of another one, ValueError when an id comes twice,
    ModelError when the store holds the rows of another student, and StoreCorrupt when it cannot be read.
    """
    target = Path(folder).absolute()
    read_manifest(target)
    with _writing(target):
        manifest = read_manifest(target)
        if manifest.student_version != student_version:
            raise ModelError(
                f"{target}: holds rows of student {manifest.student_version}, these are of {student_version}. Build "
                "the store anew."
            )
        entry = _write_delta(target, manifest, batches, deleted_keys)
        grown = manifest.model_copy(
            update={"generation": manifest.generation + 1, "segments": (*manifest.segments, entry)}
        )
        num_pins = manifest.num_pins + _growth(target, manifest, grown)
        grown = grown.model_copy(update={"num_pins": num_pins})
        publish(target, grown)
        return _merged(target, grown, merging)


def merge(folder: str | Path, merging: Merging = MERGING) -> Manifest:
    """Merge what has become many, as `update` does at its end: it may have been killed before."""
    target = Path(folder).absolute()
    with _writing(target):
        return _merged(target, read_manifest(target), merging)


def compact(folder: str | Path, first: int = 0) -> Manifest:
    """Merge the segments from number `first` on into one; of all of them, none but pins that are there is left."""
    target = Path(folder).absolute()
    with _writing(target) as manifest:
        if manifest is None:
            raise StoreCorrupt(f"{target}: there is no snapshot to compact.")
        return _compacted(target, manifest, first)


def refuse_other_content(target: Path) -> None:
    """Raise TableError when a folder holds anything that no pin store has, and no manifest."""
    if not target.is_dir() or (target / MANIFEST).exists():
        return
    foreign = sorted(path.name for path in target.iterdir() if not any(path.match(ours) for ours in _OURS))
    if foreign:
        raise TableError(
            f"{target}: holds {foreign[0]} and no {MANIFEST}, so it is no pin store and is left alone. Choose another "
            "output, or remove the folder."
        )


@contextmanager
def _writing(target: Path) -> Iterator[Manifest | None]:
    """Be the one writer of a folder; the snapshot that is there, if any can be read. Files of no snapshot go."""
    with exclusive(target / LOCK):
        _sweep(target)
        try:
            yield _published(target)
        finally:
            _sweep(target)


def _published(target: Path) -> Manifest | None:
    try:
        return read_manifest(target)
    except StoreCorrupt:
        return None


def _sweep(target: Path) -> None:
    manifest = _published(target)
    kept = manifest.files() if manifest else set()
    for pattern in ("*.pins", ".*.tmp", "shard-*.npy"):
        for path in target.glob(pattern):
            if path.name not in kept:
                path.unlink()
    shutil.rmtree(target / SPILL, ignore_errors=True)


def _distinct(plan: Plan, waiting: Path, batches: Batches) -> Iterator[tuple[Sequence[Columns], Picked]]:
    """Each shard of what waits, sorted. Raises HashCollision or ValueError when two rows have one key."""
    for shard in range(plan.num_shards):
        table = spilled(plan, waiting, shard)
        picked = pick([table], keep_deleted=True)
        if len(picked.keys_P) < len(table["keys"]):
            _refuse_one_key(table, batches)
        yield [table], picked
        for path in waiting.glob(f"{shard}.*"):
            path.unlink()


def _refuse_one_key(table: Columns, batches: Batches) -> None:
    pairs = np.stack([table["keys"], table["checks"]], axis=1)
    if len(np.unique(pairs, axis=0)) < len(pairs):
        _refuse_repeated(batches())
    raise HashCollision("two pin ids have one hash")


def _refuse_repeated(batches: Iterable[Batch]) -> None:
    seen: set[str] = set()
    repeated: list[str] = []
    for batch in batches:
        for pin_id in batch.pin_ids:
            (repeated.append if pin_id in seen else seen.add)(pin_id)
    if repeated:
        shown = ", ".join(repr(pin_id) for pin_id in repeated[:5])
        raise ValueError(f"{len(repeated)} pin ids come twice: {shown}. Keep one row an id.")


def _write_delta(target: Path, manifest: Manifest, batches: Batches, deleted_keys: Keys | None) -> SegmentEntry:
    shape, plan = manifest.shape, _plan(target, manifest)
    gone = np.zeros(0, np.uint64) if deleted_keys is None else np.unique(deleted_keys)
    columns = chain((batch.columns(shape, manifest.seed) for batch in batches()), [deletions(gone, shape)])
    waiting = spill(plan, columns)
    most = max(len(spilled(plan, waiting, shard)["keys"]) for shard in range(manifest.num_shards))
    return write_segment(plan, _distinct(plan, waiting, batches), most)


def _growth(target: Path, before: Manifest, grown: Manifest) -> int:
    """How many pins more a snapshot has with its last segment. HashCollision when a pin has the key of another."""
    more = 0
    for shard in range(before.num_shards):
        *old, delta = open_segments(target, grown, [shard], thorough=False)
        keys_P, checks_P, stamps_P = (delta.of_shard(name, shard) for name in ("keys", "checks", "stamps"))
        places = find(old, ~keys_P)
        live_P = stamps_P != DELETED
        both_P = live_P & places.found_N
        if (taken(old, places, "checks")[both_P] != checks_P[both_P]).any():
            raise HashCollision(f"{target}: a new pin has the hash of another one. Build the store anew.")
        more += int((live_P & ~places.found_N).sum()) - int((~live_P & places.found_N).sum())
    return more


def _merged(target: Path, manifest: Manifest, merging: Merging) -> Manifest:
    base, *deltas = manifest.segments
    if sum(delta.rows for delta in deltas) > merging.max_delta_share * base.rows:
        return _compacted(target, manifest, 0)
    return _compacted(target, manifest, 1) if len(deltas) > merging.max_deltas else manifest


def _compacted(target: Path, manifest: Manifest, first: int) -> Manifest:
    kept, merged = manifest.segments[:first], manifest.segments[first:]
    if len(merged) < 2 and not (first == 0 and merged[0].deleted):
        return manifest
    plan = _plan(target, manifest)
    most = max(sum(segment.shards[shard].rows for segment in merged) for shard in range(manifest.num_shards))
    some = manifest.model_copy(update={"segments": merged})
    entry = write_segment(plan, _newest(target, some, keep_deleted=first > 0), most)
    done = manifest.model_copy(update={"generation": manifest.generation + 1, "segments": (*kept, entry)})
    publish(target, done)
    return done


def _newest(target: Path, manifest: Manifest, keep_deleted: bool) -> Iterator[tuple[Sequence[Columns], Picked]]:
    for shard in range(manifest.num_shards):
        segments = open_segments(target, manifest, [shard], thorough=True)
        tables = [segment.columns(shard) for segment in reversed(segments)]
        yield tables, pick(tables, keep_deleted)


def _plan(target: Path, manifest: Manifest) -> Plan:
    return Plan(target, f"g{manifest.generation + 1:06d}", manifest.shape, manifest.num_shards)
