"""The deployments' work without Ray: caching queries, encoding texts, looking up, grading."""

import numpy as np
import pytest

from pinrank.embeddings.store import PinStore
from pinrank.levels import probabilities
from pinrank.student.export import StudentBundle, open_student
from serve_apps.rerank.grading import grade
from serve_apps.rerank.pin_embeddings import lookup
from serve_apps.rerank.query_encoder import candidates_of_texts
from tests.serve_apps.shop import Shop


@pytest.fixture(scope="module")
def bundle(shop: Shop) -> StudentBundle:
    return open_student(shop.student)


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
