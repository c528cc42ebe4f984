"""The numpy MLP of serving equals the torch MLP of training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pinrank.errors import ModelError
from pinrank.student.inputs import EmbeddingShape, Features, Shapes, Side, SideShape
from pinrank.student.model import Ranker
from pinrank.student.ranker import RANKER_FILE, RankerWeights, open_ranker
from pinrank.student.settings import RankerSettings

D, F, N = 24, 7, 33
PLAIN = Shapes(F)


def ranker_of(hidden: tuple[int, ...], seed: int = 0, shapes: Shapes = PLAIN) -> Ranker:
    torch.manual_seed(seed)
    ranker = Ranker(D, shapes, RankerSettings(hidden=hidden), cosine_centre=0.4, cosine_scale=5.0).eval()
    for weight in ranker.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return ranker


def opened(ranker: Ranker, folder: Path, shapes: Shapes = PLAIN) -> RankerWeights:
    save_file({name: value.contiguous() for name, value in ranker.state_dict().items()}, folder / RANKER_FILE)
    return open_ranker(folder, shapes, ranker.cosine_centre, ranker.cosine_scale)


def torch_features(pair: np.ndarray, query: Side | None = None, pin: Side | None = None) -> Features[torch.Tensor]:
    none = Side(np.zeros((len(pair), 0), np.float32), np.zeros((len(pair), 0), np.int32))
    return Features(pair, query or none, pin or none).mapped(torch.from_numpy)


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
        wanted = ranker(torch.from_numpy(query).expand(N, -1), torch.from_numpy(pins), torch_features(features))
    np.testing.assert_allclose(weights.logits(query, rows, features), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("dim", [4, 16])
def test_a_ranker_that_is_cut_equals_the_one_that_was_trained_at_that_width(tmp_path: Path, dim: int) -> None:
    ranker = ranker_of((16, 8))
    query, pins = unit_vectors(1, 1)[0], unit_vectors(N, 2)
    features = np.random.default_rng(3).normal(size=(N, F)).astype(np.float32)
    with torch.inference_mode():
        vectors = torch.from_numpy(query).expand(N, -1), torch.from_numpy(pins)
        wanted = ranker(*vectors, torch_features(features), dim)
    weights = opened(ranker, tmp_path).cut(dim)
    query, pins = query[:dim] / np.linalg.norm(query[:dim]), pins[:, :dim]
    pins = pins / np.linalg.norm(pins, axis=1, keepdims=True)
    rows = np.concatenate([pins, weights.pin_side(pins)], axis=1)
    np.testing.assert_allclose(weights.logits(query, rows, features), wanted.numpy(), atol=1e-5)
    assert weights.vector_dim == dim


@st.composite
def side_shapes(draw: st.DrawFn) -> SideShape:
    tables = st.builds(EmbeddingShape, st.integers(2, 6), st.integers(1, 5), st.integers(1, 3))
    return SideShape(draw(st.integers(0, 4)), tuple(draw(st.lists(tables, max_size=3))))


def some_features(shape: SideShape, count: int, rng: np.random.Generator) -> Side:
    """Random features of a side: each category has one to all of the values that it may have."""
    numbers = rng.normal(size=(count, shape.num_numbers)).astype(np.float32)
    buckets = np.full((count, shape.num_buckets), -1, dtype=np.int32)
    for columns, table in zip(shape.columns, shape.embeddings, strict=True):
        found = rng.integers(0, table.num_buckets, (count, table.max_values))
        kept = np.arange(table.max_values) < rng.integers(1, table.max_values + 1, (count, 1))
        buckets[:, columns] = np.where(kept, found, -1)
    return Side(numbers, buckets)


@given(
    num_pair=st.integers(0, 5),
    query=side_shapes(),
    pin=side_shapes(),
    hidden=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    count=st.integers(0, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_numpy_equals_torch_whatever_the_features(
    tmp_path_factory: pytest.TempPathFactory,
    num_pair: int,
    query: SideShape,
    pin: SideShape,
    hidden: list[int],
    count: int,
    seed: int,
) -> None:
    shapes, rng = Shapes(num_pair, query, pin), np.random.default_rng(seed)
    ranker = ranker_of(tuple(hidden), seed, shapes)
    weights = opened(ranker, tmp_path_factory.mktemp("ranker"), shapes)
    of_query, of_pins = some_features(query, 1, rng), some_features(pin, count, rng)
    vector, pins = unit_vectors(1, seed)[0], unit_vectors(count, seed + 1)
    pair = rng.normal(size=(count, num_pair)).astype(np.float32)
    rows = np.concatenate([pins, weights.pin_side(pins, of_pins)], axis=1)
    with torch.inference_mode():
        repeated = Side(of_query.numbers_NW.repeat(count, axis=0), of_query.buckets_NM.repeat(count, axis=0))
        vectors = torch.from_numpy(vector).expand(count, -1)
        wanted = ranker(vectors, torch.from_numpy(pins), torch_features(pair, repeated, of_pins))
    np.testing.assert_allclose(weights.logits(vector, rows, pair, of_query), wanted.numpy(), rtol=1e-5, atol=1e-5)


def test_side_features_change_nothing_before_they_are_learnt() -> None:
    shape = SideShape(3, (EmbeddingShape(5, 4, 2),))
    ranker = Ranker(D, Shapes(F, shape, shape), RankerSettings(), cosine_centre=0.4, cosine_scale=5.0).eval()
    side = some_features(shape, N, np.random.default_rng(0))
    for layer in (ranker.query_features, ranker.pin_features):
        assert layer is not None and not layer(Side(*map(torch.from_numpy, side))).any()


def test_a_ranker_of_other_features_is_refused(tmp_path: Path) -> None:
    opened(ranker_of((16,), shapes=Shapes(F, SideShape(3))), tmp_path, Shapes(F, SideShape(3)))
    with pytest.raises(ModelError, match="query_features has the shapes"):
        open_ranker(tmp_path, Shapes(F, SideShape(4)), 0.4, 5.0)
    with pytest.raises(ModelError, match="not a student's ranker"):
        open_ranker(tmp_path, Shapes(F, SideShape(3), SideShape(1)), 0.4, 5.0)


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
    weights = opened(Ranker(D, Shapes(F), RankerSettings(), cosine_centre=0.4, cosine_scale=5.0), tmp_path)
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
        open_ranker(tmp_path, Shapes(F), 0.4, 5.0)
