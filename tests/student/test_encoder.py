"""Texts to vectors, whatever batch they come in."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.student.encoder import TextEncoder, padded


@pytest.fixture(scope="module")
def encoder(tiny_bert_dir: Path) -> TextEncoder:
    return TextEncoder.open(tiny_bert_dir)


def test_vectors_come_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = ["a red sofa in a small flat", "pasta", "", "lemon cake with cream", "pasta"] * 40
    together = encoder.encode(texts, max_tokens=16)
    alone = np.concatenate([encoder.encode([text], max_tokens=16) for text in texts[:5]])
    np.testing.assert_allclose(together, np.tile(alone, (40, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together.dtype == np.float32


def test_half_precision_stays_close(encoder: TextEncoder) -> None:
    texts = ["a red sofa", "pasta"]
    full, half = (encoder.encode(texts, 16, precision) for precision in ("float32", "bfloat16"))
    assert (full * half).sum(axis=1).min() > 0.999


def test_padding_is_masked() -> None:
    ids, mask = padded([[1, 2, 3], [4]], pad_id=9)
    assert ids[:, :4].tolist() == [[1, 2, 3, 9], [4, 9, 9, 9]]
    assert mask.sum(dim=1).tolist() == [3, 1]
    assert ids.shape == mask.shape == (2, 8)
