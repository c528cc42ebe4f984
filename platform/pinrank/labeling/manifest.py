"""What a finished folder of soft labels says of itself."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pinrank import shard_folder
from pinrank.labeling.shards import Grading
from pinrank.shard_folder import CommittedShard, Shard


class Manifest(BaseModel):
    """What a finished folder holds. No times and no places: the same work gives the same manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    teacher: str
    settings_hash: str
    grading: Grading
    shards: tuple[CommittedShard, ...]


def survey(output: Path, shards: Sequence[Shard], grading: Grading) -> Manifest:
    """The manifest of a folder in which every shard of the work is committed; see shard_folder.survey."""
    entries = shard_folder.survey(output, shards)
    return Manifest(
        rows=sum(entry.rows for entry in entries),
        teacher=grading.teacher,
        settings_hash=grading.hash,
        grading=grading,
        shards=entries,
    )


def read_manifest(output: Path) -> Manifest:
    """The manifest of a finished folder; CommitError when the labelling has not finished or the file is damaged."""
    return shard_folder.read_manifest(output, Manifest)
