"""The soft labels that a student learns from: any number of folders and days, each row looked at once.

What stays in memory of a row is its key, its folder and, where it counts, its weight: 16 bytes.

Letters: N rows of all files, in the order of folders, files and rows.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank.errors import TableError
from pinrank.keys import Hashes, column_hashes, repeated_hashes
from pinrank.logs import Stretch, cut, num_rows, pieces
from pinrank.parquet import cast
from pinrank.soft_labels import label_folders, logits_of
from pinrank.tables import SOFT_LABELS, faults
from pinrank.unseen import of_queries

ROWS_PER_STRETCH = 16_384
"""Rows that are read, joined and tokenised as one unit; one row group of a file where that is larger."""

SAMPLED_ROWS = 20_000
"""Rows from which the statistics of texts and cosines are taken."""

Kept = NDArray[np.bool_]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class LabelFiles:
    """Soft labels on disk, and which of them are learnt.

    kept_N: neither labelled again later, nor of a held-out query, nor beyond the wanted number. weight_N: impressions
    that each row stands for, NaN where it does not say. sample: kept rows, chosen by key. num_held_out: rows that a
    held-out query costs. stamp: 16 hex digits that change with any row and with what is held out of them.
    """

    folders: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    kept_N: Kept
    weight_N: Weights
    teachers: tuple[str, ...]
    sample: pa.Table
    num_held_out: int
    stamp: str

    @property
    def where(self) -> str:
        """The folders, for messages."""
        return ", ".join(self.folders)

    @property
    def num_rows(self) -> int:
        """Rows that are kept."""
        return int(self.kept_N.sum())

    def kept(self) -> Iterator[pa.Table]:
        """The rows that are kept, piece by piece, read from the files again."""
        start = 0
        for stretch in self.stretches:
            for rows in rows_of(stretch):
                yield rows.filter(pa.array(self.kept_N[start : start + rows.num_rows]))
                start += rows.num_rows


@dataclass
class _Seen:
    """What is remembered of the rows, piece by piece."""

    sampled_until: np.uint64
    held_out: frozenset[str]
    is_held_out: list[Kept] = field(default_factory=list)
    keys: list[Hashes] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    sources: list[NDArray[np.int32]] = field(default_factory=list)
    samples: list[pa.Table] = field(default_factory=list)
    teachers: Counter[str] = field(default_factory=Counter)
    digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=8))

    def add(self, rows: pa.Table, source: int) -> None:
        keys_N = column_hashes(rows["pair_key"])
        weight_N = rows["weight"].to_numpy().astype(np.float32)
        for part in (keys_N, repeated_hashes(rows["fingerprint"]), repeated_hashes(rows["teacher"]), weight_N):
            self.digest.update(part.tobytes())
        self.digest.update(logits_of(rows).tobytes())
        is_held_out_N = of_queries(rows["query"], self.held_out)
        if is_held_out_N.any():
            self.digest.update(is_held_out_N.tobytes())
        self.is_held_out.append(is_held_out_N)
        self.keys.append(keys_N)
        self.weights.append(weight_N)
        self.sources.append(np.full(len(keys_N), source, dtype=np.int32))
        self.teachers.update({each["values"]: each["counts"] for each in rows["teacher"].value_counts().to_pylist()})
        self.samples.append(rows.filter(pa.array(keys_N <= self.sampled_until)))


def find(
    folders: Sequence[str],
    most: int | None = None,
    allow_mixed_teachers: bool = False,
    held_out: frozenset[str] = frozenset(),
) -> LabelFiles:
    """Look at all soft labels; a folder holds those of one job, or a folder a day.

    Of a pair that was labelled more than once, the latest day of the last folder counts. `most` keeps those whose keys
    have the smallest hashes. held_out: normalised queries (`unseen.held_out_queries`) of which nothing may be learnt:
    one can have come to dev or test after it was sampled. Raises TableError when a row breaks a rule of the table, when
    none is left, or when several teachers graded and that is not allowed.
    """
    where = ", ".join(folders)
    sources = [source for folder in folders for source in label_folders(folder)]
    stretches = [cut(source, SOFT_LABELS, ROWS_PER_STRETCH) for source in sources]
    total = sum(num_rows(each) for each in stretches)
    if not total:
        raise TableError(f"{where}: holds no soft label, so there is nothing to learn. Run label_impressions.")
    seen = _Seen(np.uint64(min(1.0, 2 * SAMPLED_ROWS / total) * (2**64 - 2**11)), held_out)
    for source, of_source in enumerate(stretches):
        for stretch in of_source:
            for rows in rows_of(stretch):
                seen.add(rows, source)
    if len(seen.teachers) > 1 and not allow_mixed_teachers:
        counts = ", ".join(f"{teacher} ({count} rows)" for teacher, count in sorted(seen.teachers.items()))
        raise TableError(
            f"{where}: column 'teacher' names several, whose grades do not mean the same: {counts}. Label with one, or "
            "say --allow_mixed_teachers."
        )
    return _chosen(seen, tuple(folders), tuple(each for of_source in stretches for each in of_source), most)


def rows_of(stretch: Stretch) -> Iterator[pa.Table]:
    """A stretch in pieces, in the types of SOFT_LABELS. Raises TableError for rows that break a rule of the table."""
    for start, piece in pieces(stretch, SOFT_LABELS.schema.names, ROWS_PER_STRETCH):
        rows = cast(piece, SOFT_LABELS.schema, stretch.file)
        if found := faults(rows, SOFT_LABELS):
            said = " ".join(each.message((each.rows + start).tolist()) for each in found)
            raise TableError(f"{stretch.file}: {said}")
        yield rows


def _chosen(seen: _Seen, folders: tuple[str, ...], stretches: tuple[Stretch, ...], most: int | None) -> LabelFiles:
    keys_N = np.concatenate(seen.keys)
    kept_N = _latest(keys_N, np.concatenate(seen.sources), ", ".join(folders))
    is_held_out_N = np.concatenate(seen.is_held_out)
    num_held_out = int((kept_N & is_held_out_N).sum())
    kept_N &= ~is_held_out_N
    if not kept_N.any():
        raise TableError(
            f"{', '.join(folders)}: every soft label is of a query of dev or test, so there is nothing to learn. "
            "Sample and label again."
        )
    if most is not None and kept_N.sum() > most:
        kept_N &= keys_N <= np.partition(keys_N[kept_N], most - 1)[most - 1]
    sample = pa.concat_tables(seen.samples).filter(pa.array(kept_N[keys_N <= seen.sampled_until]))
    return LabelFiles(
        folders=folders,
        stretches=stretches,
        kept_N=kept_N,
        weight_N=np.concatenate(seen.weights),
        teachers=tuple(sorted(seen.teachers)),
        sample=sample.take(pa.array(np.argsort(column_hashes(sample["pair_key"]))[:SAMPLED_ROWS])),
        num_held_out=num_held_out,
        stamp=seen.digest.hexdigest(),
    )


def _latest(keys_N: Hashes, source_N: NDArray[np.int32], where: str) -> Kept:
    """Which rows have the last source of their key. Raises TableError when a source has a key twice."""
    order_N = np.lexsort((source_N, keys_N))
    keys_N, sources_N = keys_N[order_N], source_N[order_N]
    again_N = keys_N[1:] == keys_N[:-1]
    if twice := int((again_N & (sources_N[1:] == sources_N[:-1])).sum()):
        raise TableError(f"{where}: column 'pair_key' repeats a folder's key in {twice} rows. Label it again.")
    kept_N = np.ones(len(keys_N), dtype=bool)
    kept_N[order_N[:-1][again_N]] = False
    return kept_N
