"""A loop's root with a tiny world's tables and logs, a folder a day, and settings that run in seconds."""

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pinrank.datasets.world import World, WorldSettings, generate
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, Table, write

WORLD = WorldSettings(num_pins=120, num_users=20, num_queries=300, judged_per_query=4, num_impressions=4_000)


def write_root(root: Path) -> World:
    """The tables of a world, without logs."""
    world = generate(WORLD)
    write(world.pins, f"{root}/tables/pins", PINS)
    write(world.judgments, f"{root}/tables/judgments", JUDGMENTS)
    return world


def write_log(root: Path, day: datetime.date, world: World, first: int, last: int, part: str = "") -> None:
    """Impressions first..last of the world, and as many actions, as the log of a day or a part of it."""
    for table in (IMPRESSIONS, ENGAGEMENT):
        rows = getattr(world, table.name).slice(first, last - first)
        folder = root / "tables" / table.name / day.isoformat()
        write(on_day(rows, day, table), f"{folder}{part}", table)
        if part:
            folder.mkdir(parents=True, exist_ok=True)
            Path(f"{folder}{part}/part-00000.parquet").rename(folder / f"part{part}.parquet")
            Path(f"{folder}{part}").rmdir()


def on_day(rows: pa.Table, day: datetime.date, table: Table) -> pa.Table:
    """The same rows, as of noon of a day."""
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    times = pa.array([noon] * rows.num_rows, table.schema.field("ts").type)
    return rows.set_column(rows.schema.get_field_index("ts"), "ts", times)


def write_configs(folder: Path, backbone: Path) -> Path:
    """A settings file for every job of a day."""
    text = {"max_query_tokens": 8, "max_tokens": 32}
    settings: dict[str, dict[str, Any]] = {
        "build_pin_text": {"words": {"min_users": 1, "min_queries": 1}},
        "sample_impressions": {"size": 150},
        "label_impressions": {"engine": {"name": "transformers"}, "rows_per_shard": 64},
        "fit_lexical": {},
        "train_student": {
            "student": {"backbone": str(backbone), "text": text, "epochs": 1, "precision": "float32"},
            "max_judgments_per_source": 50,
        },
        "compare_students": {
            "candidate": "given",
            "output": "given",
            "promotion": {"margin": 1.0, "bootstrap": {"num_resamples": 50}},
        },
        "embed_pins": {"num_shards": 1, "encoding": {"precision": "float32"}},
    }
    folder.mkdir()
    for name, content in settings.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder
