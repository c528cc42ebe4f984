"""The pin store brought up to the record: a delta of the pins whose rows differ, or a new base.

A row's stamp is a hash of all that it is made of beside the student: the text's fingerprint, the locale in which its
words are read, and the pin's features. Store and tables are compared by stamps, so that a refresh that was killed after
the record was written finds the same difference again.

Letters: P pins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.embeddings.batch import Batch
from pinrank.embeddings.encode import vectors_of
from pinrank.embeddings.manifest import Manifest, RowType, Shape, read_manifest
from pinrank.embeddings.pin_keys import Keys, key_hashes
from pinrank.embeddings.places import open_segments, verify
from pinrank.embeddings.segment_writer import pick
from pinrank.embeddings.snapshot import Batches, HashCollision, Made, Merging, build_from, merge, update
from pinrank.embeddings.texts import NONE, among, pieces_of
from pinrank.errors import StoreCorrupt, TableError
from pinrank.keys import Hashes, column_hashes, mixed, repeated_hashes
from pinrank.spill import Spilled, read_partition, spill
from pinrank.student.export import StudentBundle
from pinrank.student.feature_tables import FeatureTables
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT

TEXTS = pa.schema([PIN_TEXT.schema.field(name) for name in ("pin_id", *lexical.READ, "fingerprint")])
VECTORS = pa.schema([PIN_EMBEDDINGS.schema.field(name) for name in ("pin_id", "vector", "fingerprint")])

PINS_A_BATCH = 25_000

MOST_CHANGED = 0.5
"""Share of the pins; where more have changed, a new base is written at once."""


@dataclass(frozen=True)
class Sources:
    """What a store is made of: two tables that hold the same pins, a student, and its features of pins."""

    pin_text: str
    record: str
    student: StudentBundle
    features: FeatureTables

    @property
    def parts(self) -> tuple[int, ...]:
        """Widths of a row's parts: the vector, the pin's side of the first layer, vectors of external embeddings."""
        own = (self.student.vector_dim, self.student.hidden)
        width = self.student.pin_rows(np.zeros((0, own[0]), np.float32)).shape[1]
        return (*own, width - sum(own)) if width > sum(own) else own


@dataclass(frozen=True)
class Refreshed:
    """What became of a store: a new base, a delta, or nothing; how many pins were added or changed, and deleted."""

    how: Literal["built", "updated", "kept"]
    changed: int
    deleted: int
    manifest: Manifest


def refresh(
    store: Path, sources: Sources, dtype: RowType, num_shards: int, merging: Merging, spilling: Path
) -> Refreshed:
    """Bring a store up to its sources, and verify what was written. `spilling`: an empty folder.

    Raises as build_from and update, but for collisions that a new base resolves.
    """
    shape = Shape(row_width=sum(sources.parts), num_fields=len(lexical.READ) - 1, dtype=dtype, parts=sources.parts)
    made = Made(sources.student.version, shape, num_shards)
    keys_P, stamps_P = stamped(sources, 0)
    held = _comparable(store, made)
    if held is None:
        return _built(store, sources, made, len(keys_P), spilling)
    if held.seed:
        keys_P, stamps_P = stamped(sources, held.seed)
    changed, deleted = _difference(store, held, keys_P, stamps_P)
    if len(changed) > MOST_CHANGED * len(keys_P):
        return _built(store, sources, made, len(keys_P), spilling)
    if not len(changed) and not len(deleted):
        return Refreshed("kept", 0, 0, merge(store, merging))
    batches = _batches(sources, len(changed), held.seed, changed, spilling / "changed")
    try:
        grown = update(store, made.student_version, batches, deleted, merging)
    except HashCollision:
        return _built(store, sources, made, len(keys_P), spilling)
    verify(store, grown, known=held)
    return Refreshed("updated", len(changed), len(deleted), grown)


def stamped(sources: Sources, seed: int) -> tuple[Keys, Hashes]:
    """The key of each pin of pin_text, and the stamp that its row should have."""
    keys, stamps = [NONE], [NONE]
    for rows in pieces_of(sources.pin_text, PIN_TEXT, ["pin_id", "locale", "fingerprint"]):
        pin_ids = rows["pin_id"].to_pylist()
        keys.append(key_hashes(pin_ids, seed))
        stamps.append(_stamps(rows, pin_ids, sources))
    return np.concatenate(keys), np.concatenate(stamps)


def _stamps(rows: pa.Table, pin_ids: list[str], sources: Sources) -> Hashes:
    stamps_P = mixed(column_hashes(rows["fingerprint"]), repeated_hashes(pc.fill_null(rows["locale"], "")))
    spec = sources.student.spec
    if spec.declared.reads_tables:
        values = sources.features.pins(pin_ids)
        side = spec.side("pin", values)
        arrays = [*(() if side is None else (side.numbers_NW, side.buckets_NM)), spec.space_vectors(values)]
        stamps_P = mixed(stamps_P, _row_hashes(arrays, len(pin_ids)))
    return np.maximum(stamps_P, np.uint64(1))


def _row_hashes(arrays: list[NDArray], num_rows: int) -> Hashes:
    told = [np.ascontiguousarray(each).view(np.uint8).reshape(num_rows, -1) for each in arrays]
    bytes_PB = np.concatenate(told, axis=1)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, map(bytes, bytes_PB)), dtype=np.uint64, count=num_rows)


def _comparable(store: Path, made: Made) -> Manifest | None:
    """The manifest of a store that holds rows of this kind; None where there is none."""
    try:
        held = read_manifest(store)
    except StoreCorrupt:
        return None
    same = (held.student_version, held.shape, held.num_shards) == (made.student_version, made.shape, made.num_shards)
    return held if same else None


def _difference(store: Path, held: Manifest, keys_P: Keys, stamps_P: Hashes) -> tuple[Keys, Keys]:
    """The keys of pins whose rows are not there or made of something else, and of those that are no pins any more."""
    order_P = np.argsort(keys_P)
    keys_P, stamps_P = keys_P[order_P], stamps_P[order_P]
    same_P = np.zeros(len(keys_P), dtype=bool)
    deleted = [NONE]
    for shard in range(held.num_shards):
        tables = [each.columns(shard) for each in reversed(open_segments(store, held, [shard], thorough=False))]
        live = pick(tables, keep_deleted=False)
        stamps = np.concatenate([NONE, *(table["stamps"] for table in tables)])
        starts = np.cumsum([0, *(len(table["keys"]) for table in tables)])
        held_stamps = stamps[starts[live.table_P] + live.row_P]
        deleted.append(live.keys_P[~among(live.keys_P, keys_P)])
        at_P = np.flatnonzero(among(keys_P, live.keys_P))
        same_P[at_P] = held_stamps[np.searchsorted(live.keys_P, keys_P[at_P])] == stamps_P[at_P]
    return keys_P[~same_P], np.concatenate(deleted)


def _built(store: Path, sources: Sources, made: Made, num_pins: int, spilling: Path) -> Refreshed:
    built = build_from(store, _batches(sources, num_pins, 0, None, spilling / "all"), made)
    verify(store, built)
    return Refreshed("built", num_pins, 0, built)


def _batches(sources: Sources, num_pins: int, seed: int, wanted: Keys | None, file: Path) -> Batches:
    """The pins of some sorted keys, or all, with their rows: both tables are cut by pin on disk, then joined."""
    num_partitions = max(1, -(-num_pins // PINS_A_BATCH))
    texts, vectors = (
        _spilled(pieces_of(path, table, schema.names), seed, wanted, num_partitions, f"{file}-{table.name}")
        for path, table, schema in ((sources.pin_text, PIN_TEXT, TEXTS), (sources.record, PIN_EMBEDDINGS, VECTORS))
    )

    def batches() -> Iterator[Batch]:
        for partition in range(num_partitions):
            read = (read_partition(texts, partition, TEXTS), read_partition(vectors, partition, VECTORS))
            if read[0].num_rows:
                yield _joined(*read, sources)

    return batches


def _spilled(
    pieces: Iterator[pa.Table], seed: int, wanted: Keys | None, num_partitions: int, file: str
) -> list[Spilled]:
    files = []
    for number, rows in enumerate(pieces):
        keys_N = key_hashes(rows["pin_id"].to_pylist(), seed)
        if wanted is not None:
            kept_N = among(keys_N, wanted)
            rows, keys_N = rows.filter(pa.array(kept_N)), keys_N[kept_N]
        files.append(spill(rows, keys_N.copy, num_partitions, Path(f"{file}-{number}")))
    return files


def _joined(texts: pa.Table, vectors: pa.Table, sources: Sources) -> Batch:
    places = pc.index_in(texts["pin_id"], value_set=vectors["pin_id"].combine_chunks())
    known = vectors["fingerprint"].take(places)
    if lost := texts.num_rows - (pc.sum(pc.equal(known, texts["fingerprint"])).as_py() or 0):
        raise TableError(f"{sources.record}: lacks the vectors of {lost} pins. Run embed_pins again.")
    pin_ids = texts["pin_id"].to_pylist()
    found = vectors.take(places)
    return Batch(
        pin_ids,
        sources.student.exact_rows(vectors_of(found), sources.features.pins(pin_ids)),
        lexical.field_terms(texts.select(list(lexical.READ)).to_pylist(), sources.student.stats.words),
        _stamps(texts, pin_ids, sources),
    )
