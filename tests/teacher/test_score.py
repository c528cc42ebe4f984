"""Two engines, one grading."""

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pinrank.levels import probabilities
from pinrank.teacher.export import publish
from pinrank.teacher.model import Teacher, open_backbone
from pinrank.teacher.score import EngineSettings, grade_pairs, largest_difference
from pinrank.teacher.settings import HeadSettings
from pinrank.text import TextSettings

TOLERANCE = 1e-4
"""In probability, float32."""

PAIRS = 200

VLLM = EngineSettings(name="vllm", kv_cache_bytes=2**26)


def real_pairs(folder: Path) -> list[tuple[str, str]]:
    """PAIRS judged (query, pin text) pairs from all sources: short titles, long descriptions, several scripts."""
    judgments = pq.read_table(folder / "judgements.parquet").to_pandas()
    queries = pq.read_table(folder / "queries.parquet").to_pandas().set_index("query_id")["query"]
    items = pq.read_table(folder / "items.parquet").to_pandas().set_index("item_id")
    some = judgments.groupby("source").sample(PAIRS // judgments["source"].nunique(), random_state=0)
    text = items["title"] + " " + items["image_captions"].map(" ".join) + " " + items["link_description"]
    return [(queries[row.query_id], text[row.item_id].strip()) for row in some.itertuples()]


@pytest.fixture(scope="module", params=["first", "mean"])
def minilm_teacher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pretrained MiniLM with a random head of two layers, sharp enough that a lost token type would show."""
    folder = tmp_path_factory.mktemp("teacher") / "minilm"
    torch.manual_seed(0)
    head = HeadSettings(hidden=(64,))
    teacher = Teacher(open_backbone("all-MiniLM-L6-v2"), request.param, head)
    torch.nn.init.normal_(teacher.head[-1].weight, std=1.0)
    text = TextSettings(max_tokens=96)
    card = {"backbone": "all-MiniLM-L6-v2", "pooling": request.param, "head": head, "text": text}
    publish(teacher, "minilm", card | {"metrics": {}, "lineage": {}}, str(folder))
    return folder


@pytest.mark.slow
def test_vllm_equals_transformers_on_real_pairs(minilm_teacher: Path, relevance_dir: Path, vllm_process: Executor):
    pairs = real_pairs(relevance_dir)
    assert len(pairs) == PAIRS
    reference = grade_pairs(str(minilm_teacher), pairs, EngineSettings(name="transformers"))
    graded = vllm_process.submit(grade_pairs, str(minilm_teacher), pairs, VLLM).result()
    assert largest_difference(graded, reference) <= TOLERANCE
    assert probabilities(reference).max(axis=1).std() > 0.05, "a teacher that says the same of all pairs proves nothing"


def test_grades_come_in_the_order_asked(tiny_teacher_dir: Path):
    pairs = [("red shoe", "boot " * length) for length in (9, 1, 5, 3)]
    settings = EngineSettings(name="transformers", batch_size=2)
    together = grade_pairs(str(tiny_teacher_dir), pairs, settings)
    apart = np.concatenate([grade_pairs(str(tiny_teacher_dir), [pair], settings) for pair in pairs])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_no_pairs_give_no_rows(tiny_teacher_dir: Path):
    assert grade_pairs(str(tiny_teacher_dir), [], EngineSettings(name="transformers")).shape == (0, 5)
