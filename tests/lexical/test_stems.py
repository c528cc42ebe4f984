"""Stems by the language of the pin."""

import numpy as np
import pytest
from pydantic import ValidationError

from pinrank import lexical


def terms(words: str) -> list[int]:
    return lexical.term_ids(words.split()).tolist()


@pytest.mark.parametrize(
    ("title", "locale", "stems"),
    [
        ("Running shoes", "en", "run shoe"),
        ("laufende Schuhe", "de_DE", "laufend schuh"),
        ("laufende Schuhe", "de", "laufend schuh"),
        ("laufende Schuhe", "DE-at", "laufend schuh"),
        ("скатерти", "ru", "скатерт"),
        ("katter", "nb", "katt"),
        ("running 寿司屋", "ja", "run 寿司 司屋"),
        ("running shoes", None, "run shoe"),
        ("running shoes", "", "run shoe"),
        ("running shoes", "mul", "run shoe"),
        ("running shoes", "zz", "run shoe"),
    ],
)
def test_a_pins_words_become_stems_of_its_language(title: str, locale: str | None, stems: str) -> None:
    assert lexical.field_terms([{"title": title, "locale": locale}]).terms.tolist() == terms(stems)


def test_the_language_of_pins_without_a_known_locale_is_a_setting() -> None:
    row = {"title": "laufende running", "locale": None}
    for language, stems in (("de", "laufend running"), ("", "laufende running")):
        words = lexical.WordSettings(fallback_language=language)
        assert lexical.field_terms([row], words).terms.tolist() == terms(stems)
    with pytest.raises(ValidationError, match="no stemmer for 'xx'"):
        lexical.WordSettings(fallback_language="xx")


def test_without_stems_words_stay_as_they_stand() -> None:
    read = lexical.field_terms([{"title": "Running shoes", "locale": "en"}], lexical.WordSettings(stems="none"))
    assert read.terms.tolist() == terms("running shoes")


@pytest.mark.parametrize("stems", ["none", "locale"])
def test_a_query_is_read_in_the_language_of_each_pin_that_it_meets(stems: str) -> None:
    words = lexical.WordSettings.model_validate({"stems": stems})
    rows = [{"title": "casas", "locale": locale} for locale in ("pt", "en", None, "de", "es")]
    pins = lexical.field_terms(rows, words)
    queries = [lexical.query_terms(query) for query in ("casas vermelhas", "casas")]
    asked = np.array([0, 1, 0, 1, 1])
    found = lexical.features(queries, pins, lexical.fit(pins, words), asked)
    matched = found[:, lexical.NAMES.index("matched.title")]
    assert matched.tolist() == [0.5, 1, 0.5, 1, 1]
    assert found[:, lexical.NAMES.index("exact.title")].tolist() == [0, 1, 0, 1, 1]


def test_words_of_one_stem_match_only_where_the_pins_language_joins_them() -> None:
    pins = lexical.field_terms([{"title": "running", "locale": locale} for locale in ("en", "de")])
    found = lexical.features([lexical.query_terms("runs")], pins, lexical.fit(pins), np.zeros(2, dtype=int))
    assert found[:, lexical.NAMES.index("matched.title")].tolist() == [1, 0]


def test_a_row_without_a_locale_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no 'locale', only title\. Select the columns lexical\.READ"):
        lexical.field_terms([{"title": "running shoes"}])
