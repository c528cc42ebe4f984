from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pinrank.teacher.siblings import NEAR, SameImage, WeakPair, asking, in_other_locales, near_pins

ROWS = [
    {"pin_id": "cat", "locale": "en", "image_url": "cat.jpg"},
    {"pin_id": "cat too", "locale": "en", "image_url": "cat.jpg"},
    {"pin_id": "cat@de", "locale": "de", "image_url": "cat.jpg"},
    {"pin_id": "cat@fr", "locale": "fr", "image_url": "cat.jpg"},
    {"pin_id": "dog", "locale": "en", "image_url": "dog.jpg"},
    {"pin_id": "sofa", "locale": "en", "image_url": "sofa.jpg"},
    {"pin_id": "plain", "locale": "en", "image_url": ""},
    {"pin_id": "plain too", "locale": "de", "image_url": None},
]
SAME = SameImage.of(ROWS)
SOURCES = {"sofa": "shop", "cat@de": "foreign photos", "cat@fr": "foreign photos"}
PINS = {row["pin_id"]: {"source": SOURCES.get(row["pin_id"], "photos"), "text": row["pin_id"]} for row in ROWS}


def pair(pin_id: str, locale: str = "en", query: str = "kitten") -> WeakPair:
    return WeakPair(query, locale, pin_id)


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """A vector that knows whether a text is about cats."""
    return np.asarray([[1, 0] if "cat" in text or "kitten" in text else [0, 1] for text in texts], dtype=np.float32)


def test_pins_that_show_one_image_are_siblings_and_a_pin_without_image_has_none() -> None:
    assert SAME.siblings("cat") == ["cat too", "cat@de", "cat@fr"]
    assert SAME.foreign("cat") == ["cat@de", "cat@fr"]
    assert SAME.siblings("dog") == SAME.siblings("plain") == SAME.siblings("unheard of") == []


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (pair("cat@de"), "cat"),  # the sibling in the query's locale says what the query's words can be compared with
        (pair("cat@de", locale="de"), "cat@de"),
        (pair("cat@de", locale="ja"), "cat@de"),
        (pair("cat"), "cat"),
        (pair("plain too"), "plain too"),
    ],
)
def test_a_pair_is_read_in_the_language_of_its_query_where_its_image_has_such_a_pin(given: WeakPair, read: str) -> None:
    assert SAME.read_for(given) == read


def test_a_query_asks_for_images_when_its_pin_is_in_its_locale_and_its_source_has_foreign_siblings() -> None:
    pairs = [pair("dog", query="puppy"), pair("cat"), pair("cat"), pair("sofa", query="couch"), pair("cat@de")]
    assert asking(pairs, PINS, SAME) == {"en": ["kitten", "puppy"]}
    assert asking([pair("cat@de", "de", "Katze")], PINS | {"cat@de": PINS["cat"]}, SAME) == {"de": ["Katze"]}


def test_a_query_meets_near_pins_through_a_sibling_in_another_locale() -> None:
    pairs = in_other_locales([pair("dog")], PINS, SAME, encode, per_query=2, seed=0)
    assert len(pairs) == 2  # of "cat" and "cat too"; "dog" and "sofa" have no siblings
    assert {each.pin_id for each in pairs} <= {"cat@de", "cat@fr"}
    assert {(each.query, each.query_locale) for each in pairs} == {("kitten", "en")}


def test_pins_without_text_are_not_looked_at() -> None:
    silent = PINS | {"cat": {"source": "photos", "text": ""}}
    assert len(in_other_locales([pair("dog")], silent, SAME, encode, per_query=2, seed=0)) == 1


def test_half_are_nearest_one_is_far_and_the_others_are_near() -> None:
    pins_PD = np.linspace(1, 0, 200, dtype=np.float32)[:, None]
    (rows,) = near_pins(np.ones((1, 1), dtype=np.float32), pins_PD, [7], per_query=9)
    assert rows[:4].tolist() == [0, 1, 2, 3]
    assert all(4 <= row < NEAR for row in rows[4:8]) and rows[8] >= NEAR


@given(st.integers(0, 150), st.integers(0, NEAR), st.integers(0, 9))
def test_no_row_comes_twice_and_none_is_missing_where_there_are_enough(num_pins: int, per_query: int, key: int) -> None:
    pins_PD = np.random.default_rng(0).random((num_pins, 1), dtype=np.float32)
    one = np.ones((1, 1), dtype=np.float32)
    (rows,), (again,) = (near_pins(one, pins_PD, [key], per_query) for _ in range(2))
    assert rows.tolist() == again.tolist()
    assert len(set(rows.tolist())) == len(rows) == min(per_query, num_pins)
