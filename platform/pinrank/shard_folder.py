"""An output folder that fills shard by shard, and may be killed at any moment.

    .lock                         held by the one job that may write; the kernel frees it when its process ends
    .work-*.arrows                the ordered rows of the running job (pinrank.shard_work)
    .spill/                       rows on their way into that order
    .shard-HASH.parquet.*.tmp     a shard being written
    shard-HASH.parquet            a committed shard: complete, synced, never changed again
    quarantine/                   rows that could not be used, with their reasons
    manifest.json                 written last: all shards with their rows and checksums

A shard appears by one rename, so it is either whole or absent. Its name depends on its rows and on the terms that
decide what becomes of them, on nothing else, so that the same command names the same shards on any machine. Readers of
the table see the shards alone.
"""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from pinrank import durable
from pinrank.errors import CommitError
from pinrank.parquet import CHECKED, one_line

LOCK = ".lock"
MANIFEST = "manifest.json"
SPILL = ".spill"
QUARANTINE = "quarantine"
LEFTOVERS = (".*.tmp", ".*.old", ".work-*", SPILL, ".tries-*")
"""Names of what is only there while a job runs."""

_SAY = "Use another --output, or remove the folder to do everything again."
_REDO = "Delete this file and run again: only it is redone."

M = TypeVar("M", bound=BaseModel)


class Terms(BaseModel):
    """All that decides what a row becomes; shards under two terms never share a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    KEY: ClassVar[bytes]
    """Under which a shard's metadata holds its terms."""

    @property
    def hash(self) -> str:
        """16 hex digits of these settings."""
        return hash_of(self.model_dump_json().encode())


@dataclass(frozen=True)
class Shard:
    """Rows start..stop of the ordered work, under the hash of their content."""

    name: str
    start: int
    stop: int


class CommittedShard(BaseModel):
    """A line of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: int
    sha256: str


def hash_of(*parts: bytes | memoryview) -> str:
    """16 hex digits of the parts one after the other (BLAKE2b-64)."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


@contextmanager
def exclusive(output: Path) -> Iterator[None]:
    """Be the one job that writes to a folder; leftovers, a killed job's too, are removed on entry and at the end.

    Raises CommitError when another job holds the folder. The lock is advisory and ends with its process, so that a
    killed job never blocks the next one.
    """
    with durable.exclusive(output / LOCK):
        _remove_leftovers(output)
        try:
            yield
        finally:
            _remove_leftovers(output)


def shard_path(output: Path, name: str) -> Path:
    """Where a shard lies once it is committed."""
    return output / f"shard-{name}.parquet"


def committed(output: Path, shards: Sequence[Shard], terms: Terms) -> set[str]:
    """Names of the shards that are already there.

    Raises CommitError when the folder holds a shard of other terms (with both hashes), one that is not part of this
    work, or a damaged one.
    """
    planned = {shard.name for shard in shards}
    found = {path: path.name.removeprefix("shard-").removesuffix(".parquet") for path in output.glob("shard-*.parquet")}
    for path, name in sorted(found.items()):
        _refuse_other_terms(path, terms)
        if name not in planned:
            raise CommitError(
                f"{path}: not part of this work, though its settings {terms.hash} are the same: the rows that go in "
                f"have changed since. {_SAY}"
            )
    return set(found.values())


def commit_shard(rows: pa.Table, output: Path, name: str, terms: Terms) -> Path:
    """Write one shard so that it is there as a whole or not at all, and survives a power cut."""
    target = shard_path(output, name)
    staging = target.with_name(f".{target.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    described = rows.replace_schema_metadata({terms.KEY: terms.model_dump_json()})
    pq.write_table(described, staging, **CHECKED)
    durable.put_in_place(staging, target)
    return target


def survey(output: Path, shards: Sequence[Shard]) -> tuple[CommittedShard, ...]:
    """The manifest's lines of a folder in which every shard of the work is committed, in the order of the work.

    Raises CommitError when a shard is missing, damaged, or changed since an earlier run wrote its manifest.
    """
    entries = tuple(_describe(shard_path(output, shard.name), shard.name) for shard in shards)
    if (output / MANIFEST).exists():
        _refuse_changed(output, entries)
    return entries


def publish(output: Path, manifest: BaseModel) -> None:
    """Write the manifest, whose `shards` are those of `survey`, in one rename: the folder is finished."""
    durable.write_text(output / MANIFEST, manifest.model_dump_json(indent=2))


def read_manifest(output: Path, kind: type[M]) -> M:
    """The manifest of a finished folder; CommitError when the job has not finished or the file is damaged."""
    path = output / MANIFEST
    try:
        return kind.model_validate_json(path.read_text())
    except FileNotFoundError as cause:
        raise CommitError(
            f"{path}: missing, so the job that fills the folder has not finished. Run it again."
        ) from cause
    except ValidationError as cause:
        raise CommitError(f"{path}: damaged: {' '.join(str(cause).split())}. Delete it and run again.") from cause


def _refuse_other_terms(path: Path, terms: Terms) -> None:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as cause:
        raise CommitError(f"{path}: damaged: {one_line(cause)}. {_REDO}") from cause
    try:
        other = type(terms).model_validate_json(metadata.get(terms.KEY, b""))
    except ValidationError as cause:
        raise CommitError(f"{path}: not written by this job, as it does not say how it was made. {_SAY}") from cause
    if other.hash != terms.hash:
        ours, theirs = terms.model_dump(), other.model_dump()
        changed = ", ".join(f"{key} {theirs[key]} → {ours[key]}" for key in ours if ours[key] != theirs[key])
        raise CommitError(
            f"{path.parent}: made with settings {other.hash}, this job has {terms.hash} ({changed}). {_SAY}"
        )


class _Shards(BaseModel):
    """What every manifest has."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    shards: tuple[CommittedShard, ...]


def _refuse_changed(output: Path, entries: Sequence[CommittedShard]) -> None:
    before = {entry.name: entry for entry in read_manifest(output, _Shards).shards}
    for entry in entries:
        if before.get(entry.name, entry) != entry:
            raise CommitError(
                f"{shard_path(output, entry.name)}: changed since {MANIFEST} was written. Delete the shard and "
                f"{MANIFEST}, and run again: only that shard is redone."
            )


def _describe(path: Path, name: str) -> CommittedShard:
    try:
        content = path.read_bytes()
        rows = pq.read_metadata(pa.BufferReader(content)).num_rows
    except FileNotFoundError as cause:
        raise CommitError(f"{path}: missing after the job. Run the same command again.") from cause
    except (pa.ArrowException, OSError) as cause:
        raise CommitError(f"{path}: damaged: {one_line(cause)}. {_REDO}") from cause
    return CommittedShard(name=name, rows=rows, sha256=hashlib.sha256(content).hexdigest())


def _remove_leftovers(output: Path) -> None:
    for folder in (output, output / QUARANTINE):
        for pattern in LEFTOVERS:
            for left in folder.glob(pattern):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
