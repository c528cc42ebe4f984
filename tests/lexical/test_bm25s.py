"""BM25 against an implementation that is not ours: bm25s, given the same tokens."""

import bm25s
import numpy as np
import pytest

from pinrank import lexical
from pinrank.text import FIELDS

LETTERS = ("a", "b", "c", "d", "e", "f", "寿司", "casas", "running", "x9")
CHANCE = np.arange(len(LETTERS), 0, -1) / np.arange(1, len(LETTERS) + 1).sum()


def texts(number: int, most: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(LETTERS, rng.integers(0, most), p=CHANCE)) for _ in range(number)]


def oracle(documents: list[list[str]], queries: list[list[str]]) -> np.ndarray:
    """Scores of every query and document, float32[queries, documents]: Lucene's idf, and the factor k1 + 1 in tf."""
    index = bm25s.BM25(method="atire", idf_method="lucene", k1=lexical.K1, b=lexical.B)
    index.index(documents, show_progress=False)
    known = {token for document in documents for token in document}
    asked = [[token for token in dict.fromkeys(query) if token in known] for query in queries]
    return np.stack([index.get_scores(query) if query else np.zeros(len(documents)) for query in asked])


@pytest.mark.parametrize("locale", ["en", "pt", "xx"])
@pytest.mark.parametrize("column", ["title", "caption", "all"])
def test_bm25_of_every_column_is_that_of_bm25s(column: str, locale: str) -> None:
    titles, captions = texts(60, 8, seed=1), texts(60, 30, seed=2)
    rows = [{"locale": locale, "title": t, "caption": c} for t, c in zip(titles, captions, strict=True)]
    asked = texts(20, 6, seed=3)
    pins = lexical.field_terms(rows)
    stats = lexical.fit(pins)
    queries = [lexical.query_terms(query) for query in asked]
    read = [[f"{term:016x}" for term in query.read_in(int(pins.languages[0]))] for query in queries]
    fields = FIELDS if column == "all" else (column,)
    places = [FIELDS.index(field) for field in fields]
    documents = []
    for pin in range(len(rows)):
        cells = [pin * pins.num_fields + place for place in places]
        parts = [pins.terms[pins.offsets[cell] : pins.offsets[cell + 1]] for cell in cells]
        documents.append([f"{term:016x}" for part in parts for term in part.tolist()])
    expected = oracle(documents, read)
    pin_N = np.tile(np.arange(len(rows)), len(queries))
    found = lexical.features(queries, pins.take(pin_N), stats, np.repeat(np.arange(len(queries)), len(rows)))
    scores = found[:, lexical.NAMES.index(f"bm25.{column}")].reshape(len(queries), len(rows))
    assert (scores > 0).any()
    np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=1e-6)
