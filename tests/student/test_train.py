"""Training end to end on a real Ray session, with a student of random weights."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.embeddings.encode import EncodingSettings, embed, vectors_of
from pinrank.errors import ModelError
from pinrank.levels import probabilities, score
from pinrank.student.examples import EXAMPLES, human_targets
from pinrank.student.export import open_student
from pinrank.student.settings import StudentSettings
from pinrank.student.train import train
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, fingerprint

pytestmark = [pytest.mark.ray, pytest.mark.slow]

THINGS = ("pasta", "sofa", "cake", "lamp")
NUM_PINS = 40
"""Two of each text: pins may share one."""


@pytest.fixture(scope="module")
def pin_text() -> pa.Table:
    fields = [
        dict.fromkeys(FIELDS, "") | {"title": f"{THINGS[place % 4]} number {place % 20}"} for place in range(NUM_PINS)
    ]
    rows = [{"pin_id": f"pin-{place:02d}", **row, "fingerprint": fingerprint(row)} for place, row in enumerate(fields)]
    return pa.Table.from_pylist(rows, schema=PIN_TEXT.schema)


def examples(pin_text: pa.Table) -> pa.Table:
    """A pin is L5 for the thing that it shows and L1 for all others."""
    rows = []
    for thing in THINGS:
        for pin in pin_text.to_pylist():
            level = 5 if pin["title"].startswith(thing) else 1
            target = human_targets(np.array([level]))[0].tolist()
            known = {"query": thing, "source": "s", "temperature": 1.0, "weight": 1.0, "grade": (level - 1) / 4}
            rows.append({**pin, **known, "target": target})
    return pa.Table.from_pylist(rows, schema=EXAMPLES)


def trained(pin_text: pa.Table, settings: StudentSettings, folder: Path, num_dev: int = 100, **changes: object) -> Path:
    rows = examples(pin_text)
    chosen = settings.model_copy(update={"batch_size": 16, "ranker_learning_rate": 0.05, **changes})
    train(rows, rows.slice(0, num_dev), pin_text, chosen, "tiny", str(folder), {"teacher": ["teacher@0"]})
    return folder


def test_a_student_learns_is_published_and_embeds_each_pin(
    ray_session: None, pin_text: pa.Table, tiny_settings: StudentSettings, tmp_path: Path
) -> None:
    folder = trained(pin_text, tiny_settings, tmp_path / "student", epochs=3)
    student = open_student(folder)
    pairs = [(thing, row) for thing in THINGS for row in pin_text.to_pylist()]
    scores = score(probabilities(student.grade(pairs)))
    relevant = np.array([row["title"].startswith(thing) for thing, row in pairs])
    assert scores[relevant].min() > scores[~relevant].max()
    assert student.card.metrics["dev_spearman"] > 0.7  # grades are all 0 or 1: a perfect order of many ties is 0.75
    assert student.card.lineage["teacher"] == ["teacher@0"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]

    embeddings = embed(pin_text, str(folder), EncodingSettings(precision="float32"))
    assert embeddings["pin_id"].to_pylist() == pin_text["pin_id"].to_pylist()
    assert set(embeddings["encoder"].to_pylist()) == {student.version}
    wanted = student.encode_pins(student.pin_texts(pin_text.to_pylist()), "float32")
    np.testing.assert_allclose(vectors_of(embeddings), wanted, atol=2e-3)


def test_a_loss_that_is_no_number_publishes_nothing(
    ray_session: None, pin_text: pa.Table, tiny_settings: StudentSettings, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="nothing was published"):
        trained(
            pin_text,
            tiny_settings,
            tmp_path / "student",
            num_dev=0,
            epochs=1,
            ranker_learning_rate=1e30,
            largest_gradient=1e30,
        )
    assert not list(tmp_path.iterdir())
