"""What a snapshot of pins says of itself: manifest.json, whose rename is the moment at which a snapshot is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrank import durable
from pinrank.embeddings.pin_keys import key_hashes, share_of
from pinrank.errors import StoreCorrupt
from pinrank.shard_folder import hash_of

FORMAT: Literal[4] = 4
MANIFEST = "manifest.json"
REBUILD = "Build the store again with python -m pipelines.embed_pins."

RowType = Literal["float16", "int8"]


class Shape(BaseModel):
    """How a pin is stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    row_width: int = Field(ge=0, description="numbers of a row")
    num_fields: int = Field(ge=0, description="text fields whose terms are stored")
    dtype: RowType = "float16"
    parts: tuple[int, ...] = Field(description="widths of a row's parts; of int8, each has a scale of its own")

    @model_validator(mode="after")
    def _parts_make_a_row(self) -> "Shape":
        if sum(self.parts) != self.row_width:
            raise ValueError(f"parts {self.parts} make no row of {self.row_width} numbers")
        return self


class ShardEntry(BaseModel):
    """A shard's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    terms: int
    num_bytes: int
    xxh3_128: str


class SegmentEntry(BaseModel):
    """Pins that were written at once, a file a shard. A segment's rows hide those of the segments before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    buckets: int = Field(description="equal ranges of keys, a shard, whose starts are known")
    largest_bucket: int = Field(description="pins in the fullest of them")
    deleted: int = Field(description="rows that only say that a pin is gone")
    shards: tuple[ShardEntry, ...]

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    def file(self, shard: int) -> str:
        """The name of a shard's file."""
        return f"{self.name}-{shard:05d}.pins"


class Manifest(BaseModel):
    """A snapshot: what it was made of, and its segments, the oldest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[4] = FORMAT
    generation: int = Field(ge=1, description="how often the folder was published")
    student_version: str
    seed: int = Field(0, description="of the hash of pin ids; another one where two ids had one hash")
    num_shards: int = Field(ge=1)
    num_pins: int = Field(ge=0)
    shape: Shape
    segments: tuple[SegmentEntry, ...]

    @property
    def snapshot(self) -> str:
        """16 hex digits that no other content of the folder has."""
        return hash_of(self.model_dump_json().encode())

    def keys(self, pin_ids: Sequence[str]) -> NDArray[np.uint64]:
        """The key of each pin id, uint64[N]."""
        return key_hashes(pin_ids, self.seed)

    def shards_of(self, pin_ids: Sequence[str]) -> NDArray[np.int64]:
        """The shard in which each pin lies, if it is there: int64[N]. A caller that fans out asks no store for it."""
        return share_of(self.keys(pin_ids), self.num_shards)

    def files(self) -> set[str]:
        """Names of all files that belong to the snapshot."""
        return {segment.file(shard) for segment in self.segments for shard in range(self.num_shards)}


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of a snapshot; StoreCorrupt when it is missing, damaged or of another format."""
    path = Path(folder) / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as cause:
        raise StoreCorrupt(f"{path}: cannot be read ({cause.strerror}). {REBUILD}") from cause
    except ValidationError as cause:
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in cause.errors()[:3])
        raise StoreCorrupt(f"{path}: not a manifest of format {FORMAT} ({said}). {REBUILD}") from cause


def publish(folder: Path, manifest: Manifest) -> None:
    """Put a snapshot in the place of the last one, in one rename; its files are there already."""
    durable.sync(folder)  # their names reach the disk before the one that names them
    durable.write_text(folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
