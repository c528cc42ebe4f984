import numpy as np
import pyarrow as pa

from pinrank.soft_labels import logits_of
from pinrank.tables import SOFT_LABELS
from pinrank.teacher.shared_grades import shared
from pinrank.teacher.siblings import SameImage
from pinrank.text import pair_key

SAME = SameImage.of(
    [
        {"pin_id": "cat", "locale": "en", "image_url": "cat.jpg"},
        {"pin_id": "cat@de", "locale": "de", "image_url": "cat.jpg"},
        {"pin_id": "cat@fr", "locale": "fr", "image_url": "cat.jpg"},
        {"pin_id": "dog", "locale": "en", "image_url": "dog.jpg"},
    ]
)
PIN_TEXT = pa.table(
    {
        "pin_id": ["cat", "cat@de", "cat@fr", "dog"],
        "source": ["photos", "fotos", "photos", "photos"],
        "fingerprint": ["1", "2", "3", "4"],
    }
)

FINGERPRINTS = dict(zip(PIN_TEXT["pin_id"].to_pylist(), PIN_TEXT["fingerprint"].to_pylist(), strict=True))


def labels(*pairs: tuple[str, str, str]) -> pa.Table:
    """(query, locale, pin) with logits that count up, teacher and weight."""
    rows = [
        {
            "pair_key": pair_key(query, pin_id),
            "query": query,
            "query_locale": locale,
            "pin_id": pin_id,
            "source": "photos",
            "weight": 2.0,
            "logits": [float(number)] * 5,
            "num_tokens": 7,
            "teacher": "teacher@1",
            "fingerprint": FINGERPRINTS.get(pin_id, "x"),
        }
        for number, (query, locale, pin_id) in enumerate(pairs)
    ]
    return pa.Table.from_pylist(rows, schema=SOFT_LABELS.schema)


def test_the_grade_of_a_pair_in_one_language_holds_for_a_pin_in_another() -> None:
    (found,) = shared(labels(("kitten", "en", "cat")), SAME, PIN_TEXT, most=1, seed=0).to_pylist()
    fingerprint, source = {"cat@de": ("2", "fotos"), "cat@fr": ("3", "photos")}[found["pin_id"]]
    assert (found["fingerprint"], found["source"]) == (fingerprint, source)
    assert found["pair_key"] == pair_key("kitten", found["pin_id"])
    assert (found["query"], found["query_locale"], found["weight"], found["teacher"]) == (
        "kitten",
        "en",
        2,
        "teacher@1",
    )


def test_no_more_pins_get_it_than_are_asked_for_and_none_that_has_its_own() -> None:
    given = labels(("kitten", "en", "cat"), ("kitten", "en", "cat@de"))
    assert shared(given, SAME, PIN_TEXT, most=5, seed=0)["pin_id"].to_pylist() == ["cat@fr"]
    assert shared(given, SAME, PIN_TEXT.slice(0, 2), most=5, seed=0).num_rows == 0  # no text of cat@fr
    assert shared(labels(("kitten", "en", "cat")), SAME, PIN_TEXT, most=2, seed=0).num_rows == 2


def test_a_pin_in_another_language_than_its_query_shares_nothing() -> None:
    given = labels(("Katze", "de", "cat"), ("puppy", "en", "dog"), ("kitten", "en", "unheard of"))
    assert shared(given, SAME, PIN_TEXT, most=1, seed=0).num_rows == 0


def test_what_is_shared_does_not_depend_on_the_order_of_the_rows() -> None:
    given = labels(*((f"kitten {number}", "en", "cat") for number in range(20)))
    turned = given.take(pa.array(range(19, -1, -1)))
    one, other = (shared(each, SAME, PIN_TEXT, most=1, seed=3) for each in (given, turned))
    assert one.equals(other)
    assert set(one["pin_id"].to_pylist()) == {"cat@de", "cat@fr"}
    np.testing.assert_array_equal(np.sort(logits_of(one)[:, 0]), np.arange(20))


def test_the_grade_of_a_text_that_has_changed_since_is_not_shared() -> None:
    given = labels(("kitten", "en", "cat"))
    earlier = given.set_column(given.column_names.index("fingerprint"), "fingerprint", [["of last week"]])
    assert shared(earlier, SAME, PIN_TEXT, most=2, seed=0).num_rows == 0
