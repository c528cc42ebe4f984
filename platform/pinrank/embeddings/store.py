"""The pin store: what the student computed for every pin in advance, found by pin id in memory-mapped files.

    store.build(folder, pin_ids, rows_PR, terms, student_version="student@1a2b3c4d")
    pins = PinStore.open(folder)
    rows = pins.gather(["a", "b"])        # rows.rows_NR float16, rows.found_N bool

A folder holds, for each shard, five .npy files (sorted keys, rows, term offsets, terms, languages of the terms) and one
manifest.json that is written last. A shard is a range of key hashes.
Letters: P pins, N asked, R row width, K text fields.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pinrank.durable import replace_folder, staging_of, sync, write_text
from pinrank.errors import StoreCorrupt
from pinrank.lexical import FieldTerms, ranges, starts_of

FORMAT = 2
MANIFEST = "manifest.json"
PARTS = ("keys", "rows", "offsets", "terms", "languages")
_REBUILD = "Build the store again with python -m pipelines.embed_pins."

Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Rows:
    """Looked-up rows in the order asked: rows_NR float16, zeros where found_N (bool) is False."""

    rows_NR: NDArray[np.float16]
    found_N: NDArray[np.bool_]


@dataclass(frozen=True)
class Shard:
    """One memory-mapped piece of a store: pins whose key hashes lie in one range, sorted."""

    keys_P: Keys
    rows_PR: NDArray[np.float16]
    terms: FieldTerms


class PinStore:
    """An open snapshot. It never changes; a new one is another folder."""

    def __init__(self, manifest: dict[str, Any], shards: Sequence[Shard]) -> None:
        self.student_version: str = manifest["student_version"]
        self.num_pins: int = manifest["num_pins"]
        self.row_width: int = manifest["row_width"]
        self.num_fields: int = manifest["num_fields"]
        self._shards = tuple(shards)

    @classmethod
    def open(cls, folder: str | Path, verify: bool = True) -> "PinStore":
        """Map a store's files. `verify` reads them all once to compare their checksums.

        Raises StoreCorrupt when the manifest is missing or a file does not match it.
        """
        manifest = _read_manifest(Path(folder))
        shards = [_open_shard(Path(folder), shard, manifest, verify) for shard in manifest["shards"]]
        return cls(manifest, shards)

    def __len__(self) -> int:
        return self.num_pins

    def gather(self, pin_ids: Sequence[str]) -> Rows:
        """Look pins up.

        Returns rows_NR (float16) in the order asked and found_N (bool); a missing pin is a zero row, never an error.
        """
        shard_N, place_N, found_N = self._find(pin_ids)
        rows_NR = np.zeros((len(pin_ids), self.row_width), dtype=np.float16)
        for number, shard in enumerate(self._shards):
            mine = np.flatnonzero(found_N & (shard_N == number))
            if len(mine):
                rows_NR[mine] = shard.rows_PR[place_N[mine]]
        return Rows(rows_NR, found_N)

    def terms(self, pin_ids: Sequence[str]) -> FieldTerms:
        """The terms of pins in the seven fields, in the order asked; a missing pin has none."""
        shard_N, place_N, found_N = self._find(pin_ids)
        sizes_NK = np.zeros((len(pin_ids), self.num_fields), dtype=np.int64)
        languages_N = np.zeros(len(pin_ids), dtype=np.uint8)
        taken = []
        for number, shard in enumerate(self._shards):
            mine = np.flatnonzero(found_N & (shard_N == number))
            terms = shard.terms.take(place_N[mine])
            sizes_NK[mine] = terms.lengths()[:, :-1]
            languages_N[mine] = terms.languages
            taken.append((mine, terms))
        offsets = starts_of(sizes_NK)
        flat = np.empty(int(offsets[-1]), dtype=np.uint64)
        for mine, terms in taken:
            flat[ranges(offsets[mine * self.num_fields], sizes_NK[mine].sum(axis=1))] = terms.terms
        return FieldTerms(flat, offsets, languages_N, self.num_fields)

    def _find(self, pin_ids: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """The shard of each pin, its place there, and whether it is there."""
        keys_N = key_hashes(pin_ids)
        shard_N = shard_of(keys_N, len(self._shards))
        place_N = np.zeros(len(keys_N), dtype=np.int64)
        found_N = np.zeros(len(keys_N), dtype=bool)
        for number, shard in enumerate(self._shards):
            mine = np.flatnonzero(shard_N == number)
            if len(mine) and len(shard.keys_P):
                place = np.minimum(np.searchsorted(shard.keys_P, keys_N[mine]), len(shard.keys_P) - 1)
                place_N[mine], found_N[mine] = place, shard.keys_P[place] == keys_N[mine]
        return shard_N, place_N, found_N


def build(
    folder: str | Path,
    pin_ids: Sequence[str],
    rows_PR: NDArray[np.float16],
    terms: FieldTerms,
    student_version: str,
    num_shards: int = 4,
) -> None:
    """Write a store in the place of the folder; a reader sees the old store or the new one, never a mix.

    rows_PR and terms are in the order of pin_ids. Raises ValueError when they do not fit together, or when two pins
    have one key hash: the same id twice, or (once in about 2^64 pairs) a collision.
    """
    if rows_PR.dtype != np.float16 or rows_PR.ndim != 2 or not len(pin_ids) == len(rows_PR) == len(terms):
        raise ValueError(
            f"{len(pin_ids)} pin ids need as many float16 rows and terms, "
            f"got {rows_PR.dtype} {rows_PR.shape} and {len(terms)}"
        )
    keys_P = key_hashes(pin_ids)
    order = np.argsort(keys_P, kind="stable")
    _refuse_repeated(keys_P[order], [pin_ids[place] for place in order[:-1][_repeats(keys_P[order])]])
    target = Path(folder).absolute()
    staging = staging_of(target)
    shard_P = shard_of(keys_P[order], num_shards)
    shards = []
    for number in range(num_shards):
        mine = order[shard_P == number]
        part = Shard(keys_P[mine], rows_PR[mine], terms.take(mine))
        shards.append(_write_shard(staging, f"shard-{number:05d}", part))
    manifest = {
        "format": FORMAT,
        "student_version": student_version,
        "num_pins": len(pin_ids),
        "row_width": int(rows_PR.shape[1]),
        "num_fields": terms.num_fields,
        "shards": shards,
    }
    write_text(staging / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    replace_folder(staging, target)


def key_hashes(pin_ids: Sequence[str]) -> Keys:
    """The xxh3_64 of each pin id, uint64[N]; any text a client sends has one, also half a surrogate pair."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter(
        (digest(pin_id.encode("utf-8", "surrogatepass")) for pin_id in pin_ids), dtype=np.uint64, count=len(pin_ids)
    )


def shard_of(keys_N: Keys, num_shards: int) -> NDArray[np.int64]:
    """The shard of each key: equal ranges of the hash's upper 32 bits, so that shards follow the order of keys."""
    return np.asarray(((keys_N >> np.uint64(32)) * np.uint64(num_shards)) >> np.uint64(32), dtype=np.int64)


def _repeats(sorted_keys: Keys) -> NDArray[np.bool_]:
    return np.asarray(sorted_keys[1:] == sorted_keys[:-1])


def _refuse_repeated(sorted_keys: Keys, repeated: list[str]) -> None:
    if repeated:
        shown = ", ".join(repr(pin_id) for pin_id in repeated[:5])
        raise ValueError(f"{len(repeated)} pin ids share a key hash with another: {shown}. Keep one row an id.")


def _write_shard(folder: Path, name: str, shard: Shard) -> dict[str, Any]:
    arrays = (shard.keys_P, shard.rows_PR, shard.terms.offsets, shard.terms.terms, shard.terms.languages)
    files = {}
    for part, array in zip(PARTS, arrays, strict=True):
        path = folder / f"{name}.{part}.npy"
        np.save(path, np.ascontiguousarray(array), allow_pickle=False)
        sync(path)
        files[part] = {"name": path.name, "bytes": path.stat().st_size, "xxh3_128": _checksum(path)}
    return {"num_pins": len(shard.keys_P), "files": files}


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as cause:
        raise StoreCorrupt(f"{folder}/{MANIFEST}: cannot be read ({cause}). {_REBUILD}") from cause
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreCorrupt(f"{folder}/{MANIFEST}: not a manifest of format {FORMAT}. {_REBUILD}")
    missing = {"student_version", "num_pins", "row_width", "num_fields", "shards"} - manifest.keys()
    if missing:
        raise StoreCorrupt(f"{folder}/{MANIFEST}: lacks {', '.join(sorted(missing))}. {_REBUILD}")
    return manifest


def _open_shard(folder: Path, entry: dict[str, Any], manifest: dict[str, Any], verify: bool) -> Shard:
    keys, rows, offsets, terms, languages = (_map_part(folder, entry["files"][part], verify) for part in PARTS)
    num_pins, fields = entry["num_pins"], manifest["num_fields"]
    wanted = ((num_pins,), (num_pins, manifest["row_width"]), (num_pins * fields + 1,), (num_pins,))
    found = (keys.shape, rows.shape, offsets.shape, languages.shape)
    if found != wanted:
        raise StoreCorrupt(f"{folder}: a shard's arrays have shapes {found}, the manifest says {wanted}. {_REBUILD}")
    return Shard(keys, rows, FieldTerms(terms, offsets, languages, fields))


def _map_part(folder: Path, entry: dict[str, Any], verify: bool) -> NDArray[Any]:
    path = folder / entry["name"]
    try:
        size = path.stat().st_size
    except OSError as cause:
        raise StoreCorrupt(f"{path}: the manifest names it, but it cannot be read. {_REBUILD}") from cause
    if size != entry["bytes"]:
        raise StoreCorrupt(f"{path}: has {size} bytes, the manifest says {entry['bytes']}. {_REBUILD}")
    if verify and _checksum(path) != entry["xxh3_128"]:
        raise StoreCorrupt(f"{path}: its content does not match the manifest's checksum. {_REBUILD}")
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as cause:
        raise StoreCorrupt(f"{path}: not the array it should be ({cause}). {_REBUILD}") from cause


def _checksum(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
