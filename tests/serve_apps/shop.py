"""A tiny student with random weights and a small pin store, through the code that writes the real ones."""

import itertools
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer

from pinrank import lexical
from pinrank.embeddings import store
from pinrank.student.declaration import Declaration, read_declaration
from pinrank.student.export import open_student
from pinrank.student.feature_tables import NO_TABLES, FeatureTables, open_tables
from pinrank.student.fit import fit
from pinrank.student.model import Ranker, Student
from pinrank.student.publish import save_student
from pinrank.student.settings import RankerSettings, TowerSettings
from pinrank.student.towers import build_towers
from pinrank.text import TextSettings
from tests.student.featured import examples, write_tables

NUM_PINS = 240
COLOURS = ("red", "blue", "green", "black", "golden", "striped")
THINGS = ("shoes", "kitchen", "birthday cake", "garden shed", "wool sweater", "bicycle", "寿司", "house plant")
QUERIES = tuple(f"{colour} {thing}" for colour in COLOURS for thing in THINGS)
PLACES = ("in the rain", "for small rooms", "on a wooden table", "by the sea", "from the seventies")


@dataclass(frozen=True)
class Shop:
    """A student's folder with a pin store that belongs to it, the pins that the store holds, and what is known of them.

    A student that reads features beside the texts has those of QUERIES and their pairs in the tables, too.
    """

    student: Path
    pin_store: Path
    pins: Mapping[str, Mapping[str, str]]
    tables: FeatureTables

    @property
    def pin_tables(self) -> FeatureTables:
        """What the store knows: the request must say the rest."""
        of_pins = {key: vectors for key, vectors in self.tables.vectors.items() if key[0] == "pin"}
        return FeatureTables(pin=self.tables.pin, vectors=of_pins)


def some_pins(num_pins: int = NUM_PINS) -> dict[str, dict[str, str]]:
    """pin_id to text fields, from a seed."""
    rng = random.Random(0)
    pins = {}
    for number in range(num_pins):
        title = f"{rng.choice(COLOURS)} {rng.choice(THINGS)} {number}"
        description = f"{title} {rng.choice(PLACES)}, {rng.choice(COLOURS)}" if number % 3 else ""
        pins[f"pin-{number}"] = {"pin_id": f"pin-{number}", "title": title, "description": description}
        pins[f"pin-{number}"]["locale"] = ("en", "de", "")[number % 3]
    return pins


def make_shop(folder: Path, backbone: Path, declared: Declaration | None = None) -> Shop:
    """Write a student with random weights and the store of some pins, as train_student and embed_pins do.

    Without a declaration it reads texts alone; else the one of tests.student.featured, whose tables are written, too.
    """
    pins = some_pins()
    terms = lexical.field_terms(list(pins.values()))
    stats = lexical.fit(terms)
    declared, tables = declared or read_declaration(), NO_TABLES
    if declared.reads_tables:
        tables = open_tables(declared, str(write_tables(folder / "tables", QUERIES, list(pins))))
    spec = fit(declared, examples(list(zip(itertools.cycle(QUERIES), pins.values(), strict=False))), stats, tables)
    torch.manual_seed(0)
    towers = build_towers(str(backbone), TowerSettings())
    ranker = Ranker(
        towers.vector_dim, spec.shapes, RankerSettings(hidden=(16, 8)), spec.cosine_centre, spec.cosine_scale
    )
    sides = [side.linear for side in (ranker.query_features, ranker.pin_features) if side is not None]
    for layer in (ranker.layers[-1], ranker.shortcut, *sides):  # as they start, every pin of a random tower is a 5
        torch.nn.init.normal_(layer.weight, std=0.2)
    card = save_student(
        Student(towers, ranker, dims=(8,)),
        AutoTokenizer.from_pretrained(str(backbone)),
        spec,
        stats,
        folder / "student",
        name="tiny",
        backbone=str(backbone),
        text=TextSettings(max_query_tokens=16, max_tokens=64),
        metrics={},
        lineage={},
    )
    bundle = open_student(folder / "student")
    vectors_PD = bundle.encode_pins(bundle.pin_texts(list(pins.values())), precision="float32")
    rows_PR = bundle.pin_rows(vectors_PD, tables.pins(list(pins)))
    store.build(folder / "pin_store", list(pins), rows_PR, terms, student_version=card.version)
    return Shop(folder / "student", folder / "pin_store", pins, tables)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
