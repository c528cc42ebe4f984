"""The texts that have no vector yet, as shards of a work folder (pinrank.shard_folder), and the vectors there.

Pins of one fingerprint are one text. A shard holds the vectors of some texts; when all of them are there, they go into
the record, and the folder is emptied. What a killed job left is never encoded again: where the pins have changed since,
its vectors count as known, and the rest is cut anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pinrank.embeddings.texts import Recorded, Texts, among, pieces_of
from pinrank.errors import CommitError
from pinrank.keys import Hashes, column_hashes, distinct
from pinrank.parquet import one_line
from pinrank.shard_folder import Terms, shard_path
from pinrank.shard_work import Work, write_work
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT
from pinrank.text import FIELDS

EngineName = Literal["transformers", "onnx"]

ENCODED = pa.schema([PIN_EMBEDDINGS.schema.field("fingerprint"), PIN_EMBEDDINGS.schema.field("vector")])
"""A row of a shard."""

TEXT = pa.schema([PIN_TEXT.schema.field("fingerprint"), *(PIN_TEXT.schema.field(name) for name in FIELDS)])
"""A text that is to be encoded."""


class Encoding(Terms):
    """All that decides a vector."""

    KEY: ClassVar[bytes] = b"pinrank.encoding"

    encoder: str = Field(description="version on the student's card")
    engine: EngineName
    precision: str
    rows_per_shard: int


@dataclass(frozen=True)
class Prepared:
    """The work, the names of its shards that are done, and the shards that hold vectors of an earlier work."""

    work: Work
    done: set[str]
    earlier: tuple[str, ...]

    @property
    def num_left(self) -> int:
        """Texts in the shards that are not done."""
        return sum(shard.stop - shard.start for shard in self.work.shards if shard.name not in self.done)

    @property
    def names(self) -> tuple[str, ...]:
        """All shards that hold vectors when the work is done."""
        return (*(shard.name for shard in self.work.shards), *self.earlier)


def prepare(path: str, texts: Texts, recorded: Recorded, folder: Path, encoding: Encoding) -> Prepared:
    """Cut the texts of pin_text at `path` that have no vector into shards of the folder."""
    left = kept_shards(folder, encoding)
    work = _cut(path, texts, recorded.fingerprints, folder, encoding)
    planned = {shard.name for shard in work.shards}
    if left <= planned:
        return Prepared(work, left, ())
    known = [column_hashes(read_shard(folder, name)["fingerprint"]) for name in sorted(left)]
    work = _cut(path, texts, distinct(np.concatenate([recorded.fingerprints, *known])), folder, encoding)
    return Prepared(work, set(), tuple(sorted(left)))


def kept_shards(folder: Path, encoding: Encoding) -> set[str]:
    """Names of the shards that hold vectors of this encoding; those of another one, and damaged ones, are removed."""
    kept = set()
    for path in folder.glob("shard-*.parquet"):
        try:
            metadata = pq.read_schema(path).metadata or {}
        except (pa.ArrowException, OSError):
            metadata = {}
        if metadata.get(Encoding.KEY) == encoding.model_dump_json().encode():
            kept.add(path.name.removeprefix("shard-").removesuffix(".parquet"))
        else:
            path.unlink()
    return kept


def read_shard(folder: Path, name: str) -> pa.Table:
    """The vectors of a shard (ENCODED); CommitError when it is damaged."""
    path = shard_path(folder, name)
    try:
        return pq.read_table(path, page_checksum_verification=True).cast(ENCODED)
    except (pa.ArrowException, OSError) as cause:
        raise CommitError(f"{path}: damaged: {one_line(cause)}. Delete it and run again: only it is redone.") from cause


def _cut(path: str, texts: Texts, known: Hashes, folder: Path, encoding: Encoding) -> Work:
    todo = distinct(texts.fingerprints_P[~among(texts.fingerprints_P, known)])
    pieces = _texts(path, todo) if len(todo) else iter(())
    return write_work(folder, pieces, ["fingerprint"], encoding.rows_per_shard, encoding)


def _texts(path: str, todo: Hashes) -> Iterator[pa.Table]:
    """The first row of each fingerprint that is to be encoded; of a piece the shorter texts first: neighbours of like
    length are padded little."""
    waiting = np.ones(len(todo), dtype=bool)
    for rows in pieces_of(path, PIN_TEXT, TEXT.names):
        hashes_N = column_hashes(rows["fingerprint"])
        first_N = np.zeros(len(hashes_N), dtype=bool)
        first_N[np.unique(hashes_N, return_index=True)[1]] = True
        wanted_N = np.flatnonzero(first_N & among(hashes_N, todo))
        wanted_N = wanted_N[waiting[np.searchsorted(todo, hashes_N[wanted_N])]]
        waiting[np.searchsorted(todo, hashes_N[wanted_N])] = False
        found = rows.take(pa.array(wanted_N))
        yield found.take(pc.sort_indices(text_bytes(found)))


def text_bytes(texts: pa.Table) -> pa.ChunkedArray:
    """Bytes of each row's fields together."""
    total = pc.fill_null(pc.binary_length(texts[FIELDS[0]]), 0)
    for field in FIELDS[1:]:
        total = pc.add(total, pc.fill_null(pc.binary_length(texts[field]), 0))
    return total
