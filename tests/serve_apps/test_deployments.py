"""The deployments' work without Ray: caching queries, encoding texts, looking up, grading."""

import numpy as np
import pytest

from pinrank.embeddings.store import PinStore
from pinrank.levels import probabilities
from pinrank.student.export import StudentBundle, open_student
from serve_apps.rerank.pin_embeddings import lookup
from serve_apps.rerank.query_encoder import QueryCache, candidates_of_texts
from serve_apps.rerank.ranker import grade
from tests.serve_apps.shop import Shop


@pytest.fixture(scope="module")
def bundle(shop: Shop) -> StudentBundle:
    return open_student(shop.student)


def vector(value: float) -> np.ndarray:
    return np.full(2, value, dtype=np.float32)


def test_the_cache_forgets_what_was_not_asked_for_longest() -> None:
    cache = QueryCache(entries=2)
    cache.put("a", vector(1))
    cache.put("b", vector(2))
    cache.get("a")
    cache.put("c", vector(3))
    assert cache.get("b") is None
    assert [cache.get(query)[0] for query in ("a", "c")] == [1, 3]


def test_a_cache_of_no_entries_keeps_nothing() -> None:
    cache = QueryCache(entries=0)
    cache.put("a", vector(1))
    assert (cache.get("a"), len(cache)) == (None, 0)


def test_equal_texts_get_equal_rows_and_the_terms_of_a_title(bundle: StudentBundle) -> None:
    candidates = candidates_of_texts(bundle, ["blue bicycle", "garden shed in the rain", " blue \n bicycle"])
    assert np.array_equal(candidates.rows_NR[0], candidates.rows_NR[2])
    assert not np.array_equal(candidates.rows_NR[0], candidates.rows_NR[1])
    assert candidates.terms.lengths()[:, 0].tolist() == [2, 5, 2]
    assert candidates.found_N.all()


def test_unknown_pins_are_zero_rows_without_terms(shop: Shop) -> None:
    candidates = lookup(PinStore.open(shop.pin_store), ["pin-3", "gone"])
    assert candidates.found_N.tolist() == [True, False]
    assert not candidates.rows_NR[1].any()
    assert candidates.terms.lengths()[1].sum() == 0


def test_stored_pins_are_graded_as_the_student_grades_them(shop: Shop, bundle: StudentBundle) -> None:
    query = "golden kitchen"
    pin_ids = list(shop.pins)[::-1]
    candidates = lookup(PinStore.open(shop.pin_store), pin_ids)
    graded_NL = grade(bundle, query, bundle.encode_queries([query])[0], candidates)
    pairs = [(query, shop.pins[pin_id]) for pin_id in pin_ids]
    offline = bundle.with_tables(shop.pin_tables).grade(pairs, precision="float32")
    np.testing.assert_allclose(graded_NL, probabilities(offline), atol=1e-3)
