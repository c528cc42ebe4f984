"""A search embedding as a folder: what was saved is what is opened."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from pinrank.errors import ModelError
from pinrank.search_embedding.export import open_search_embedding, save_search_embedding
from pinrank.search_embedding.model import build_towers
from pinrank.search_embedding.settings import SearchEmbeddingSettings
from pinrank.student.towers import TwoTowers
from pinrank.text import FIELDS

ROW = dict.fromkeys(FIELDS, "") | {"title": "a red sofa", "query_tokens": "bench"}


def saved(folder: Path, backbone: Path, **changes: object) -> TwoTowers:
    settings = SearchEmbeddingSettings(backbone=str(backbone), **changes)
    torch.manual_seed(3)
    towers = build_towers(settings).eval()
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    card = {"name": "tiny", "backbone": str(backbone), "text": settings.text, "metrics": {}, "lineage": {}}
    save_search_embedding(towers, tokenizer, folder, **card)
    return towers


@pytest.mark.parametrize("output_dim", [None, 8])
@pytest.mark.parametrize("shared", [True, False])
def test_what_is_opened_gives_the_vectors_of_what_was_saved(
    shared: bool, output_dim: int | None, tiny_bert_dir: Path, tmp_path: Path
):
    towers = saved(tmp_path / "model", tiny_bert_dir, shared=shared, output_dim=output_dim)
    opened = open_search_embedding(tmp_path / "model")
    assert (opened.card.shared, opened.card.vector_dim) == (shared, output_dim or 32)
    assert (tmp_path / "model/pin").exists() is not shared
    tokens = AutoTokenizer.from_pretrained(tiny_bert_dir)(["a red sofa"], return_tensors="pt")
    arguments = tokens["input_ids"], tokens["attention_mask"]
    with torch.no_grad():
        query, pin = towers.query(*arguments).numpy(), towers.pin(*arguments).numpy()
    np.testing.assert_allclose(opened.encode_queries(["  A red SOFA"]), query, atol=1e-5)
    np.testing.assert_allclose(opened.encode_pins(opened.pin_texts([ROW]), "float32"), pin, atol=1e-5)
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)


def test_the_version_follows_the_weights(tiny_bert_dir: Path, tmp_path: Path):
    towers = saved(tmp_path / "one", tiny_bert_dir, output_dim=8)
    saved(tmp_path / "two", tiny_bert_dir, output_dim=8)
    first, second = (open_search_embedding(tmp_path / name).card.version for name in ("one", "two"))
    assert first == second
    assert towers.shared
    saved(tmp_path / "two", tiny_bert_dir, output_dim=4)
    assert open_search_embedding(tmp_path / "two").card.version != first


def test_another_folder_is_refused(tiny_bert_dir: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="so this is no search embedding"):
        open_search_embedding(tiny_bert_dir)
    saved(tmp_path / "model", tiny_bert_dir, output_dim=8)
    (tmp_path / "model/query/projection.safetensors").write_text("no weights")
    with pytest.raises(ModelError, match="query: no tower"):
        open_search_embedding(tmp_path / "model").encode_queries(["cat"])
