"""Words to term ids, of queries and of pins."""

import numpy as np

from pinrank import lexical
from tests.lexical.pins import PINS, read


def test_term_ids_are_the_hashes_of_tokens() -> None:
    ids = lexical.term_ids(["pasta", "sofa", "pasta"])
    assert ids.dtype == np.uint64
    assert ids[0] == ids[2] != ids[1]
    assert int(ids[0]) == 0x0782FE18E8743883


def test_field_terms_lie_in_the_order_of_fields() -> None:
    pins = read(PINS)
    assert len(pins) == 4
    assert pins.lengths()[:, 0].tolist() == [2, 2, 2, 0]
    assert pins.lengths()[0].tolist() == [2, 6, 0, 0, 0, 2, 0, 10]
    assert pins.terms[:2].tolist() == lexical.term_ids(["weeknight", "pasta"]).tolist()


def test_taken_pins_have_their_own_terms() -> None:
    pins = read(PINS)
    taken = pins.take(np.array([2, 0, 3, 2]))
    expected = read([PINS[2], PINS[0], PINS[3], PINS[2]])
    assert np.array_equal(taken.terms, expected.terms)
    assert np.array_equal(taken.offsets, expected.offsets)
