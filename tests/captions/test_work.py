"""Which pins are captioned, and how captions come among the pins."""

from pathlib import Path

import pyarrow as pa

from pinrank import shard_folder
from pinrank.captions.work import PICTURES, Captioning, committed_captions, merged, to_caption
from pinrank.shard_work import write_work
from pinrank.tables import CAPTIONS, PINS

TERMS = Captioning(
    model="m@0",
    dtype="float32",
    max_new_tokens=9,
    num_beams=1,
    batch_size=2,
    max_bytes=9,
    max_pixels=9,
    min_side=1,
    rows_per_shard=2,
)
ROWS = [("d", "d.png", ""), ("a", "a.png", None), ("b", "", None), ("c", "c.png", "a cake"), ("e", None, "a boat")]


def pins(rows: list[tuple[str, str | None, str | None]] = ROWS) -> pa.Table:
    made = [{"pin_id": pin, "title": pin.upper(), "image_url": url, "caption": caption} for pin, url, caption in rows]
    return pa.Table.from_pylist(made, PINS.schema)


def chosen(table: pa.Table, own: dict[str, str] | None = None, only_missing: bool = True) -> list[str]:
    found: list[str] = to_caption(table, own or {}, only_missing).pictures.column("pin_id").to_pylist()
    return found


def test_pins_with_a_picture_and_no_caption_in_the_order_of_their_ids() -> None:
    assert chosen(pins()) == ["a", "d"]
    assert to_caption(pins(), {}, True).left_out == {"pins_without_image_url": 2, "pins_with_caption": 1}


def test_captions_can_be_made_for_all_pictures() -> None:
    assert chosen(pins(), only_missing=False) == ["a", "c", "d"]


def test_the_jobs_own_captions_do_not_count_once_they_are_merged() -> None:
    own = {"a": "a hat", "d": "a dog"}
    assert chosen(merged(pins(), own), own) == chosen(pins()) == ["a", "d"]
    assert chosen(merged(pins(), own), {"a": "another"}) == []


def test_captions_fill_what_is_empty_and_change_nothing_else() -> None:
    found = merged(pins(), {"a": "a hat", "c": "a bird", "b": "a bus"})
    assert found.column("caption").to_pylist() == ["", "a hat", "a bus", "a cake", "a boat"]
    assert found.drop_columns("caption") == pins().drop_columns("caption")
    assert found.schema == PINS.schema


def test_the_order_of_the_pins_does_not_change_the_work(tmp_path: Path) -> None:
    both = [to_caption(pins(rows), {}, True).pictures for rows in (ROWS, ROWS[::-1])]
    first, second = (write_work(tmp_path, [pictures], PICTURES.names, 1, TERMS).shards for pictures in both)
    assert len(first) == 2
    assert first == second


def test_committed_captions_are_found(tmp_path: Path) -> None:
    assert committed_captions(tmp_path) == {}
    rows = pa.table([["a"], ["a hat"], ["m@0"], ["0"]], schema=CAPTIONS.schema)
    shard_folder.commit_shard(rows, tmp_path, "0" * 16, TERMS)
    assert committed_captions(tmp_path) == {"a": "a hat"}
