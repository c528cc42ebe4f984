from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets.markup import without_markup


def test_tags_separate_words_and_entities_become_characters() -> None:
    assert without_markup("<ul><li>Soft</li><li>warm &amp; dry</li></ul>") == "Soft warm & dry"


def test_style_sheets_and_scripts_are_not_text() -> None:
    assert without_markup("<style>.a { color: red }</style>Lamp<script>var x = 1 < 2;</script>") == "Lamp"


def test_a_text_without_markup_is_only_tidied() -> None:
    assert without_markup("  a \n b ") == "a b"


def test_a_sign_that_opens_no_tag_stays() -> None:
    assert without_markup("fits < 5 cm & more") == "fits < 5 cm & more"


def test_no_text_is_an_empty_text() -> None:
    assert without_markup(None) == ""


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert "\n" not in without_markup(text)
