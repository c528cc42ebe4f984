"""What the tests of the comparing jobs share: the tables of a tiny world, and settings that train in seconds."""

import json
from pathlib import Path
from typing import Any

import yaml

from pinrank.datasets.world import WorldSettings, generate, mark_generated
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.tables import JUDGMENTS, PIN_TEXT, write
from pinrank.unseen import NOTHING

WORLD = WorldSettings(num_pins=150, num_queries=60, judged_per_query=6, num_impressions=0)


def write_tables(folder: Path) -> str:
    """judgments and pin_text of a world without an engagement log: no board titles, no query tokens."""
    world = generate(WORLD)
    write(world.judgments, f"{folder}/judgments", JUDGMENTS)
    write(pin_text(world.pins, None, NOTHING, EngagementSettings()), f"{folder}/pin_text", PIN_TEXT)
    mark_generated(str(folder), WORLD)
    return str(folder)


def write_config(folder: Path, tables: str, backbone: Path, **settings: Any) -> str:
    """A settings file with a teacher of a few steps; its output is `folder`/out. Returns the path.

    Nothing of it needs a Ray session: tests/teacher/test_train.py shows that Ray trains a teacher alike, and
    tests/evaluation/test_trial.py that Ray grades alike.
    """
    teacher = {
        "backbone": str(backbone),
        "head": {"hidden": [8]},
        "text": {"max_query_tokens": 8, "max_tokens": 32},
        "epochs": 1,
        "precision": "float32",
        "cpus_per_worker": 1,
        "num_workers": 0,
    }
    common = {"tables": tables, "output": str(folder / "out"), "teacher": teacher, "bootstrap": {"num_resamples": 20}}
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(common | settings))
    return str(path)


def read_report(folder: Path, split: str) -> dict[str, Any]:
    """The JSON of a report; its Markdown and HTML must lie beside it."""
    names = [f"report-{split}.{kind}" for kind in ("html", "json", "md")]
    assert all((folder / "out" / name).stat().st_size > 500 for name in names)
    return dict(json.loads((folder / "out" / f"report-{split}.json").read_text()))
