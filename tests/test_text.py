import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pinrank.text import (
    FIELDS,
    FieldBudgets,
    TextSettings,
    fingerprint,
    join_list,
    normalise_query,
    pair_key,
    pin_text,
    tidy,
)

anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, ""),
        ("", ""),
        ("  red \t\n shoes ", "red shoes"),
        ("a\x00b", "a b"),
        ("cafe\u0301", "café"),
        ("\u00a0kitchen\u2003ideas", "kitchen ideas"),
        ("broken \ud83d half", "broken half"),
        ("سجاد أحمر", "سجاد أحمر"),
        ("👩\u200d🍳 kitchen", "👩\u200d🍳 kitchen"),
    ],
)
def test_tidy(raw: str | None, expected: str) -> None:
    assert tidy(raw) == expected


@given(anything)
def test_tidying_twice_changes_nothing_and_leaves_valid_text(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert once.encode().decode() == once
    assert "\x00" not in once


@pytest.mark.parametrize("spelling", ["  Red   SHOES ", "\uff32\uff25\uff24 shoes", "RED\tSHOES", "red\u00a0shoes"])
def test_spellings_of_one_query_are_one(spelling: str) -> None:
    assert normalise_query(spelling) == "red shoes"


def test_case_folding_knows_more_than_lower_case() -> None:
    assert normalise_query("STRASSE") == normalise_query("straße")


@given(anything)
def test_normalising_twice_changes_nothing(query: str) -> None:
    assert normalise_query(normalise_query(query)) == normalise_query(query)


def test_every_single_character_normalises_to_a_fixed_point() -> None:
    assert all(normalise_query(once) == once for once in (normalise_query(chr(code)) for code in range(0x110000)))


FULL = {name: f"{name} words" for name in FIELDS}


def test_pin_text_has_all_fields_in_their_order() -> None:
    assert pin_text(FULL, TextSettings()).split(" | ") == [f"{name} words" for name in FIELDS]


def test_pin_text_leaves_out_empty_absent_and_null_fields() -> None:
    assert pin_text({"title": "a", "caption": "", "link_title": "b"}, TextSettings()) == "a | b"
    assert pin_text({"title": None, "caption": "  "}, TextSettings()) == ""  # type: ignore[dict-item]
    assert pin_text({}, TextSettings()) == ""


def test_pin_text_cuts_each_field_to_its_budget_of_words() -> None:
    settings = TextSettings(budgets=FieldBudgets(title=2, caption=0))
    assert pin_text({"title": "one two three", "caption": "no", "link_title": "yes"}, settings) == "one two | yes"


def test_pin_text_does_not_lose_a_field_that_starts_with_a_space() -> None:
    assert pin_text({"title": " one  two"}, TextSettings()) == "one two"


def test_queries_must_leave_room_for_the_pin() -> None:
    with pytest.raises(ValidationError, match="leaves no room"):
        TextSettings(max_tokens=50, max_query_tokens=48)


def test_settings_refuse_misspelt_fields() -> None:
    with pytest.raises(ValidationError, match="titel"):
        FieldBudgets(titel=3)  # type: ignore[call-arg]


def test_fingerprint_is_blind_to_case_and_space() -> None:
    assert fingerprint({"title": " Red  Shoes"}) == fingerprint({"title": "red shoes", "caption": ""})


def test_fingerprint_sees_words_and_the_field_they_are_in() -> None:
    prints = {fingerprint({"title": "a b"}), fingerprint({"title": "b a"}), fingerprint({"caption": "a b"})}
    assert len(prints) == 3
    assert fingerprint({"title": "a", "description": "b"}) != fingerprint({"title": "a b"})


def test_pair_key_names_the_pair_whatever_the_spelling() -> None:
    assert pair_key("Red  Shoes", "p1") == pair_key("red shoes", "p1")
    assert len({pair_key("red shoes", "p1"), pair_key("red shoes", "P1"), pair_key("red", "shoes p1")}) == 3
    assert len(pair_key("x", "y")) == 32


@given(anything, st.text())
def test_any_query_has_a_pair_key(query: str, pin_id: str) -> None:
    try:
        pin_id.encode()
    except UnicodeEncodeError:
        return
    assert pair_key(query, pin_id) == pair_key(normalise_query(query), pin_id)


def test_join_list_leaves_out_empty_and_repeated_entries() -> None:
    assert join_list(None) == ""
    assert join_list(["b ", "", "a", "b"]) == "b, a"
