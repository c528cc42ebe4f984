"""A tiny student with random weights, and a small world of pins for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from pinrank import lexical
from pinrank.evaluation.task import Task, from_tables
from pinrank.lexical import LexicalStats
from pinrank.student.batches import Prepare, collate
from pinrank.student.declaration import read_declaration
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.feature_tables import FeatureTables, open_tables
from pinrank.student.features import FeatureSpec
from pinrank.student.fit import fit
from pinrank.student.model import Student, build_student
from pinrank.student.publish import Sealing, save_student, seal
from pinrank.student.settings import RankerSettings, StudentSettings
from pinrank.student.tower_folder import tokenizer_of
from pinrank.tables import JUDGMENTS
from pinrank.text import FIELDS, TextSettings
from tests.student.featured import declaration, examples, write_tables

TEXT = TextSettings(max_query_tokens=8, max_tokens=32)
QUERIES = ("pasta", "Red  Sofa", "lemon", "寿司", "cake", "lamp", "a query that no table knows")
TITLES = ("weeknight pasta", "red sofa", "lemon cake", "pasta with lemon", "寿司屋", "a small red lamp for a sofa", "")


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    """Rows of pin_text."""
    described = [{"title": title, "description": f"number {place}"} for place, title in enumerate(TITLES)]
    ids = [{"pin_id": f"pin-{place}", "locale": ("en", "de", "")[place % 3]} for place in range(len(TITLES))]
    return [dict.fromkeys(FIELDS, "") | row | named for row, named in zip(described, ids, strict=True)]


@pytest.fixture(scope="session")
def tiny_settings(tiny_bert_dir: Path) -> StudentSettings:
    """Settings of a student small enough to train in a second."""
    return StudentSettings(
        backbone=str(tiny_bert_dir), text=TEXT, ranker=RankerSettings(hidden=(16, 8)), precision="float32"
    )


def random_student(settings: StudentSettings, spec: FeatureSpec) -> Student:
    """A student whose MLP has random weights everywhere, so that every part of it counts."""
    torch.manual_seed(2)
    student = build_student(settings, spec)
    for weight in student.ranker.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return student


def write(student: Student, settings: StudentSettings, spec: FeatureSpec, stats: LexicalStats, folder: Path) -> None:
    """A student's folder, as training writes it."""
    save_student(
        student,
        tokenizer_of(settings.backbone),
        spec,
        stats,
        folder,
        name="tiny",
        backbone=settings.backbone,
        text=TEXT,
        metrics={"dev_spearman": 0.5},
        lineage={"teacher": ["teacher@0"]},
    )


def published(settings: StudentSettings, rows: list[dict[str, str]], folder: Path, dev: Task | None) -> StudentBundle:
    """A random student that reads texts alone."""
    stats = lexical.fit(lexical.field_terms(rows))
    queries = ["pasta", "red sofa", "lemon", "寿司", "cake", "lamp", "pasta"]
    spec = fit(read_declaration(), examples(list(zip(queries, rows, strict=True))), stats)
    write(random_student(settings, spec), settings, spec, stats, folder)
    if dev:
        seal(folder, Sealing(dev))
    return open_student(folder)


@pytest.fixture(scope="session")
def tiny_student(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: StudentSettings, rows: list[dict[str, str]]
) -> StudentBundle:
    """A published student without dev pairs: its logits are as the MLP gives them."""
    return published(tiny_settings, rows, tmp_path_factory.mktemp("tiny") / "student", None)


@pytest.fixture(scope="session")
def dev_task(rows: list[dict[str, str]]) -> Task:
    """Each thing asked for by thirty queries, half of its pins judged relevant."""
    made = [
        {"judgment_id": f"{number}-{row['pin_id']}", "query_id": f"q{number}", "query": f"pasta {number}"}
        | {"query_locale": "en", "pin_id": row["pin_id"], "level": 5 if place % 2 else 1, "source": "shop"}
        | {"split": "dev"}
        for number in range(30)
        for place, row in enumerate(rows)
    ]
    catalogue = [row | {"source": "shop"} for row in rows]
    return from_tables(pa.Table.from_pylist(made, JUDGMENTS.schema), catalogue, "dev")


@pytest.fixture(scope="session")
def calibrated_student(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_settings: StudentSettings,
    rows: list[dict[str, str]],
    dev_task: Task,
) -> StudentBundle:
    """The same student, published with dev pairs."""
    return published(tiny_settings, rows, tmp_path_factory.mktemp("tiny") / "student", dev_task)


@dataclass(frozen=True)
class Golden:
    """A published student with the logits that training's own code gives, float32[Q, P, 5]."""

    bundle: StudentBundle
    tables: FeatureTables
    logits_QPL: np.ndarray


@pytest.fixture(scope="session")
def golden(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: StudentSettings, rows: list[dict[str, str]]
) -> Golden:
    """A student that reads one feature of each kind."""
    folder = tmp_path_factory.mktemp("golden")
    tables = open_tables(
        declaration(), str(write_tables(folder / "tables", QUERIES[:-1], [row["pin_id"] for row in rows]))
    )
    pairs = examples([(query, row) for query in QUERIES for row in rows])
    stats = lexical.fit(lexical.field_terms(rows))
    spec = fit(declaration(), pairs, stats, tables)
    student = random_student(tiny_settings, spec).eval()
    prepared = Prepare(tiny_settings.backbone, TEXT, stats, spec, tables)(pairs)
    with torch.inference_mode():
        logits_NL = student(*collate(prepared, pad_id=0).inputs(torch.device("cpu"))).numpy()
    write(student, tiny_settings, spec, stats, folder / "student")
    bundle = open_student(folder / "student").with_tables(tables)
    return Golden(bundle, tables, logits_NL.reshape(len(QUERIES), len(rows), 5))
