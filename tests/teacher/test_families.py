"""Every family of backbones: opened, pooled, paired, published, and graded alike by both engines."""

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from pinrank.errors import ModelError
from pinrank.teacher.export import publish
from pinrank.teacher.families import family_of
from pinrank.teacher.model import Teacher, backbone_family, open_backbone
from pinrank.teacher.score import EngineSettings, TransformersEngine, grade_pairs, largest_difference, open_engine
from pinrank.teacher.settings import HeadSettings
from pinrank.teacher.tokens import PairTokenizer
from pinrank.text import TextSettings, packed
from tests.tiny_models import TINY, tiny_backbone

TOLERANCE = 1e-4
"""In probability, float32."""

TEXT = TextSettings(max_query_tokens=16, max_tokens=64)
PAIRS = [
    ("red shoes", packed({"title": "boots", "caption": "a bowl of soup"}, TEXT)),
    ("cake", packed({"title": "sofa " * 60, "description": "boots " * 30}, TEXT)),
    ("a", ""),
    ("bread", "a text of one piece"),
]


def published(kind: str, folder: Path) -> Path:
    """A teacher of random weights on a tiny backbone of a family."""
    backbone = str(tiny_backbone(kind, folder / "backbone"))
    torch.manual_seed(1)
    head = HeadSettings(hidden=(16,))
    pooling = backbone_family(backbone).pooling
    teacher = Teacher(open_backbone(backbone), pooling, head)
    for layer in teacher.head:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.5)
    card = {"backbone": backbone, "pooling": pooling, "head": head, "text": TEXT, "metrics": {}, "lineage": {}}
    publish(teacher, kind, card, str(folder / "teacher"))
    return folder / "teacher"


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: published(kind, tmp_path_factory.mktemp(kind)) for kind in TINY}


def tokens(teacher: Path, pair: tuple[str, str]) -> str:
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    (prompt,) = PairTokenizer.open(str(teacher), TEXT).prompts([pair])
    return " ".join(tokenizer.convert_ids_to_tokens(prompt.token_ids))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("xlm-roberta", "<s> ▁a </s> </s> ▁b </s>"),
        ("deberta-v2", "[CLS] ▁a [SEP] ▁b [SEP]"),
        ("t5", "▁a </s> ▁b </s>"),
        ("llama", "<|begin|> a Ċ b"),
        ("qwen2", "a Ċ b"),
    ],
)
def test_a_pair_stands_between_the_families_own_separators(teachers: dict[str, Path], kind: str, expected: str):
    assert tokens(teachers[kind], ("a", "b")) == expected


@pytest.mark.parametrize(
    ("model_type", "pooling"),
    [("bert", "first"), ("xlm-roberta", "first"), ("deberta-v2", "first"), ("t5", "mean"), ("llama", "last")],
)
def test_the_pooling_follows_the_family(model_type: str, pooling: str):
    assert family_of(model_type).pooling == pooling


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match=r"'perceiver' is unknown.*bert.*llama"):
        family_of("perceiver")


@pytest.mark.parametrize("kind", TINY)
def test_logits_do_not_depend_on_what_shares_the_batch(teachers: dict[str, Path], kind: str):
    settings = EngineSettings(name="transformers")
    together = grade_pairs(str(teachers[kind]), PAIRS, settings)
    apart = np.concatenate([grade_pairs(str(teachers[kind]), [pair], settings) for pair in PAIRS])
    assert largest_difference(together, apart) < TOLERANCE


@pytest.mark.parametrize("kind", ["deberta-v2", "t5"])
def test_a_family_that_vllm_lacks_is_graded_by_transformers_and_the_log_says_so(
    teachers: dict[str, Path], kind: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level("INFO"):
        engine = open_engine(str(teachers[kind]), EngineSettings(name="vllm"))
    assert isinstance(engine, TransformersEngine)
    assert f"vLLM has no {family_of(kind).name}, so transformers grades" in caplog.text


@pytest.mark.slow
def test_vllm_grades_like_transformers(teachers: dict[str, Path], vllm_process: Executor):
    folders = {kind: str(folder) for kind, folder in teachers.items() if family_of(kind).in_vllm}
    assert {"xlm-roberta", "llama", "mistral", "qwen2", "qwen3"} <= set(folders)
    vllm = EngineSettings(name="vllm", kv_cache_bytes=2**26)
    for folder in folders.values():
        graded = vllm_process.submit(grade_pairs, folder, PAIRS, vllm).result()
        reference = grade_pairs(folder, PAIRS, EngineSettings(name="transformers"))
        assert largest_difference(graded, reference) < TOLERANCE, folder
