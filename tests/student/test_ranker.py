"""The numpy MLP of serving equals the torch MLP of training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pinrank.errors import ModelError
from pinrank.student.model import Ranker
from pinrank.student.ranker import RANKER_FILE, RankerWeights, open_ranker
from pinrank.student.settings import RankerSettings

D, F, N = 24, 7, 33


def ranker_of(hidden: tuple[int, ...], seed: int = 0) -> Ranker:
    torch.manual_seed(seed)
    ranker = Ranker(D, F, RankerSettings(hidden=hidden), cosine_centre=0.4, cosine_scale=5.0).eval()
    for weight in ranker.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return ranker


def opened(ranker: Ranker, folder: Path) -> RankerWeights:
    save_file({name: value.contiguous() for name, value in ranker.state_dict().items()}, folder / RANKER_FILE)
    return open_ranker(folder, ranker.cosine_centre, ranker.cosine_scale)


def unit_vectors(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("hidden", [(16,), (16, 8), (12, 10, 6)])
def test_numpy_ranker_equals_torch_ranker(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    ranker = ranker_of(hidden)
    weights = opened(ranker, tmp_path)
    query, pins = unit_vectors(1, 1)[0], unit_vectors(N, 2)
    features = np.random.default_rng(3).normal(size=(N, F)).astype(np.float32)
    rows = np.concatenate([pins, weights.pin_side(pins)], axis=1)
    with torch.inference_mode():
        wanted = ranker(torch.from_numpy(query).expand(N, -1), torch.from_numpy(pins), torch.from_numpy(features))
    np.testing.assert_allclose(weights.logits(query, rows, features), wanted.numpy(), atol=1e-5)


def test_half_precision_rows_hardly_change_the_logits(tmp_path: Path) -> None:
    weights = opened(ranker_of((16, 8)), tmp_path)
    query, pins = unit_vectors(1, 1)[0], unit_vectors(N, 2)
    features = np.zeros((N, F), dtype=np.float32)
    rows = np.concatenate([pins, weights.pin_side(pins)], axis=1)
    np.testing.assert_allclose(
        weights.logits(query, rows.astype(np.float16), features), weights.logits(query, rows, features), atol=5e-3
    )


def test_an_untrained_ranker_orders_by_cosine(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = opened(Ranker(D, F, RankerSettings(), cosine_centre=0.4, cosine_scale=5.0), tmp_path)
    query, pins = unit_vectors(1, 1)[0], unit_vectors(N, 2)
    rows = np.concatenate([pins, weights.pin_side(pins)], axis=1)
    logits = weights.logits(query, rows, np.random.default_rng(0).normal(size=(N, F)).astype(np.float32))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected_level = probabilities @ np.arange(1, 6)
    assert np.argsort(expected_level).tolist() == np.argsort(pins @ query).tolist()


def test_no_candidates_are_no_logits(tmp_path: Path) -> None:
    weights = opened(ranker_of((16,)), tmp_path)
    rows = np.zeros((0, D + 16), dtype=np.float16)
    assert weights.logits(unit_vectors(1, 0)[0], rows, np.zeros((0, F), dtype=np.float32)).shape == (0, 5)


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_a_damaged_ranker_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / RANKER_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"ranker\.safetensors"):
        open_ranker(tmp_path, 0.4, 5.0)
