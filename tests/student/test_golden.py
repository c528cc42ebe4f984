"""One of each kind of feature: training, the ranker of serving and the pin store give the same logits.

tests/serve_apps/test_rerank.py goes on from the store's rows to HTTP.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pinrank import lexical
from pinrank.embeddings import store
from pinrank.embeddings.store import PinStore
from pinrank.student.feature_tables import NO_TABLES
from pinrank.student.values import Known
from tests.student.conftest import QUERIES, Golden


def served(
    golden: Golden, query: str, pin_ids: list[str], rows_NR: np.ndarray, terms: lexical.FieldTerms
) -> np.ndarray:
    known = Known(golden.tables.queries([query]), golden.tables.pairs([query] * len(pin_ids), pin_ids))
    features_NF = golden.bundle.features(query, terms, rows_NR, known)
    return golden.bundle.logits(golden.bundle.encode_queries([query])[0], rows_NR, features_NF, known)


def test_the_ranker_of_serving_gives_the_logits_of_training(golden: Golden, rows: list[dict[str, str]]) -> None:
    pin_ids = [row["pin_id"] for row in rows]
    vectors = golden.bundle.encode_pins(golden.bundle.pin_texts(rows), "float32")
    exact = golden.bundle.exact_rows(vectors, golden.tables.pins(pin_ids))
    for number, query in enumerate(QUERIES):
        logits = served(golden, query, pin_ids, exact, lexical.field_terms(rows))
        np.testing.assert_allclose(logits, golden.logits_QPL[number], rtol=1e-5, atol=1e-5)


def test_rows_of_the_pin_store_are_off_by_their_rounding_alone(
    golden: Golden, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    # float16 has 11 bits: each of the D + H + S numbers of a row is off by up to 1/2048 of itself.
    pin_ids = [row["pin_id"] for row in rows]
    vectors = golden.bundle.encode_pins(golden.bundle.pin_texts(rows), "float32")
    stored = golden.bundle.pin_rows(vectors, golden.tables.pins(pin_ids))
    store.build(tmp_path / "store", pin_ids, stored, lexical.field_terms(rows), golden.bundle.version)
    pins = PinStore.open(tmp_path / "store")
    for number, query in enumerate(QUERIES):
        logits = served(golden, query, pin_ids, pins.gather(pin_ids).rows_NR, pins.terms(pin_ids))
        np.testing.assert_allclose(logits, golden.logits_QPL[number], atol=2e-3)


def test_offline_grades_read_the_tables(golden: Golden, rows: list[dict[str, str]]) -> None:
    pairs = [(query, row) for query in QUERIES for row in rows]
    logits = golden.bundle.grade(pairs, "float32").reshape(golden.logits_QPL.shape)
    np.testing.assert_allclose(logits, golden.logits_QPL, atol=2e-3)
    without = golden.bundle.with_tables(NO_TABLES).grade(pairs, "float32").reshape(logits.shape)
    assert np.abs(without - logits).max() > 0.1


def test_every_feature_counts(golden: Golden, rows: list[dict[str, str]]) -> None:
    """A golden vector proves nothing of a feature that does not move it."""
    spec, tables = golden.bundle.spec, golden.tables
    queries, pins = tables.queries(QUERIES), tables.pins([row["pin_id"] for row in rows])
    for side, values in (("query", queries), ("pin", pins)):
        own = spec.side(side, values)
        assert np.ptp(own.numbers_NW, axis=0).all() and (np.ptp(own.buckets_NM, axis=0) > 0).all(), side
    assert isinstance(queries.words["interest"], pa.ListArray)
