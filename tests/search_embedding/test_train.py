"""What training refuses, and when it has nothing to do; the training itself is tested with the pipeline."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import TableError
from pinrank.search_embedding.export import SearchEmbeddingCard, read_card
from pinrank.search_embedding.pairs import PAIRS
from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.search_embedding.train import IDENTITY, identity_of, train
from tests.tiny_models import change_weights, tiny_search_embedding

ROWS = [{"query": query, "pin": f"a {query}", "weight": 1.0, "held_out": False} for query in ("cat", "dog", "cow")]
PAIR_TABLE = pa.Table.from_pylist(ROWS, PAIRS)
CANDIDATES = pa.table({"pin": ["a cat"]})


def trained(backbone: Path, folder: Path, **changes: object) -> SearchEmbeddingCard:
    settings = SearchEmbeddingSettings(backbone=str(backbone), **changes)
    return train(PAIR_TABLE, CANDIDATES, settings, PairSettings(), "tiny", str(folder), {})


def identity(backbone: Path) -> str:
    return identity_of(PAIR_TABLE, CANDIDATES, SearchEmbeddingSettings(backbone=str(backbone)), PairSettings(), "tiny")


def test_a_backbone_that_was_trained_again_in_place_makes_another_embedding(tiny_bert_dir: Path, tmp_path: Path):
    backbone = Path(shutil.copytree(tiny_bert_dir, tmp_path / "bert"))
    before = identity(backbone)
    assert identity(backbone) == before
    change_weights(backbone)
    assert identity(backbone) != before


def test_a_folder_that_holds_what_would_come_out_is_left_as_it_is(tiny_bert_dir: Path, tmp_path: Path):
    lineage = {IDENTITY: identity(tiny_bert_dir)}
    tiny_search_embedding(tmp_path / "model", tiny_bert_dir, lineage)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert trained(tiny_bert_dir, tmp_path / "model") == read_card(tmp_path / "model")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_too_few_pairs_or_a_folder_of_other_things_are_refused_before_training(tiny_bert_dir: Path, tmp_path: Path):
    with pytest.raises(TableError, match="3 pairs of a query and a pin to learn from, 8 are needed"):
        trained(tiny_bert_dir, tmp_path / "model", num_workers=4)
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"holds no card\.json"):
        trained(tiny_bert_dir, tmp_path)
