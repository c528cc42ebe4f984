"""Words, BM25 and match features, against plain arithmetic."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank import lexical
from pinrank.text import FIELDS
from tests.lexical.pins import PINS, read

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


@pytest.mark.parametrize("query", ["pasta", "lemon pasta with love", "Sofa, sofa", "unseen"])
def test_features_equal_textbook_bm25(query: str) -> None:
    pins = read(PINS)
    stats = lexical.fit(pins)
    found = lexical.features([lexical.query_terms(query)], pins, stats, np.zeros(len(PINS), dtype=int))
    for pin in range(len(PINS)):
        for place, column in enumerate(lexical.COLUMNS):
            assert found[pin, place] == pytest.approx(plain_bm25(query, pin, column), abs=1e-5), (pin, column)


def named(features_F: np.ndarray) -> dict[str, float]:
    return dict(zip(lexical.NAMES, features_F.tolist(), strict=True))


def test_matched_share_counts_distinct_query_terms() -> None:
    pins = read(PINS[:1])
    found = named(lexical.features([lexical.query_terms("easy pasta pasta tonight")], pins, lexical.fit(pins))[0])
    assert found["matched.title"] == pytest.approx(1 / 3)
    assert found["matched.link_title"] == pytest.approx(2 / 3)
    assert found["matched.caption"] == 0
    assert found["matched.all"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("query", "title", "share"),
    [
        ("red sofa bed", "a red sofa and a bed", 2 / 3),
        ("red sofa bed", "sofa red bed", 1 / 3),
        ("red sofa bed", "the red sofa bed", 1),
        ("new york new jersey", "jersey of new york", 2 / 4),
        ("new york new jersey", "york new jersey", 3 / 4),
        ("so so so", "so so it is", 2 / 3),
        ("寿司屋", "新しい寿司屋", 1),
        ("red sofa", "blue bed", 0),
    ],
)
def test_phrase_is_the_longest_run_of_query_terms_in_a_field(query: str, title: str, share: float) -> None:
    pins = read([{"title": title}])
    found = named(lexical.features([lexical.query_terms(query)], pins, lexical.fit(pins))[0])
    assert found["phrase.title"] == found["phrase.all"] == pytest.approx(share)


def test_a_phrase_does_not_run_from_one_field_into_the_next() -> None:
    pins = read([{"title": "red", "description": "sofa"}, {"title": "sofa red"}, {"title": "sofa"}])
    found = lexical.features([lexical.query_terms("red sofa")], pins, lexical.fit(pins), np.zeros(3, dtype=int))
    assert [named(row)["phrase.all"] for row in found] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("query", "title", "exact"),
    [("Red sofa!", "red  SOFA", 1), ("red sofa", "sofa red", 0), ("red sofa", "red sofa bed", 0), ("", "", 0)],
)
def test_exact_title_has_the_terms_of_the_query_and_no_others(query: str, title: str, exact: float) -> None:
    pins = read([{"title": title, "description": "red sofa"}])
    found = named(lexical.features([lexical.query_terms(query)], pins, lexical.fit(pins))[0])
    assert found["exact.title"] == exact


def plain_phrase(query: list[str], text: list[str]) -> float:
    """The longest common run by trying all of them."""
    runs = [query[i:j] for i in range(len(query)) for j in range(i + 1, len(query) + 1)]
    found = [len(run) for run in runs if any(text[k : k + len(run)] == run for k in range(len(text)))]
    return max(found, default=0) / max(len(query), 1)


FEW = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)


@given(st.lists(FEW, min_size=1, max_size=3), st.lists(st.tuples(FEW, FEW, st.integers(0, 2)), min_size=1, max_size=5))
def test_phrases_equal_those_of_plain_search(
    queries: list[list[str]], pairs: list[tuple[list[str], list[str], int]]
) -> None:
    asked = np.array([query % len(queries) for _, _, query in pairs])
    pins = read([{"title": " ".join(title), "caption": " ".join(text)} for title, text, _ in pairs])
    terms = [lexical.query_terms(" ".join(query)) for query in queries]
    found = lexical.features(terms, pins, lexical.fit(pins), asked)
    for row, query, (title, text, _) in zip(found, asked, pairs, strict=True):
        expected = [plain_phrase(queries[query], each) for each in (title, text)]
        assert named(row)["phrase.title"] == pytest.approx(expected[0])
        assert named(row)["phrase.caption"] == pytest.approx(expected[1])
        assert named(row)["phrase.all"] == pytest.approx(max(expected))
        assert named(row)["exact.title"] == (bool(title) and title == queries[query])


@given(st.lists(st.tuples(st.lists(WORDS, max_size=4), st.integers(0, 3)), max_size=8))
def test_many_pairs_at_once_equal_one_at_a_time(pairs: list[tuple[list[str], int]]) -> None:
    pins = read(PINS)
    stats = lexical.fit(pins)
    queries = [lexical.query_terms(" ".join(words)) for words, _ in pairs]
    chosen = np.array([pin for _, pin in pairs], dtype=int)
    together = lexical.features(queries, pins.take(chosen), stats)
    assert together.shape == (len(pairs), len(lexical.NAMES))
    for row, (terms, pin) in enumerate(zip(queries, chosen, strict=True)):
        alone = lexical.features([terms], pins.take(np.array([pin])), stats)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-6)


def test_a_query_without_words_scores_nothing() -> None:
    pins = read(PINS)
    assert not lexical.features([lexical.query_terms("?!")] * 4, pins, lexical.fit(pins)).any()


def test_no_pins_are_no_error() -> None:
    stats = lexical.fit(read([]))
    assert lexical.features([], read([]), stats).shape == (0, len(lexical.NAMES))
    assert lexical.bm25_scores(["pasta"], [{"locale": None}], stats).shape == (1,)


def test_bm25_scores_are_those_of_all_fields() -> None:
    stats = lexical.fit(read(PINS))
    scores = lexical.bm25_scores(
        ["lemon pasta", "sofa", "lemon pasta"], [{"locale": None} | PINS[pin] for pin in range(3)], stats
    )
    expected = [plain_bm25("lemon pasta", 0, "all"), plain_bm25("sofa", 1, "all"), plain_bm25("lemon pasta", 2, "all")]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
