"""Training the teacher on Ray Train."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import ModelError
from pinrank.teacher.examples import EXAMPLES
from pinrank.teacher.export import read_card
from pinrank.teacher.model import HeadSettings
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.train import train
from pinrank.text import TextSettings

WORDS = ("cat", "dog", "sofa", "lamp", "cake", "tree")


def examples() -> pa.Table:
    """A relation that a tiny model learns in a few steps: L5 where the pin is good, L1 where it is bad."""
    rows = [
        {"query": query, "text": f"{kind} {pin}", "level": level, "source": "words", "split": split}
        for query in WORDS
        for pin in WORDS
        for kind, level in (("good", 5), ("bad", 1))
        for split in ("train", "dev")
    ]
    return pa.Table.from_pylist(rows, schema=EXAMPLES)


def settings(backbone: Path, **changes: object) -> TeacherSettings:
    """A few epochs of a tiny teacher."""
    return TeacherSettings(
        backbone=str(backbone),
        head=HeadSettings(hidden=(16,), dropout=0.0),
        text=TextSettings(max_query_tokens=4, max_tokens=16),
        batch_size=8,
        precision="float32",
        cpus_per_worker=1,
        **{"epochs": 4, "learning_rate": 1e-3, "head_learning_rate": 5e-3, **changes},
    )


@pytest.mark.ray
def test_two_workers_train_a_teacher_that_learnt_and_is_published(
    ray_session: None, tiny_bert_dir: Path, tmp_path: Path
):
    folder = tmp_path / "teacher"
    card = train(examples(), settings(tiny_bert_dir, num_workers=2), "words", str(folder), {"note": "test"})
    assert card == read_card(str(folder))
    assert card.version.startswith("words@")
    assert card.lineage["note"] == "test"
    assert card.metrics["dev_spearman"] > 0.5
    good, bad = grade_pairs(str(folder), [("cat", "good cat"), ("cat", "bad cat")], EngineSettings(name="transformers"))
    assert good[4] - good[0] > bad[4] - bad[0]


@pytest.mark.ray
def test_a_loss_that_is_no_number_publishes_nothing(ray_session: None, tiny_bert_dir: Path, tmp_path: Path):
    with pytest.raises(ModelError, match=r"nothing was published.*learning_rate"):
        train(examples(), settings(tiny_bert_dir, learning_rate=1e30), "words", str(tmp_path / "teacher"), {})
    assert not (tmp_path / "teacher").exists()
