"""What training refuses, and when it has nothing to do; the training itself is tested with the pipeline."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank import training_run
from pinrank.errors import TableError
from pinrank.search_embedding.export import SearchEmbeddingCard, read_card
from pinrank.search_embedding.pairs import PAIRS
from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.search_embedding.train import IDENTITY, train
from tests.tiny_models import tiny_search_embedding

ROWS = [{"query": query, "pin": f"a {query}", "weight": 1.0, "held_out": False} for query in ("cat", "dog", "cow")]
PAIR_TABLE = pa.Table.from_pylist(ROWS, PAIRS)
CANDIDATES = pa.table({"pin": ["a cat"]})


def trained(backbone: Path, folder: Path, **changes: object) -> SearchEmbeddingCard:
    settings = SearchEmbeddingSettings(backbone=str(backbone), **changes)
    return train(PAIR_TABLE, CANDIDATES, settings, PairSettings(), "tiny", str(folder), {})


def test_a_folder_that_holds_what_would_come_out_is_left_as_it_is(tiny_bert_dir: Path, tmp_path: Path):
    settings = SearchEmbeddingSettings(backbone=str(tiny_bert_dir))
    parts = ["tiny", settings.model_dump_json(), PairSettings().model_dump_json()]
    lineage = {IDENTITY: training_run.identity(parts, PAIR_TABLE, CANDIDATES)}
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
