"""Texts to words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank import lexical


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Weeknight Pasta!", ["weeknight", "pasta"]),
        ("foo_bar don't", ["foo", "bar", "don", "t"]),
        ("寿司屋", ["寿司", "司屋"]),
        ("テ", ["テ"]),
        ("สวัสดี12", ["สว", "วั", "ัส", "สด", "ดี", "12"]),
        ("iPhone15を買う", ["iphone15", "を買", "買う"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("\uff46\uff55\uff4c\uff4c width", ["full", "width"]),
        ("हिन्दी किताब", ["हिन्दी", "किताब"]),
        ("cafe\u0301", ["café"]),
        ("", []),
        (" ,.!? ", []),
    ],
)
def test_text_becomes_words(text: str, tokens: list[str]) -> None:
    assert lexical.tokenize(text) == tokens


@given(st.text())
def test_tokens_hold_no_white_space_and_are_their_own_tokens(text: str) -> None:
    for token in lexical.tokenize(text):
        assert token and not any(character.isspace() for character in token)


LETTERS = st.characters(max_codepoint=0x4FF, exclude_characters="\u0345")  # whose own case folding needs a normal form


@given(st.text(LETTERS))
def test_tokens_are_blind_to_case(text: str) -> None:
    assert lexical.tokenize(text) == lexical.tokenize(text.casefold())


@given(st.text())
def test_tokens_are_blind_to_how_a_letter_is_composed(text: str) -> None:
    assert lexical.tokenize(text) == lexical.tokenize(unicodedata.normalize("NFD", text))
