"""Features of pins and queries from pinrank's own tables."""

import datetime

import pyarrow as pa

from pinrank.student.derived_features import OF_PINS, OF_QUERIES, of_pins, of_queries
from pinrank.tables import PIN_ENGAGEMENT, PIN_TEXT
from pinrank.text import FIELDS, fingerprint


def pin_text() -> pa.Table:
    fields = [dict.fromkeys(FIELDS, "") | {"caption": caption} for caption in ("a red  sofa", " ", "lamp")]
    rows = [
        {"pin_id": pin_id, "source": "s", "locale": locale, **row, "fingerprint": fingerprint(row)}
        for pin_id, locale, row in zip("abc", ("en", "", None), fields, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=PIN_TEXT.schema)


def test_people_and_words_are_counted_and_what_is_not_known_is_missing() -> None:
    done = [("a", 0, 1), ("a", 3, 1), ("a", 0, 2), ("a", 1, 1), ("c", 2, 9), ("gone", 0, 1)]
    day = datetime.date(2026, 5, 4)
    rows = [{"pin_id": pin, "kind": kind, "user": user, "last_day": day} for pin, kind, user in done]
    found = of_pins(pin_text(), pa.Table.from_pylist(rows, schema=PIN_ENGAGEMENT.schema))
    assert found.schema == OF_PINS.schema
    assert found["locale"].to_pylist() == ["en", None, None]
    assert found["caption_words"].to_pylist() == [3.0, None, 1.0]
    assert found["savers"].to_pylist() == [2.0, 0.0, 0.0]
    assert found["clickers"].to_pylist() == [1.0, 0.0, 1.0]


def test_without_a_log_nobody_knows_who_saved_a_pin() -> None:
    assert of_pins(pin_text(), None)["savers"].to_pylist() == [None] * 3


def test_queries_are_counted_in_any_spelling_with_their_locales_the_most_frequent_first() -> None:
    shown = [("Sofa", "de"), ("sofa ", "en"), ("sofa", "en"), ("sofa", None), ("lamp", "")]
    found = of_queries(pa.table({"query": [query for query, _ in shown], "query_locale": [each for _, each in shown]}))
    assert found.schema == OF_QUERIES.schema
    rows = {row["query"]: (row["locales"], row["impressions"]) for row in found.to_pylist()}
    assert rows == {"sofa": (["en", "de"], 4.0), "lamp": ([], 1.0)}
