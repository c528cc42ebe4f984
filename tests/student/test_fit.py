"""Fitting the specification to pairs, and refusing a declaration that these pairs do not fit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pinrank import lexical
from pinrank.errors import TableError
from pinrank.parquet import write_folder
from pinrank.student.declaration import Declaration
from pinrank.student.feature_tables import open_tables
from pinrank.student.features import FeatureSpec, raw_numbers
from pinrank.student.fit import features_of, fit
from tests.student.featured import declaration, examples, write_tables

PINS = [
    {"pin_id": f"p{place}", "locale": "", "title": title} for place, title in enumerate(("red sofa", "lamp", "cake"))
]
QUERIES = ("sofa", "red lamp", "red", "cake", "lamp")
STATS = lexical.fit(lexical.field_terms(PINS))


def pairs() -> pa.Table:
    return examples([(query, pin) for query in QUERIES for pin in PINS])


def fitted(folder: Path, spec: str, **columns: list[object]) -> FeatureSpec:
    """A specification fitted with a table pin_features of these columns."""
    write_folder(pa.table(columns), f"{folder}/pin_features")
    declared = Declaration.model_validate(yaml.safe_load(spec))
    return fit(declared, pairs(), STATS, open_tables(declared, str(folder)))


def test_numbers_have_mean_zero_and_deviation_one_over_the_pairs_that_have_them(tmp_path: Path) -> None:
    queries, pin_ids = list(QUERIES), [pin["pin_id"] for pin in PINS]
    tables = open_tables(declaration(), str(write_tables(tmp_path, queries, pin_ids)))
    spec = fit(declaration(), pairs(), STATS, tables)
    features = features_of(pairs(), spec, STATS, tables)
    pair = features.pair_NF
    shown = pair[pair[:, spec.names.index("pair.shown.missing")] == 0, spec.names.index("pair.shown")]
    np.testing.assert_allclose([shown.mean(), shown.std()], [0, 1], atol=1e-5)
    texts = pair[:, : len(declaration().lexical_names)]
    np.testing.assert_allclose(texts.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(texts.std(axis=0), 1, atol=1e-4)


def test_columns_are_counted_over_all_pairs_in_whatever_pieces_they_come(tmp_path: Path) -> None:
    queries, pin_ids = list(QUERIES), [pin["pin_id"] for pin in PINS]
    tables = open_tables(declaration(), str(write_tables(tmp_path, queries, pin_ids)))
    whole = fit(declaration(), pairs(), STATS, tables)
    pieces = [pairs().slice(start, 4) for start in (12, 0, 20, 8, 4)]  # the third has no row
    parts = fit(declaration(), pairs(), STATS, tables, pieces)
    assert parts.vocabularies == whole.vocabularies
    assert parts.statistics.keys() == whole.statistics.keys()
    for name, found in parts.statistics.items():
        assert found == pytest.approx(whole.statistics[name], rel=1e-12)
    shown_N = raw_numbers("shown", True, tables.pairs(pairs()["query"].to_pylist(), pairs()["pin_id"].to_pylist()))
    assert parts.statistics["pair.shown"] == pytest.approx((np.nanmean(shown_N), np.nanstd(shown_N)), rel=1e-12)


def test_a_number_that_never_varies_stays_zero(tmp_path: Path) -> None:
    spec = fitted(tmp_path, "pin: {numeric: {saves: {}}}", pin_id=["p0", "p1"], saves=[1e9, 1e9])
    assert spec.statistics["pin.saves"] == (1e9, 1.0)


def test_a_vocabulary_holds_the_values_that_enough_pairs_have_the_most_frequent_first(tmp_path: Path) -> None:
    known = {"pin_id": ["p0", "p1", "p2"], "board": [["b", "a"], ["a", "c"], ["a", "b"]]}
    words = "pin: {{categorical: {{board: {{max_values: 2, min_count: {count}, max_size: {size}}}}}}}"
    of_pins = len(QUERIES)  # pairs that a pin is in
    assert fitted(tmp_path, words.format(count=1, size=9), **known).vocabularies == {"pin.board": ("a", "b", "c")}
    assert fitted(tmp_path, words.format(count=1 + of_pins, size=9), **known).vocabularies["pin.board"] == ("a", "b")
    assert fitted(tmp_path, words.format(count=1, size=1), **known).vocabularies["pin.board"] == ("a",)
    assert fitted(tmp_path, words.format(count=99, size=9), **known).vocabularies["pin.board"] == ()


@pytest.mark.parametrize("spec", ["pin: {numeric: {saves: {}}}", "pin: {categorical: {saves: {}}}"])
@pytest.mark.parametrize("pin_id", ["p0", "of another catalogue"])
def test_a_feature_that_no_pair_has_is_refused(tmp_path: Path, spec: str, pin_id: str) -> None:
    column = pa.array([None if pin_id == "p0" else 3], pa.int64())
    with pytest.raises(TableError, match=r"pin_features: 'saves' of the pin is known in none of the pairs to learn"):
        fitted(tmp_path, spec, pin_id=[pin_id], saves=column)


def test_an_embedding_of_other_pins_is_refused(tmp_path: Path) -> None:
    write_tables(tmp_path, QUERIES, ["x0", "x1"])
    declared = Declaration.model_validate({"external": {"graph": {"sides": ["pin"]}}})
    with pytest.raises(TableError, match=r"external_embeddings: 'graph' of the pin is known in none"):
        fit(declared, pairs(), STATS, open_tables(declared, str(tmp_path)))
