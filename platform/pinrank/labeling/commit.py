"""An output folder that fills shard by shard, and may be killed at any moment.

    .lock                         held by the one job that may write; the kernel frees it when its process ends
    .work.parquet                 the ordered pairs of the running job, one row group a shard
    .shard-HASH.parquet.*.tmp     a shard being written
    shard-HASH.parquet            a committed shard: complete, synced, never changed again
    quarantine/                   rows that could not be graded, with their reasons
    manifest.json                 written last: all shards with their rows and checksums

A shard appears by one rename, so it is either whole or absent. Readers of the table see the shards alone.
"""

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from pinrank import durable
from pinrank.errors import CommitError
from pinrank.labeling.shards import Grading, Shard
from pinrank.tables import SOFT_LABELS

LOCK = ".lock"
MANIFEST = "manifest.json"
WORK = ".work.parquet"
QUARANTINE = "quarantine"
_METADATA_KEY = b"pinrank.grading"
_SAY = "Use another --output, or remove the folder to grade everything again."


class CommittedShard(BaseModel):
    """A line of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: int
    sha256: str


class Manifest(BaseModel):
    """What a finished folder holds. No times and no places: the same work gives the same manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    teacher: str
    settings_hash: str
    grading: Grading
    shards: tuple[CommittedShard, ...]


@contextmanager
def exclusive(output: Path) -> Iterator[None]:
    """Be the one job that writes to a folder; leftovers of a killed one are removed on entry.

    Raises CommitError when another job holds the folder. The lock is advisory and ends with its process, so that a
    killed job never blocks the next one.
    """
    with durable.exclusive(output / LOCK):
        _remove_leftovers(output)
        yield


def shard_path(output: Path, name: str) -> Path:
    """Where a shard lies once it is committed."""
    return output / f"shard-{name}.parquet"


def committed(output: Path, shards: Sequence[Shard], grading: Grading) -> set[str]:
    """Names of the shards that are already there.

    Raises CommitError when the folder holds a shard of another grading (with both hashes), one that is not part of
    this work, or a damaged one.
    """
    planned = {shard.name for shard in shards}
    found = {path: path.name.removeprefix("shard-").removesuffix(".parquet") for path in output.glob("shard-*.parquet")}
    for path, name in sorted(found.items()):
        _refuse_other_grading(path, grading)
        if name not in planned:
            raise CommitError(
                f"{path}: not part of this work, though its settings {grading.hash} are the same: the pairs or their "
                f"pin text have changed since. {_SAY}"
            )
    return set(found.values())


def commit_shard(labels: pa.Table, output: Path, name: str, grading: Grading) -> Path:
    """Write one graded shard (SOFT_LABELS) so that it is there as a whole or not at all, and survives a power cut."""
    target = shard_path(output, name)
    staging = target.with_name(f".{target.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    described = labels.cast(SOFT_LABELS.schema).replace_schema_metadata({_METADATA_KEY: grading.model_dump_json()})
    pq.write_table(described, staging, compression="zstd")
    durable.put_in_place(staging, target)
    return target


def survey(output: Path, shards: Sequence[Shard], grading: Grading) -> Manifest:
    """The manifest of a folder in which every shard of the work is committed, in the order of the work.

    Raises CommitError when a shard is missing, damaged, or changed since an earlier run wrote its manifest.
    """
    entries = tuple(_describe(shard_path(output, shard.name), shard.name) for shard in shards)
    if (output / MANIFEST).exists():
        _refuse_changed(output, entries)
    return Manifest(
        rows=sum(entry.rows for entry in entries),
        teacher=grading.teacher,
        settings_hash=grading.hash,
        grading=grading,
        shards=entries,
    )


def publish(output: Path, manifest: Manifest) -> None:
    """Write the manifest in one rename: the folder is finished."""
    durable.write_text(output / MANIFEST, manifest.model_dump_json(indent=2))


def read_manifest(output: Path) -> Manifest:
    """The manifest of a finished folder; CommitError when the labelling has not finished or the file is damaged."""
    path = output / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text())
    except FileNotFoundError as cause:
        raise CommitError(
            f"{path}: missing, so the labelling has not finished. Run label_impressions again."
        ) from cause
    except ValidationError as cause:
        raise CommitError(f"{path}: damaged: {' '.join(str(cause).split())}. Delete it and run again.") from cause


def _refuse_other_grading(path: Path, grading: Grading) -> None:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as cause:
        raise CommitError(f"{path}: damaged: {cause}. Delete this file and run again: only it is redone.") from cause
    try:
        other = Grading.model_validate_json(metadata.get(_METADATA_KEY, b""))
    except ValidationError as cause:
        raise CommitError(f"{path}: not written by this job, as it does not say how it was graded. {_SAY}") from cause
    if other.hash != grading.hash:
        ours, theirs = grading.model_dump(), other.model_dump()
        changed = ", ".join(f"{key} {theirs[key]} → {ours[key]}" for key in ours if ours[key] != theirs[key])
        raise CommitError(
            f"{path.parent}: graded with settings {other.hash}, this job has {grading.hash} ({changed}). {_SAY}"
        )


def _refuse_changed(output: Path, entries: Sequence[CommittedShard]) -> None:
    before = {entry.name: entry for entry in read_manifest(output).shards}
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
        raise CommitError(f"{path}: damaged: {cause}. Delete this file and run again: only it is redone.") from cause
    return CommittedShard(name=name, rows=rows, sha256=hashlib.sha256(content).hexdigest())


def _remove_leftovers(output: Path) -> None:
    (output / WORK).unlink(missing_ok=True)
    for folder in (output, output / QUARANTINE):
        for left in [*folder.glob(".*.tmp"), *folder.glob(".*.old")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
