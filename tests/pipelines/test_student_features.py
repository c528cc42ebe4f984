"""From derived features to a pin store whose rows hold them: the jobs in their order, with a tiny student."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank import tables
from pinrank.embeddings.store import PinStore
from pinrank.student.export import open_student
from pinrank.student.feature_tables import tables_of
from pinrank.student.settings import RankerSettings, StudentSettings
from pinrank.text import TextSettings
from pipelines.derive_features import DeriveFeatures
from pipelines.derive_features import main as derive_features
from pipelines.embed_pins import EmbedPins
from pipelines.embed_pins import main as embed_pins
from pipelines.train_student import TrainStudent
from pipelines.train_student import main as train_student
from tests.student.test_train import pin_text, soft_labels

TINY = {"epochs": 1, "batch_size": 16, "num_workers": 0, "threads_per_worker": 1, "precision": "float32"}


@pytest.mark.ray
@pytest.mark.slow
def test_what_the_tables_know_reaches_the_rows_of_the_pin_store(
    ray_session: None, tmp_path: Path, root: Path, tiny_bert_dir: Path
) -> None:
    folder = str(tmp_path / "tables")
    known = [
        row | {"caption": "word " * (place % 4), "source": ("blog", "shop")[place % 2], "locale": "en"}
        for place, row in enumerate(pin_text().to_pylist())
    ]
    pins = pa.Table.from_pylist(known, schema=tables.PIN_TEXT.schema)
    labels = soft_labels(query_locale="en")
    shown = [row | {"impression_id": row["pair_key"]} for row in labels.to_pylist()]
    log = pa.Table.from_pylist(shown, schema=tables.IMPRESSIONS.schema)
    tables.write(pins, f"{folder}/pin_text", tables.PIN_TEXT)
    tables.write(log, f"{folder}/impressions", tables.IMPRESSIONS)
    tables.write(tables.JUDGMENTS.schema.empty_table(), f"{folder}/judgments", tables.JUDGMENTS)
    tables.write(labels, f"{tmp_path}/labels", tables.SOFT_LABELS)

    assert derive_features(DeriveFeatures(tables=folder)).details["queries"] == 4
    student = StudentSettings(
        backbone=str(tiny_bert_dir),
        text=TextSettings(max_query_tokens=8, max_tokens=32),
        ranker=RankerSettings(hidden=(16, 8)),
        **TINY,
    )
    train_student(
        TrainStudent(
            tables=folder,
            soft_labels=(f"{tmp_path}/labels",),
            output=tmp_path / "student",
            feature_spec=root / "pipelines/configs/feature_spec.yaml",
            student=student,
        )
    )
    embed_pins(EmbedPins(tables=folder, student=tmp_path / "student", output=tmp_path / "store", texts_without_ray=0))

    bundle = open_student(tmp_path / "student")
    assert bundle.spec.vocabularies["pin.source"] == ("blog", "shop")
    pin_ids = pins["pin_id"].to_pylist()
    vectors = bundle.encode_pins(bundle.pin_texts(pins.to_pylist()), "float32")
    wanted = bundle.exact_rows(vectors, tables_of(bundle.spec, folder).pins(pin_ids))
    rows = PinStore.open(tmp_path / "store").gather(pin_ids).rows_NR
    np.testing.assert_allclose(rows, wanted, atol=2e-2)
    assert np.abs(bundle.exact_rows(vectors) - wanted).max() > 0.01
