"""The label store: grades of earlier jobs, so that a pair is not graded twice by one teacher on one text.

It is nothing but finished folders of soft labels: a job's output is in the store as soon as its manifest is written.
A shard is taken when its checksum is that of the manifest, and its grades when they were made as this job would.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pinrank.errors import CommitError, TableError
from pinrank.labeling.manifest import Manifest, read_manifest
from pinrank.labeling.shards import GRADED, Grading
from pinrank.parquet import one_line
from pinrank.shard_folder import MANIFEST, CommittedShard, shard_path
from pinrank.soft_labels import DAY

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A finished folder of soft labels."""

    folder: Path
    manifest: Manifest


def finished(folders: Iterable[Path], own: Path, grading: Grading) -> list[Finished]:
    """The finished jobs in these folders, and in their days, whose grades this job can take; the latest day first.

    `own` is the folder that the job itself fills. Raises TableError for a folder that is not there.
    """
    found: dict[Path, Finished] = {}
    for folder in folders:
        if not folder.is_dir():
            raise TableError(f"{folder}: there is no such folder of soft labels to reuse. Fix --reuse.")
        for path in sorted([folder / MANIFEST, *folder.glob(f"{DAY}*/{MANIFEST}")], reverse=True):
            if path.exists() and path.parent != own and path.parent not in found:
                found[path.parent] = Finished(path.parent, read_manifest(path.parent))
    usable = [each for each in found.values() if grading.grades_as(each.manifest.grading)]
    if len(usable) < len(found):
        log.info("%d of %d earlier jobs graded in another way; nothing of them is reused", *_others(found, usable))
    return sorted(usable, key=lambda each: each.folder.name, reverse=True)


def num_rows(jobs: Iterable[Finished]) -> int:
    """Grades in all of them."""
    return sum(each.manifest.rows for each in jobs)


def read(jobs: Iterable[Finished]) -> Iterator[pa.Table]:
    """Their grades (GRADED), a shard at a time. Raises CommitError for a shard that is missing, damaged or changed."""
    for each in jobs:
        for shard in each.manifest.shards:
            yield _read_shard(shard_path(each.folder, shard.name), shard)


def _read_shard(path: Path, shard: CommittedShard) -> pa.Table:
    mend = "Label that day again into an empty folder, or leave it out of --reuse."
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != shard.sha256:
            raise CommitError(f"{path}: not what its manifest says, so its grades are not to be trusted. {mend}")
        return pq.read_table(pa.BufferReader(content), columns=GRADED.names).cast(GRADED)
    except (pa.ArrowException, OSError) as cause:
        raise CommitError(f"{path}: cannot be read: {one_line(cause)}. {mend}") from cause


def _others(found: dict[Path, Finished], usable: list[Finished]) -> tuple[int, int]:
    return len(found) - len(usable), len(found)
