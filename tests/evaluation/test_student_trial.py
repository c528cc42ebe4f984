"""When a cell is trained again, and what several seeds of a row become."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from pinrank.evaluation.comparison import BootstrapSettings
from pinrank.evaluation.report import Measured
from pinrank.evaluation.student_trial import (
    Cell,
    StudentData,
    StudentTrialSettings,
    mean_over_seeds,
    task_of,
    train_once,
)
from pinrank.student.declaration import read_declaration
from pinrank.student.settings import StudentSettings
from pinrank.tables import JUDGMENTS, PIN_TEXT
from pinrank.text import FIELDS
from tests.tiny_models import change_weights

SETTINGS = BootstrapSettings(num_resamples=400)


def test_a_cell_is_trained_again_where_its_backbone_was(tiny_bert_dir: Path, tmp_path: Path) -> None:
    backbone = Path(shutil.copytree(tiny_bert_dir, tmp_path / "bert"))
    student = StudentSettings(
        backbone=str(backbone), epochs=1, precision="float32", num_workers=0, text={"max_query_tokens": 8}
    )
    settings = StudentTrialSettings(tables=str(tmp_path), output=tmp_path / "out", student=student)
    pins = [{"pin_id": f"p{place}", "title": f"a lamp {place}", "fingerprint": str(place)} for place in range(8)]
    judgments = [
        {"judgment_id": pin["pin_id"], "query_id": "q", "query": "a lamp", "pin_id": pin["pin_id"], "source": "s"}
        | {"query_locale": "en", "level": 1 + place % 5, "split": "train"}
        for place, pin in enumerate(pins)
    ]
    texts = [dict.fromkeys(FIELDS, "") | pin for pin in pins]
    tables = pa.Table.from_pylist(judgments, JUDGMENTS.schema), pa.Table.from_pylist(texts, PIN_TEXT.schema)
    data = StudentData(*tables, task_of(*tables, "train", None))
    cell = Cell("row", student, None, read_declaration())
    assert [train_once(cell, data, settings)[1] for _ in range(2)] == [True, False]
    change_weights(backbone)
    assert train_once(cell, data, settings)[1]


def test_one_seed_stays_as_it_is() -> None:
    values_R = np.random.default_rng(0).random(400)
    found = mean_over_seeds([{"row": {"qwk": Measured(0.5, values_R)}}], SETTINGS)
    assert found["row"]["qwk"].value == 0.5
    np.testing.assert_array_equal(found["row"]["qwk"].values_R, values_R)


def test_an_interval_holds_what_another_seed_would_have_changed() -> None:
    seeds = [{"row": {"qwk": Measured(value, np.full(400, value))}} for value in (0.2, 0.4, 0.9)]
    measured = mean_over_seeds(seeds, SETTINGS)["row"]["qwk"]
    assert measured.value == 0.5
    assert measured.values_R.min() == 0.2 and measured.values_R.max() == 0.9
    assert abs(measured.values_R.mean() - 0.5) < 0.03


def test_rows_are_drawn_alike_so_that_a_gain_in_every_seed_is_sure() -> None:
    seeds = [
        {row: {"qwk": Measured(x, np.full(400, x))} for row, x in rows}
        for rows in ((("a", 0.2), ("b", 0.21)), (("a", 0.9), ("b", 0.91)))
    ]
    found = mean_over_seeds(seeds, SETTINGS)
    np.testing.assert_allclose(found["b"]["qwk"].values_R - found["a"]["qwk"].values_R, 0.01)
