"""Words, BM25 and match features, against plain arithmetic."""

import math
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank import lexical
from pinrank.errors import ModelError
from pinrank.text import FIELDS

PINS = [
    {"title": "weeknight pasta", "description": "pasta with lemon, pasta with basil", "link_title": "Easy pasta"},
    {"title": "red sofa", "description": "a sofa for a small flat"},
    {"title": "lemon cake"},
    {},
]
WORDS = st.sampled_from(["pasta", "lemon", "sofa", "red", "cake", "with", "寿司", "unseen"])


def plain_bm25(query: str, pin: int, column: str) -> float:
    """BM25 as in a textbook, one term at a time."""
    texts = [" ".join(row.get(name, "") for name in (FIELDS if column == "all" else (column,))) for row in PINS]
    counts = [Counter(lexical.tokenize(text)) for text in texts]
    mean = sum(sum(count.values()) for count in counts) / len(counts)
    total = 0.0
    for term in set(lexical.tokenize(query)):
        df = sum(term in count for count in counts)
        idf = math.log(1 + (len(PINS) - df + 0.5) / (df + 0.5))
        tf = counts[pin][term]
        norm = 1.2 * (1 - 0.75 + 0.75 * sum(counts[pin].values()) / mean) if mean else 0
        total += idf * tf * 2.2 / (tf + norm) if tf else 0.0
    return total


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


def test_term_ids_are_the_hashes_of_tokens() -> None:
    ids = lexical.term_ids(["pasta", "sofa", "pasta"])
    assert ids.dtype == np.uint64
    assert ids[0] == ids[2] != ids[1]
    assert int(ids[0]) == 0x0782FE18E8743883


def test_field_terms_lie_in_the_order_of_fields() -> None:
    pins = lexical.field_terms(PINS)
    assert len(pins) == 4
    assert pins.lengths()[:, 0].tolist() == [2, 2, 2, 0]
    assert pins.lengths()[0].tolist() == [2, 6, 0, 0, 0, 2, 0, 10]
    assert pins.terms[:2].tolist() == lexical.term_ids(["weeknight", "pasta"]).tolist()


def test_taken_pins_have_their_own_terms() -> None:
    pins = lexical.field_terms(PINS)
    taken = pins.take(np.array([2, 0, 3, 2]))
    expected = lexical.field_terms([PINS[2], PINS[0], PINS[3], PINS[2]])
    assert np.array_equal(taken.terms, expected.terms)
    assert np.array_equal(taken.offsets, expected.offsets)


@pytest.mark.parametrize("query", ["pasta", "lemon pasta with love", "Sofa, sofa", "unseen"])
def test_features_equal_textbook_bm25(query: str) -> None:
    pins = lexical.field_terms(PINS)
    stats = lexical.fit(pins)
    found = lexical.features([lexical.query_terms(query)], pins, stats, np.zeros(len(PINS), dtype=int))
    for pin in range(len(PINS)):
        for place, column in enumerate(lexical.COLUMNS):
            assert found[pin, place] == pytest.approx(plain_bm25(query, pin, column), abs=1e-5), (pin, column)


def test_matched_share_counts_distinct_query_terms() -> None:
    pins = lexical.field_terms(PINS[:1])
    found = lexical.features([lexical.query_terms("easy pasta pasta tonight")], pins, lexical.fit(pins))
    matched = dict(zip(lexical.COLUMNS, found[0, len(lexical.COLUMNS) :], strict=True))
    assert matched["title"] == pytest.approx(1 / 3)
    assert matched["link_title"] == pytest.approx(2 / 3)
    assert matched["caption"] == 0
    assert matched["all"] == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.lists(WORDS, max_size=4), st.integers(0, 3)), max_size=8))
def test_many_pairs_at_once_equal_one_at_a_time(pairs: list[tuple[list[str], int]]) -> None:
    pins = lexical.field_terms(PINS)
    stats = lexical.fit(pins)
    queries = [lexical.query_terms(" ".join(words)) for words, _ in pairs]
    chosen = np.array([pin for _, pin in pairs], dtype=int)
    together = lexical.features(queries, pins.take(chosen), stats)
    assert together.shape == (len(pairs), 2 * len(lexical.COLUMNS))
    for row, (terms, pin) in enumerate(zip(queries, chosen, strict=True)):
        alone = lexical.features([terms], pins.take(np.array([pin])), stats)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-6)


def test_a_query_without_words_scores_nothing() -> None:
    pins = lexical.field_terms(PINS)
    assert not lexical.features([lexical.query_terms("?!")] * 4, pins, lexical.fit(pins)).any()


def test_statistics_count_pins_not_occurrences() -> None:
    stats = lexical.fit(lexical.field_terms(PINS))
    df = dict(zip(stats.terms.tolist(), stats.df.tolist(), strict=True))
    assert df[int(lexical.term_ids(["pasta"])[0])] == [1, 1, 0, 0, 0, 1, 0, 1]
    assert df[int(lexical.term_ids(["lemon"])[0])] == [1, 1, 0, 0, 0, 0, 0, 2]
    assert stats.num_docs == 4
    assert stats.avg_length[-1] == pytest.approx((10 + 8 + 2) / 4)


def test_statistics_survive_saving(tmp_path: Path) -> None:
    stats = lexical.fit(lexical.field_terms(PINS))
    stats.save(tmp_path)
    opened = lexical.LexicalStats.open(tmp_path)
    assert opened.num_docs == stats.num_docs
    for name in ("avg_length", "terms", "df"):
        assert np.array_equal(getattr(opened, name), getattr(stats, name))


@pytest.mark.parametrize("damage", [b"", b"not a tensor file"])
def test_damaged_statistics_are_refused(tmp_path: Path, damage: bytes) -> None:
    lexical.fit(lexical.field_terms(PINS)).save(tmp_path)
    (tmp_path / lexical.STATS_FILE).write_bytes(damage)
    with pytest.raises(ModelError, match="lexical statistics"):
        lexical.LexicalStats.open(tmp_path)


def test_no_pins_are_no_error() -> None:
    stats = lexical.fit(lexical.field_terms([]))
    assert lexical.features([], lexical.field_terms([]), stats).shape == (0, 16)
    assert lexical.bm25_scores(["pasta"], [PINS[0]], stats).shape == (1,)


def test_bm25_scores_are_those_of_all_fields() -> None:
    stats = lexical.fit(lexical.field_terms(PINS))
    scores = lexical.bm25_scores(["lemon pasta", "sofa", "lemon pasta"], [PINS[0], PINS[1], PINS[2]], stats)
    expected = [plain_bm25("lemon pasta", 0, "all"), plain_bm25("sofa", 1, "all"), plain_bm25("lemon pasta", 2, "all")]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
