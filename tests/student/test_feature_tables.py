"""The tables of features are found by key, and refused where they do not fit the declaration."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pinrank import tables
from pinrank.embeddings.external import table_of
from pinrank.errors import ModelError, TableError
from pinrank.keys import hashes
from pinrank.parquet import write_folder
from pinrank.student.declaration import Declaration
from pinrank.student.feature_tables import Keyed, open_tables, pin_tables_of, tables_of
from pinrank.student.features import FeatureSpec, Space
from pinrank.student.fit import fit
from pinrank.student.values import NUMBER
from tests.student.featured import DIMS, declaration, write_tables

QUERIES = ["red sofa", "lamp", "寿司", "cake", "boots"]
PINS = [f"pin-{number}" for number in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("features"), QUERIES, PINS)


def declared(content: str) -> Declaration:
    return Declaration.model_validate(yaml.safe_load(content))


def refused(folder: Path, content: str, table: str, **columns: list[object]) -> str:
    """What is said when a table has these columns."""
    write_folder(pa.table(columns), f"{folder}/{table}")
    with pytest.raises(TableError) as caught:
        open_tables(declared(content), str(folder))
    assert table in str(caught.value)
    return str(caught.value)


def test_values_are_found_in_the_order_asked_and_missing_where_there_is_no_row(folder: Path) -> None:
    values = open_tables(declaration(), str(folder)).pins(["pin-2", "gone", "pin-1", "pin-3", "pin-2"])
    assert values.numbers["saves"].is_valid().to_pylist() == [True, False, True, False, True]
    assert values.words["category"].to_pylist() == [["recipe"], None, ["photo"], None, ["recipe"]]
    np.testing.assert_allclose(np.linalg.norm(values.vectors["search"], axis=1), [1, 0, 1, 0, 1], atol=1e-6)
    assert values.vectors["graph"].shape == (5, DIMS["graph"])


def test_queries_are_one_in_any_spelling(folder: Path) -> None:
    found = open_tables(declaration(), str(folder))
    one, other = found.queries(["Red  SOFA"]), found.queries(["red sofa"])
    assert one.numbers["searches"].equals(other.numbers["searches"])
    assert one.vectors["search"].any() and np.array_equal(one.vectors["search"], other.vectors["search"])
    pairs = found.pairs(["Red  SOFA", "red sofa", "red sofa"], ["pin-0", "pin-0", "pin-1"])
    assert pairs.numbers["shown"].is_valid().to_pylist() == [True, True, False]


def test_a_locale_has_its_own_row_or_that_of_all(tmp_path: Path) -> None:
    rows = {"query": ["sofa", "sofa", "lamp"], "query_locale": ["de", None, "de"], "searches": [1.0, 2.0, 3.0]}
    write_folder(pa.table(rows), f"{tmp_path}/query_features")
    found = open_tables(declared("query: {numeric: {searches: {}}}"), str(tmp_path))
    values = found.queries(["sofa", "sofa", "sofa", "lamp", "lamp"], ["de", "fr", None, "de", "fr"])
    assert values.numbers["searches"].to_pylist() == [1.0, 2.0, 2.0, 3.0, None]


def test_whole_numbers_are_numbers_and_texts(tmp_path: Path) -> None:
    write_folder(pa.table({"pin_id": ["a"], "saves": [3], "board": [7]}), f"{tmp_path}/pin_features")
    found = open_tables(declared("pin: {numeric: {saves: {}}, categorical: {board: {}}}"), str(tmp_path)).pins(["a"])
    assert (found.numbers["saves"].to_pylist(), found.words["board"].to_pylist()) == ([3.0], [["7"]])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_with_row_and_column(tmp_path: Path, value: float) -> None:
    said = refused(tmp_path, "pin: {numeric: {saves: {}}}", "pin_features", pin_id=["a", "b"], saves=[None, value])
    assert "column 'saves' is NaN or infinite in 1 row (rows " in said
    assert "1). Write null where a value is missing." in said


def test_a_table_that_does_not_fit_is_refused_with_file_column_and_reason(tmp_path: Path) -> None:
    spec = "pin: {numeric: {saves: {log1p: true}}}"
    assert "lacks column 'saves'; it has pin_id" in refused(tmp_path, spec, "pin_features", pin_id=["a"])
    assert "column 'saves' has type string where double" in refused(
        tmp_path, spec, "pin_features", pin_id=["a"], saves=["3"]
    )
    assert "column 'saves' is negative, and log1p is declared in 1 row (rows 1)" in refused(
        tmp_path, spec, "pin_features", pin_id=["a", "b"], saves=[1.0, -1.0]
    )
    assert "column 'pin_id' repeats the id of an earlier row in 1 row" in refused(
        tmp_path, spec, "pin_features", pin_id=["a", "a"], saves=[1.0, 1.0]
    )
    assert "column 'pin_id' is null or empty" in refused(tmp_path, spec, "pin_features", pin_id=[""], saves=[1.0])
    words = "query: {categorical: {interest: {max_values: 2}}}"
    known = {"query": ["a", "A"], "query_locale": ["en", "en"]}
    assert "column 'interest' has type string where list" in refused(
        tmp_path, words, "query_features", **known, interest=["x", "y"]
    )
    assert "column 'query' repeats the key of an earlier row in 1 row (rows 1)" in refused(
        tmp_path, words, "query_features", **known, interest=[["x"], ["y"]]
    )


def test_a_declared_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"pair_features: there is no such file or folder"):
        open_tables(declared("pair: {numeric: {shown: {}}}"), str(tmp_path))
    with pytest.raises(TableError, match=r"external_embeddings/search/pins: there is no such"):
        open_tables(declared("external: {search: {sides: [pin]}}"), str(tmp_path))


def test_two_embeddings_under_one_name_are_refused(tmp_path: Path) -> None:
    for side, name in (("queries", "search@1"), ("pins", "search@2")):
        tables.write(table_of(name, ["a"], np.ones((1, 2))), f"{tmp_path}/up/{side}", tables.EXTERNAL_EMBEDDINGS)
    with pytest.raises(TableError, match=r"up: queries/ and pins/ are two embeddings: search@1 of 2 numbers, search@2"):
        open_tables(declared("external: {search: {sides: [query, pin], folder: up}}"), str(tmp_path))


def with_version(spec: FeatureSpec, version: str) -> FeatureSpec:
    spaces = spec.spaces | {"search": Space(version=version, dim=DIMS["search"])}
    return spec.model_copy(update={"spaces": spaces})


def test_a_student_refuses_another_version_of_an_embedding(folder: Path, fitted: FeatureSpec) -> None:
    assert tables_of(fitted, str(folder)).vectors and pin_tables_of(fitted, str(folder)).vectors
    for opened in (tables_of, pin_tables_of):
        with pytest.raises(ModelError, match=r"'search' is search@1 of 6 numbers, the student was trained on search@0"):
            opened(with_version(fitted, "search@0"), str(folder))


def test_pins_need_no_table_of_queries(folder: Path, fitted: FeatureSpec, tmp_path: Path) -> None:
    for name in ("pin_features", "external_embeddings/search/pins", "external_embeddings/graph/pins"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(folder / name)
    values = pin_tables_of(fitted, str(tmp_path)).pins(["pin-1"])
    assert set(values.vectors) == {"search", "graph"} and values.numbers["saves"].is_valid()[0].as_py()


def test_without_a_folder_all_is_missing_and_the_log_says_so(
    fitted: FeatureSpec, caplog: pytest.LogCaptureFixture
) -> None:
    assert not tables_of(fitted, None).pins(["pin-1"]).numbers
    assert "count as missing" in caplog.text


@pytest.fixture(scope="module")
def fitted(folder: Path) -> FeatureSpec:
    from pinrank import lexical
    from tests.student.featured import examples

    pins = [{"pin_id": pin_id, "title": f"{pin_id} sofa", "locale": ""} for pin_id in PINS]
    pairs = examples([(query, pin) for query in QUERIES for pin in pins])
    stats = lexical.fit(lexical.field_terms(pins))
    return fit(declaration(), pairs, stats, open_tables(declaration(), str(folder)))


@given(
    st.dictionaries(st.text(max_size=3), st.none() | st.floats(-5, 5), max_size=20),
    st.lists(st.text(max_size=3), max_size=20),
)
def test_any_key_finds_its_own_value(held: dict[str, float | None], asked: list[str]) -> None:
    keys = hashes(held, 0)
    order = np.argsort(keys)
    column = pa.array(list(held.values()), NUMBER).take(pa.array(order))
    found = Keyed(keys[order], {"x": column}).take([*held, *asked]).numbers.get("x")
    assert (found.to_pylist() if found is not None else [None] * len(asked)) == [
        *held.values(),
        *(held.get(key) for key in asked),
    ]
