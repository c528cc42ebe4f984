"""Vectors of texts that are computed once, for towers that do not learn."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.student.encoder import TextEncoder
from pinrank.student.frozen import FrozenTexts, split_texts, write_vectors
from pinrank.student.settings import StudentSettings, TowerSettings
from pinrank.student.tower_folder import save_tower, tokenizer_of
from pinrank.student.towers import build_towers
from pinrank.teacher.families import Pooling


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_the_mlp_learns_on_the_vectors_of_the_towers_that_are_published(
    tiny_settings: StudentSettings, pooling: Pooling, tmp_path: Path
):
    tower = TowerSettings(pooling=pooling)
    settings = tiny_settings.model_copy(update={"tower": tower, "frozen_towers": True, "num_workers": 0})
    save_tower(build_towers(settings.backbone, tower).query, tokenizer_of(settings.backbone), tmp_path / "published")
    published = TextEncoder.open(tmp_path / "published")
    ids = published.tokens(["red sofa", "a small lamp", "lemon"], 16)
    keys = pa.array(range(len(ids)), pa.uint64())
    rows = pa.table({"query_key": keys, "query_ids": ids, "pin_key": keys, "pin_ids": ids})
    left = split_texts(rows, tmp_path, "labels-00000")
    write_vectors(tmp_path, tmp_path, settings)
    (vectors,), _ = FrozenTexts.open(tmp_path)(left, "query")
    np.testing.assert_allclose(vectors.float().numpy(), published.encode_ids(ids), atol=1e-3)
