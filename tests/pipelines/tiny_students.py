"""What the tests of the jobs that train students to compare them share: a tiny world, soft labels, tiny settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pinrank.datasets.world import WorldSettings, generate, mark_generated
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.tables import JUDGMENTS, PIN_TEXT, SOFT_LABELS, write
from pinrank.text import pair_key
from pinrank.unseen import NOTHING

WORLD = WorldSettings(num_pins=120, num_queries=60, judged_per_query=6, num_impressions=0)


def write_world(folder: Path, num_labels: int) -> None:
    """`folder`/tables with judgments and pin_text, and `folder`/soft_labels of a made-up teacher."""
    world = generate(WORLD)
    texts = pin_text(world.pins, None, NOTHING, EngagementSettings())
    write(world.judgments, f"{folder}/tables/judgments", JUDGMENTS)
    write(texts, f"{folder}/tables/pin_text", PIN_TEXT)
    mark_generated(f"{folder}/tables", WORLD)
    write(made_up_labels(texts, num_labels), f"{folder}/soft_labels", SOFT_LABELS)


def made_up_labels(texts: pa.Table, num_labels: int) -> pa.Table:
    """A pin is relevant for the first word of its title, by as much as the teacher says so."""
    pins = [pin for pin in texts.to_pylist() if pin["title"]]
    random = np.random.default_rng(0)
    rows = []
    for number in range(num_labels):
        pin, other = (pins[place] for place in random.integers(0, len(pins), 2))
        query = f"{other['title'].split()[0]} {number % 7}"
        relevant = other["title"].split()[0] in pin["title"]
        rows.append(
            {"pair_key": pair_key(query, f"{pin['pin_id']}-{number}"), "query": query, "pin_id": pin["pin_id"]}
            | {"query_locale": "en", "source": "world", "weight": 1.0, "num_tokens": 8, "teacher": "teacher@0"}
            | {"logits": [0, 0, 0, 0, 3] if relevant else [3, 0, 0, 0, 0], "fingerprint": pin["fingerprint"]}
        )
    return pa.Table.from_pylist(rows, schema=SOFT_LABELS.schema)


def write_settings(folder: Path, backbone: Path, **settings: Any) -> str:
    """A settings file with a student of a few steps that trains in this process; the output is `folder`/out."""
    student = {
        "backbone": str(backbone),
        "text": {"max_query_tokens": 8, "max_tokens": 32},
        "ranker": {"hidden": [8]},
        "epochs": 1,
        "precision": "float32",
        "num_workers": 0,
        "threads_per_worker": 1,
    }
    known = {
        "tables": str(folder / "tables"),
        "soft_labels": [str(folder / "soft_labels")],
        "output": str(folder / "out"),
        "student": student,
        "bootstrap": {"num_resamples": 20},
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(known | settings))
    return str(path)
