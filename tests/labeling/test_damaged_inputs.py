"""Damaged inputs end in a named error or in quarantine, never in rows that differ from those that were written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pinrank import tables
from pinrank.errors import PinrankError, TableError
from pinrank.labeling.work import Inputs, prepare
from pinrank.shard_folder import exclusive
from tests.labeling.rows import GRADING, all_rows, pin_texts, sampled

PINS = {f"p{number}": f"title {number} of some words" for number in range(5)}
PAIRS = [(f"query {query}", pin) for query in range(4) for pin in PINS]
INPUTS = ("sampled_pairs", "pin_text")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both inputs, a file each."""
    folder = tmp_path_factory.mktemp("inputs")
    tables.write(sampled(*PAIRS), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**PINS), str(folder / "pin_text"), tables.PIN_TEXT)
    return folder


def rows_of(folder: Path, max_share: float = 0.0) -> pa.Table:
    """The work that the inputs make."""
    with exclusive(folder / "out"):
        inputs = Inputs((str(folder / "sampled_pairs"),), str(folder / "pin_text"), [], max_share)
        return all_rows(prepare(inputs, folder / "out", GRADING).work)


@pytest.fixture(scope="module")
def whole(folder: Path) -> pa.Table:
    """The work of undamaged inputs."""
    return rows_of(folder)


def with_content(folder: Path, table: str, content: bytes) -> pa.Table:
    """The work when a table's file holds this, which is undone afterwards."""
    path = folder / table / "part-00000.parquet"
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        return rows_of(folder)
    finally:
        path.write_bytes(before)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.sampled_from(INPUTS), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(table="sampled_pairs", place=0.5, bit=0)
def test_a_flipped_bit_is_an_error_or_changes_no_row(
    folder: Path, whole: pa.Table, table: str, place: float, bit: int
) -> None:
    content = bytearray((folder / table / "part-00000.parquet").read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    try:
        found = with_content(folder, table, bytes(content))
    except PinrankError as error:
        assert table in str(error)
    else:
        assert found.equals(whole)


@pytest.mark.parametrize("table", INPUTS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(folder: Path, table: str, share: float) -> None:
    content = (folder / table / "part-00000.parquet").read_bytes()
    with pytest.raises(TableError, match=f"{table}.*(Write the file again|a copy may have broken off)"):
        with_content(folder, table, content[: int(share * len(content))])


@pytest.mark.parametrize("table", INPUTS)
def test_zeros_in_the_place_of_a_file_are_named(folder: Path, table: str) -> None:
    size = (folder / table / "part-00000.parquet").stat().st_size
    with pytest.raises(TableError, match=table):
        with_content(folder, table, bytes(size))


@pytest.mark.parametrize("table", INPUTS)
def test_a_run_of_zeros_inside_a_file_is_an_error_or_changes_no_row(folder: Path, whole: pa.Table, table: str) -> None:
    content = (folder / table / "part-00000.parquet").read_bytes()
    errors = 0
    for start in range(0, len(content) - 64, 64):
        try:
            assert with_content(folder, table, content[:start] + bytes(64) + content[start + 64 :]).equals(whole)
        except PinrankError as error:
            assert table in str(error)
            errors += 1
    assert errors > 10


@pytest.mark.parametrize(
    ("table", "column", "values", "said"),
    [
        ("sampled_pairs", "query", None, "lacks column 'query'"),
        ("sampled_pairs", "weight", ["much"] * len(PAIRS), "column 'weight' has type string where float is needed"),
        ("sampled_pairs", "pin_id", [1.5] * len(PAIRS), "column 'pin_id' has type double where string is needed"),
        ("pin_text", "fingerprint", None, "lacks column 'fingerprint'"),
        ("pin_text", "title", [True] * len(PINS), "column 'title' has type bool where string is needed"),
        ("pin_text", "pin_id", [None] * len(PINS), "column 'pin_id' is null or empty in 5 rows"),
    ],
)
def test_a_wrong_schema_is_named(folder: Path, table: str, column: str, values: list[object] | None, said: str) -> None:
    path = folder / table / "part-00000.parquet"
    data, before = pq.read_table(path), path.read_bytes()
    place = data.column_names.index(column)
    pq.write_table(data.drop_columns(column) if values is None else data.set_column(place, column, [values]), path)
    content = path.read_bytes()
    path.write_bytes(before)
    with pytest.raises(TableError, match=said):
        with_content(folder, table, content)


def test_text_that_is_no_utf8_is_named(folder: Path) -> None:
    path = folder / "sampled_pairs" / "part-00000.parquet"
    data, before = pq.read_table(path), path.read_bytes()
    broken = pa.array([b"red \xff"] * len(PAIRS), pa.binary()).view(pa.string())
    pq.write_table(data.set_column(data.column_names.index("query"), "query", broken), path)
    content = path.read_bytes()
    path.write_bytes(before)
    with pytest.raises(TableError, match="column 'query'"):
        with_content(folder, "sampled_pairs", content)


def test_a_query_that_was_changed_without_its_key_goes_to_quarantine(folder: Path) -> None:
    path = folder / "sampled_pairs" / "part-00000.parquet"
    data, before = pq.read_table(path), path.read_bytes()
    queries = [*data["query"].to_pylist()[:-1], "another"]
    pq.write_table(data.set_column(data.column_names.index("query"), "query", [queries]), path)
    try:
        assert rows_of(folder, max_share=0.1).num_rows == len(PAIRS) - 1
    finally:
        path.write_bytes(before)
