"""Vectors of texts that are computed once, by towers that do not learn, and kept on disk for the MLP to learn on.

    parts/UNIT.SIDE.arrow      the distinct texts of a unit as token ids, by their key
    parts/UNIT.SIDE.npy        vectors float16[N, D] of those that no earlier unit has, in their order
    vectors/SIDE.keys.npy      uint64[U], sorted: the keys of all texts of a side
    vectors/SIDE.vectors.npy   float16[U, D], in the order of the keys

Letters: N texts of a unit, U distinct texts, B pairs of a batch, D vector.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank.embeddings.encode import EncodingSettings, on_actors
from pinrank.keys import Hashes
from pinrank.precision import Precision
from pinrank.student.parts import read_part, write_part
from pinrank.student.settings import StudentSettings
from pinrank.student.tower_folder import folders_of
from pinrank.teacher.families import Pooling

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

SIDES = ("query", "pin")
VECTORS = "vectors"
"""The folder of a run that holds the tables."""

Vectors = NDArray[np.float16]


@dataclass(frozen=True)
class FrozenTexts:
    """The vectors of all texts, memory-mapped: keys_U (sorted) and vectors_UD of each side."""

    sides: Mapping[str, tuple[Hashes, Vectors]]

    @classmethod
    def open(cls, run: Path) -> "FrozenTexts":
        """Read what `write_vectors` wrote into a run's folder."""
        folder = run / VECTORS
        return cls(
            {
                side: (np.load(folder / f"{side}.keys.npy"), np.load(folder / f"{side}.vectors.npy", mmap_mode="r"))
                for side in SIDES
            }
        )

    @property
    def vector_dim(self) -> int:
        """D"""
        return int(self.sides["query"][1].shape[1])

    def __call__(self, rows: pa.Table, side: str) -> "tuple[tuple[Tensor], Tensor]":
        """The vector of each row's text, float16[B, D]; which text a row has says nothing here."""
        import torch

        keys_U, vectors_UD = self.sides[side]
        vectors_BD = vectors_UD[np.searchsorted(keys_U, rows[f"{side}_key"].to_numpy())]
        return (torch.from_numpy(np.asarray(vectors_BD)),), torch.empty(0, dtype=torch.int64)


def split_texts(rows: pa.Table, folder: Path, unit: str) -> pa.Table:
    """Write the distinct texts of prepared rows by their keys; returns the rows without their token ids."""
    for side in SIDES:
        _, first_U = np.unique(rows[f"{side}_key"].to_numpy(), return_index=True)
        texts = rows.select([f"{side}_key", f"{side}_ids"]).take(pa.array(first_U))
        write_part(texts.rename_columns(["key", "ids"]), folder / f"{unit}.{side}.arrow")
    return rows.drop_columns([f"{side}_ids" for side in SIDES])


def write_vectors(run: Path, parts: Path, settings: StudentSettings) -> None:
    """Encode the texts that the units of a run left among its parts, on Ray Data actors or here; nothing twice.

    The towers are those that `settings.backbone` names.
    """
    folder = run / VECTORS
    folder.mkdir(exist_ok=True)
    for side, tower in zip(SIDES, folders_of(settings.backbone), strict=True):
        if (folder / f"{side}.keys.npy").exists():
            continue
        units = sorted(parts.glob(f"*.{side}.arrow"))
        todo = list(_todo(units))
        log.info("encoding %d distinct %s texts", sum(len(rows) for _, rows in todo), side)
        blocks = [pa.table({"unit": [str(unit)], "rows": [rows.tobytes()]}) for unit, rows in todo]
        for _ in _encoded(blocks, str(tower), settings):
            pass
        _join(todo, folder, side)


class Encoder:
    """Names of units to files of vectors: a class for Ray Data's map_batches; `pooling` as in `open_tower`."""

    def __init__(self, tower: str, threads: int, precision: Precision, pooling: Pooling) -> None:
        import torch

        from pinrank.student.encoder import TextEncoder

        torch.set_num_threads(threads)
        self.encoder = TextEncoder.open(tower, pooling)
        self.precision = precision

    def __call__(self, units: pa.Table) -> pa.Table:
        for unit in units.to_pylist():
            target = Path(unit["unit"]).with_suffix(".npy")
            if not target.exists():
                rows = pa.array(np.frombuffer(unit["rows"], dtype=np.int64))
                ids = read_part(Path(unit["unit"]))["ids"].combine_chunks().take(rows).to_pylist()
                staging = target.with_suffix(".tmp.npy")
                np.save(staging, self.encoder.encode_ids(ids, self.precision).astype(np.float16))
                staging.replace(target)
        return units.select(["unit"])


def _encoded(blocks: Sequence[pa.Table], tower: str, settings: StudentSettings) -> Iterator[pa.Table]:
    if settings.num_workers == 0:
        encoder = Encoder(tower, settings.threads_per_worker, settings.precision, settings.tower.pooling)
        yield from map(encoder, blocks)
        return
    import ray.data

    actors = EncodingSettings(
        concurrency=settings.num_workers,
        cpus_per_actor=settings.cpus_per_worker,
        threads_per_actor=settings.threads_per_worker,
        gpus_per_actor=1 if settings.use_gpu else 0,
        precision=settings.precision,
    )
    yield from on_actors(ray.data.from_arrow(list(blocks)), Encoder, tower, actors, settings.tower.pooling)


def _todo(units: Sequence[Path]) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """The rows of each unit whose texts no earlier unit has."""
    known = np.zeros(0, dtype=np.uint64)
    for unit in units:
        keys_N = read_part(unit)["key"].to_numpy()
        rows = np.flatnonzero(~np.isin(keys_N, known))
        known = np.union1d(known, keys_N[rows])
        yield unit, rows


def _join(todo: Sequence[tuple[Path, NDArray[np.int64]]], folder: Path, side: str) -> None:
    """One sorted table of the units' vectors; the keys come last, and say that it is whole."""
    keys = [read_part(unit)["key"].to_numpy()[rows] for unit, rows in todo]
    keys_U = np.sort(np.concatenate(keys))
    of_units = [np.load(unit.with_suffix(".npy"), mmap_mode="r") for unit, _ in todo]
    shape = (len(keys_U), of_units[0].shape[1])
    vectors_UD = np.lib.format.open_memmap(folder / f"{side}.vectors.npy", "w+", np.float16, shape)
    for keys_N, vectors_ND in zip(keys, of_units, strict=True):
        vectors_UD[np.searchsorted(keys_U, keys_N)] = vectors_ND
    vectors_UD.flush()
    staging = folder / f"{side}.keys.tmp.npy"
    np.save(staging, keys_U)
    staging.replace(folder / f"{side}.keys.npy")
