"""Vectors for others: which tower reads a text, how wide they are and how they are written."""

import base64

import numpy as np
import pytest

from pinrank.errors import ModelError
from pinrank.student.export import StudentBundle, open_student
from serve_apps.rerank.embeddings import EmbeddingsRequest, embed, kind_of, written
from tests.serve_apps.shop import Shop


@pytest.fixture(scope="module")
def bundle(shop: Shop) -> StudentBundle:
    return open_student(shop.student)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({}, "query"),
        ({"input_type": "pin"}, "pin"),
        ({"input_type": "search_document"}, "pin"),
        ({"input_type": "search_query"}, "query"),
        ({"model": "board"}, "board"),
        ({"model": "student@1a2b3c4d:8/pin"}, "pin"),
        ({"model": "text-embedding-3-small"}, "query"),
        ({"model": "student/pin", "input_type": "board"}, "board"),
    ],
)
def test_the_kind_of_text_is_said_by_a_field_or_by_the_models_name(said: dict[str, str], kind: str) -> None:
    assert kind_of(EmbeddingsRequest.model_validate({"input": "a", **said})) == kind


def test_a_student_that_is_cut_gives_vectors_of_its_width_and_wider_ones_when_asked(bundle: StudentBundle) -> None:
    cut = bundle.cut(8)
    assert embed(cut, "query", ["red"], None).vectors_ND.shape == (1, 8)
    whole = embed(cut, "query", ["red"], bundle.card.vector_dim).vectors_ND
    np.testing.assert_allclose(whole, bundle.encode_queries(["red"]), atol=1e-6)
    with pytest.raises(ModelError, match="dimensions: the student was trained for 8, 32, not 16"):
        embed(bundle, "query", ["red"], 16)


def test_vectors_have_length_1_whatever_their_width(bundle: StudentBundle) -> None:
    for dimensions in (None, 8):
        lengths = np.linalg.norm(embed(bundle, "pin", ["red", "a blue bicycle"], dimensions).vectors_ND, axis=1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-5)


def test_tokens_of_a_text_count_as_often_as_it_comes(bundle: StudentBundle) -> None:
    once, thrice = (embed(bundle, "query", ["red shoes"] * times, None) for times in (1, 3))
    assert thrice.num_tokens == 3 * once.num_tokens == 3 * 4  # with the two special ones


def test_base64_is_of_the_float32_in_little_endian() -> None:
    vector = np.asarray([0.5, -2.0], dtype=np.float32)
    assert base64.b64decode(str(written(vector, "base64"))) == b"\x00\x00\x00\x3f\x00\x00\x00\xc0"
    assert written(vector, "float") == [0.5, -2.0]
