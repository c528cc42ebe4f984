"""A folder of judgments in the tidy public form, small enough to be checked by eye."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

QUERIES = pa.table(
    {
        "query_id": ["q1", "q2", "q3", "q4"],
        "query": ["red shoes", "blue hat", "green scarf", "old lamp"],
        "locale": ["en", "en", "en", "de"],
        "source": ["shop", "shop", "web", "web"],
        "split": ["train", "dev", "test", "train"],
    }
)
ITEMS = pa.table(
    {
        "item_id": ["a", "b", "c"],
        "source": ["shop", "shop", "web"],
        "locale": ["en", "en", "de"],
        "title": ["Red shoes", "Hat", None],
        "description": ["", "a blue hat", None],
        "image_captions": [["shoes", "red shoes", "shoes"], [], None],
        "board_titles": pa.array([[], [], []], pa.list_(pa.null())),
        "link_url": ["http://a", "", ""],
        "link_title": ["Shop", "", None],
        "link_description": ["", "", None],
        "image_url": ["", "", ""],
    }
)
POOL_ITEMS = ITEMS.slice(1, 1).set_column(0, "item_id", [["e"]])
JUDGEMENTS = pa.table(
    {
        "judgement_id": ["j1", "j2", "j3", "j4", "j5"],
        "source": ["shop", "shop", "shop", "web", "web"],
        "query_id": ["q1", "q1", "q2", "q3", "q4"],
        "item_id": ["a", "b", "b", "c", "c"],
        "label_original": ["2", "0", "2", "1", "0"],
        "level": pa.array([5, 1, 5, 3, 1], pa.int8()),
        "rel01": pa.array([1.0, 0.0, 0.9, None, 0.1], pa.float32()),
        "pair_type": ["", "", "", "kin", ""],
        "split": ["train", "train", "dev", "test", "train"],
    }
)
IMPRESSIONS = pa.table(
    {
        "source": ["shop", "shop", "shop", "web"],
        "query_id": ["q1", "q1", "q2", "q3"],
        "item_id": ["c", "e", "a", "a"],
        "rank": pa.array([1, 2, 1, 1], pa.int64()),
    }
)
FILES = {
    "queries": QUERIES,
    "items": ITEMS,
    "judgements": JUDGEMENTS,
    "pool_items": POOL_ITEMS,
    "impressions": IMPRESSIONS,
}


def write(folder: Path, **replaced: pa.Table | None) -> str:
    """Write the folder, with some files replaced, or left out where None; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (FILES | replaced).items():
        if table is not None:
            pq.write_table(table, folder / f"{name}.parquet")
    return str(folder)


def changed(table: pa.Table, column: str, values: Sequence[Any], to: pa.DataType | None = None) -> pa.Table:
    """A table with one column replaced."""
    return table.set_column(table.column_names.index(column), column, pa.array(values, to))


def repeated(table: pa.Table, times: int, id_column: str) -> pa.Table:
    """A table over and over, each time with other ids."""
    ids = table.column(id_column).to_pylist()
    copies = [changed(table, id_column, [f"{each}-{copy}" for each in ids]) for copy in range(times)]
    return pa.concat_tables(copies)
