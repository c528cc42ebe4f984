"""Which pins are captioned, under which terms, and what becomes of their table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pinrank import shard_folder
from pinrank.shard_folder import CommittedShard, Shard, Terms
from pinrank.tables import CAPTIONS, PINS, read_columns
from pinrank.text import tidy

PICTURES = pa.schema([("pin_id", pa.string()), ("image_url", pa.string())])
"""A pin with a picture to be captioned."""


class Captioning(Terms):
    """All that decides a caption."""

    KEY: ClassVar[bytes] = b"pinrank.captioning"

    model: str = Field(description="NAME@HASH of its files")
    dtype: str
    max_new_tokens: int
    num_beams: int
    batch_size: int
    max_bytes: int
    max_pixels: int
    min_side: int
    rows_per_shard: int


class Manifest(BaseModel):
    """What a finished folder of captions holds. No times and no places: the same work gives the same manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    settings_hash: str
    captioning: Captioning
    shards: tuple[CommittedShard, ...]


@dataclass(frozen=True)
class ToCaption:
    """PICTURES in the order of their ids, and how many pins are not among them, by reason."""

    pictures: pa.Table
    left_out: dict[str, int]


def to_caption(pins: pa.Table, own: dict[str, str], only_missing: bool) -> ToCaption:
    """The pins (PINS) that have an image_url, and no caption but one that this job gave them (`own`: pin_id → caption).

    Its own captions do not count as captions: when they have been merged into the pins, the work stays the same.
    """
    with_picture = pc.not_equal(pc.utf8_trim_whitespace(pc.fill_null(pins.column("image_url"), "")), "")
    pin_ids, captions = pins.column("pin_id").to_pylist(), pins.column("caption").to_pylist()
    captioned = pa.array(
        [bool(tidy(text)) and text != own.get(pin_id) for pin_id, text in zip(pin_ids, captions, strict=True)],
        pa.bool_(),
    )
    wanted = pc.and_(with_picture, pc.invert(captioned)) if only_missing else with_picture
    left_out = {
        "pins_without_image_url": pins.num_rows - (pc.sum(with_picture).as_py() or 0),
        "pins_with_caption": (pc.sum(pc.and_(with_picture, captioned)).as_py() or 0) if only_missing else 0,
    }
    pictures = pins.filter(wanted).select(PICTURES.names).sort_by("pin_id")
    return ToCaption(pictures.cast(PICTURES).combine_chunks(), left_out)


def committed_captions(output: Path) -> dict[str, str]:
    """pin_id → caption of the shards that are in a folder already."""
    if not any(output.glob("shard-*.parquet")):
        return {}
    rows = read_columns(str(output), CAPTIONS, ["pin_id", "caption"])
    return dict(zip(rows.column("pin_id").to_pylist(), rows.column("caption").to_pylist(), strict=True))


def survey(output: Path, shards: Sequence[Shard], captioning: Captioning) -> Manifest:
    """The manifest of a folder in which every shard is committed; see shard_folder.survey."""
    entries = shard_folder.survey(output, shards)
    rows = sum(entry.rows for entry in entries)
    return Manifest(rows=rows, settings_hash=captioning.hash, captioning=captioning, shards=entries)


def merged(pins: pa.Table, captions: dict[str, str]) -> pa.Table:
    """PINS in which those without a caption have the one of `captions`; all others stay as they are."""
    rows = zip(pins.column("pin_id").to_pylist(), pins.column("caption").to_pylist(), strict=True)
    filled = [text if tidy(text) else captions.get(pin_id, text) for pin_id, text in rows]
    place = PINS.schema.get_field_index("caption")
    return pins.set_column(place, PINS.schema.field("caption"), pa.array(filled, pa.string()))
