"""Stems by locale."""

import pytest

from pinrank import lexical

STEMS = lexical.WordSettings(stems="locale")


@pytest.mark.parametrize(
    ("text", "locale", "stems"),
    [
        ("Running shoes", "en", "run shoe"),
        ("Running shoes", "en-US", "run shoe"),
        ("laufende Schuhe", "de_DE", "laufend schuh"),
        ("скатерти", "ru", "скатерт"),
        ("running shoes", None, "running shoes"),
        ("running shoes", "", "running shoes"),
        ("running shoes", "mul", "running shoes"),
        ("running shoes", "zz", "running shoes"),
    ],
)
def test_words_become_stems_of_their_locale(text: str, locale: str | None, stems: str) -> None:
    expected = lexical.term_ids(stems.split()).tolist()
    assert lexical.query_terms(text, locale, STEMS).tolist() == expected
    assert lexical.field_terms([{"title": text, "locale": locale}], STEMS).terms.tolist() == expected


def test_without_stems_words_stay_as_they_stand() -> None:
    assert lexical.query_terms("Running shoes", "en").tolist() == lexical.term_ids(["running", "shoes"]).tolist()
