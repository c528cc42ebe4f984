import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pinrank.engagement.pin_text import pin_text, steady
from pinrank.tables import ENGAGEMENT, PIN_TEXT, PINS, faults
from pinrank.text import fingerprint
from pinrank.unseen import NOTHING
from tests.engagement.logged import log, wanting

ANYONE = wanting()


def pins(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist([{"source": "s", "locale": "en", **row} for row in rows], PINS.schema)


PIN = {
    "pin_id": "p",
    "title": " Red\x00shoes ",
    "caption": "a shoe",
    "board_titles": ["Own", "own", ""],
    "link_title": "Shop",
    "link_description": "Buy",
}


def test_without_a_log_the_pins_own_words_are_used() -> None:
    (row,) = pin_text(pins(PIN), None, NOTHING, ANYONE).to_pylist()
    fields = {
        "title": "Red shoes",
        "description": "",
        "caption": "a shoe",
        "board_titles": "Own, own",
        "query_tokens": "",
        "link_title": "Shop",
        "link_description": "Buy",
    }
    assert row == {"pin_id": "p", "source": "s", "locale": "en", **fields, "fingerprint": fingerprint(fields)}


def test_with_a_log_link_text_needs_long_clicks_and_boards_come_from_the_log() -> None:
    actions = log(("u1", "p", "click", 30.0), ("u1", "q", "click", 3.0), ("u1", "q", "save", "Saved"))
    first, second = pin_text(pins(PIN, {**PIN, "pin_id": "q"}), actions, NOTHING, ANYONE).to_pylist()
    assert (first["link_title"], first["link_description"], first["board_titles"]) == ("Shop", "Buy", "")
    assert (second["link_title"], second["link_description"], second["board_titles"]) == ("", "", "Saved")


def test_empty_log_is_a_log() -> None:
    (row,) = pin_text(pins(PIN), ENGAGEMENT.schema.empty_table(), NOTHING, ANYONE).to_pylist()
    assert (row["title"], row["board_titles"], row["link_title"]) == ("Red shoes", "", "")


def test_pin_text_keeps_order_schema_and_rules() -> None:
    texts = pin_text(pins({"pin_id": "b"}, {"pin_id": "a"}, PIN), None, NOTHING, ANYONE)
    assert texts.schema == PIN_TEXT.schema
    assert texts.column("pin_id").to_pylist() == ["b", "a", "p"]
    assert faults(texts, PIN_TEXT) == []
    assert all(texts.column(name).null_count == 0 for name in PIN_TEXT.schema.names)


def test_fields_stay_while_less_than_the_share_changes() -> None:
    before = "red shoes kitchen wall art"
    assert steady("Wall art RED kitchen shoes", before, " ", 0.0) == before
    assert steady("red shoes kitchen wall", before, " ", 0.25) == before
    assert steady("red shoes kitchen wall", before, " ", 0.2) == "red shoes kitchen wall"
    assert steady("", "", " ", 0.2) == ""


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_fields_change_at_the_share_and_not_before(new: list[str], old: list[str]) -> None:
    changed = len(set(new) ^ set(old)) / max(1, len(set(new) | set(old)))
    kept = steady(" ".join(new), " ".join(old), " ", 0.5)
    assert kept == " ".join(old if changed == 0 or changed < 0.5 else new)
