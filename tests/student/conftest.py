"""A tiny student with random weights, and a small world of pins for it."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from pinrank import lexical
from pinrank.student import features
from pinrank.student.batches import example_features
from pinrank.student.export import StudentBundle, open_student, save_student
from pinrank.student.model import build_student
from pinrank.student.settings import RankerSettings, StudentSettings
from pinrank.text import FIELDS, TextSettings

TEXT = TextSettings(max_query_tokens=8, max_tokens=32)
TITLES = ("weeknight pasta", "red sofa", "lemon cake", "pasta with lemon", "寿司屋", "a small red lamp for a sofa", "")


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    """Rows of pin_text."""
    described = [{"title": title, "description": f"number {place}"} for place, title in enumerate(TITLES)]
    return [dict.fromkeys(FIELDS, "") | row | {"pin_id": f"pin-{place}"} for place, row in enumerate(described)]


@pytest.fixture(scope="session")
def tiny_settings(tiny_bert_dir: Path) -> StudentSettings:
    """Settings of a student small enough to train in a second."""
    return StudentSettings(
        backbone=str(tiny_bert_dir), text=TEXT, ranker=RankerSettings(hidden=(16, 8)), precision="float32"
    )


@pytest.fixture(scope="session")
def tiny_student(
    tmp_path_factory: pytest.TempPathFactory, tiny_settings: StudentSettings, rows: list[dict[str, str]]
) -> StudentBundle:
    """A published student whose MLP has random weights everywhere, so that every part of it counts."""
    stats = lexical.fit(lexical.field_terms(rows))
    queries = ["pasta", "red sofa", "lemon", "寿司", "cake", "lamp", "pasta"]
    spec = features.fit(example_features(queries, rows, stats))
    torch.manual_seed(2)
    student = build_student(tiny_settings, spec)
    for weight in student.ranker.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    folder = tmp_path_factory.mktemp("tiny") / "student"
    tokenizer = AutoTokenizer.from_pretrained(tiny_settings.backbone)
    save_student(
        student,
        tokenizer,
        spec,
        stats,
        folder,
        name="tiny",
        backbone=tiny_settings.backbone,
        text=TEXT,
        metrics={"dev_spearman": 0.5},
        lineage={"teacher": ["teacher@0"]},
    )
    return open_student(folder)
